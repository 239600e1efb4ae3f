"""The items that this product ships: what is asked, of whom, in which steps and limits."""

import json
from pathlib import Path
from typing import Any


def shipped_items() -> list[dict[str, Any]]:
    """Each item's versions, as documents of the shape that `load_items` takes."""
    found: list[dict[str, Any]] = json.loads((Path(__file__).parent / "items.json").read_text("utf-8"))
    return found
