"""Whole numbers that come from outside, and how large they may be: ids of rows, places in lists, amounts."""

from typing import Annotated

from fastapi import Path, Query

LARGEST_ID = 2**63 - 1
"""The largest id that every database holds."""
LARGEST_AMOUNT = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8785)."""
LARGEST_COUNT = 10**9
"""Of characters, digits and steps."""

RowId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="编号 · its number")]
Place = Annotated[int, Query(ge=0, le=LARGEST_ID, description="where a list goes on; 0: at its beginning")]
