"""Benchmarks as ratios against a baseline measured in the same run. `python -m bench [NAME …]`; no assertions."""
