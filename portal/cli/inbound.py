"""A folder into which files come: which of them are complete, who has one, and where it goes afterwards.

A file is held by a lock of the kernel on the file itself, which ends with the process that has it. What
becomes of it is written beside its place to be before it is moved there: whoever is killed between the two
does the same again.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO

DONE, FAILED = "done", "failed"
RECEIPT, REASON = ".receipt.json", ".reason.txt"
UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~", RECEIPT, REASON)
HIDDEN = (".", "~")

Mark = tuple[int, int, int]
"""Of a file: its inode, size and time of change. Two that are equal say that it did not change meanwhile."""


def files_in(folder: Path) -> dict[Path, Mark]:
    """The files that may be taken, by name. Not empty ones: many programs make one before they fill it."""
    found: dict[Path, Mark] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(HIDDEN) or path.name.lower().endswith(UNFINISHED):
            continue
        if path.is_file() and not path.is_symlink() and (mark := mark_of(path)) and mark[1]:
            found[path] = mark
    return found


def mark_of(path: Path) -> Mark | None:
    """The mark of a file, None if it is not there."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def held(path: Path, mark: Mark) -> Iterator[BinaryIO | None]:
    """The file, which nobody else holds meanwhile; None if another holds it, or it is not as it was."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file if mark_of(path) == mark else None


def put_away(path: Path, mark: Mark, folder: str, *, suffix: str, text: str) -> Path | None:
    """Move the file into `folder` beside it, with `text` under its name and `suffix`; its new place.

    A file that has the name there keeps it; the one that comes gets its digest into its name. None if the
    file is not as it was any more, be it that it changed in the moment of the move: it stays where it is.
    """
    if mark_of(path) != mark:
        return None
    target = path.parent / folder
    target.mkdir(exist_ok=True)
    place = _free(target, path)
    beside = place.with_name(place.name + suffix)
    fresh = beside.with_name(f".{beside.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(beside)
    path.replace(place)
    if mark_of(place) != mark:
        place.replace(_free(path.parent, path, content=place))
        beside.unlink()
        return None
    return place


def _free(folder: Path, path: Path, *, content: Path | None = None) -> Path:
    """A place in the folder where nothing is, of the name of `path` if that is free."""
    place = folder / path.name
    if not place.exists():
        return place
    first, dot, rest = path.name.partition(".")
    digest = _digest(content or path)[:12]
    names = (f"{first}-{digest}{more}{dot}{rest}" for more in chain([""], (f"-{n}" for n in count(2))))
    return next(place for name in names if not (place := folder / name).exists())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
