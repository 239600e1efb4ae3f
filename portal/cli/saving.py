"""Saving a file of the portal's: it is there once it is whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from portal.cli.remote import open_portal


def save(path: str, out: Path, **query: Any) -> Mapping[str, str]:
    """Write what is at `path` to `out`; the answer's headers. Raises Refused, PortalAway, OSError."""
    making = out.with_name(f"{out.name}.part")
    try:
        with making.open("wb") as sink:
            told = open_portal().download(path, sink, **query)
            sink.flush()
            os.fsync(sink.fileno())
        making.replace(out)
    finally:
        making.unlink(missing_ok=True)
    return told
