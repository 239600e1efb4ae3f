"""Use cases of provisioning, split by noun."""
