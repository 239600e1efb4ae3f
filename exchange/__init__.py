"""Datasets that bureaus share: catalogue, subscriptions, publish and deliver."""
