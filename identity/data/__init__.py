"""The sample city's files: its 7,285 divisions, and what its phase-1 cloud carries (split: illustrative)."""

from pathlib import Path

DIVISIONS = Path(__file__).parent / "baoding-divisions.csv"
PHASE1 = Path(__file__).parent / "baoding-phase1.csv"
