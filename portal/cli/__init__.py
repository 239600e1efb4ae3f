"""The `siji` command: one file per group of sub-commands."""
