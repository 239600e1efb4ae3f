"""Quotas down the tree, and servers on the cloud."""
