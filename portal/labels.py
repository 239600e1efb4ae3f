"""Cells of a table that say their column, for screens so narrow that a table stands as a list."""

import re
from collections.abc import Sequence

from markupsafe import escape

ROW_OR_CELL = re.compile(r"<(tr|th|td)\b([^>]*)>")
COLSPAN = re.compile(r'\bcolspan="(\d+)"')


def labelled(rows: str, headings: Sequence[str]) -> str:
    """The markup `rows` with each cell's heading, less its `#`, as its `data-label`.

    A cell over several columns, and one beyond the headings, has none.
    """
    column = 0

    def with_label(found: re.Match[str]) -> str:
        nonlocal column
        tag, attributes = found.groups()
        if tag == "tr":
            column = 0
            return found.group()
        spans = COLSPAN.search(attributes)
        width = int(spans[1]) if spans else 1
        label = headings[column] if width == 1 and column < len(headings) else ""
        column += width
        return f'<{tag}{attributes} data-label="{escape(label.removeprefix("#"))}">'

    return ROW_OR_CELL.sub(with_label, rows)
