"""The sample city of `make run`: the real tree, the phase-1 systems (split: illustrative), and people."""
