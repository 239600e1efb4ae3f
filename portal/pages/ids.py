"""Ids of rows in paths: whole numbers that every database can hold."""

from typing import Annotated

from fastapi import Path, Query

LARGEST = 2**63 - 1

RowId = Annotated[int, Path(ge=1, le=LARGEST)]
Place = Annotated[int, Query(ge=0, le=LARGEST, description="where a list goes on; 0: at its beginning")]
