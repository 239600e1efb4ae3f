"""Reads of everything: capacity reports and figures for Prometheus."""
