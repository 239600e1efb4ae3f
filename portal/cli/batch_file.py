"""A file of records as commands send it: of which form it is, and its parts, each a batch of its own.

A part of a table begins with as many empty rows as the file has before it, so that its rows count as those of
the file wherever they are told of.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import BinaryIO

from exchange.errors import EncodingUnclear
from exchange.forms import CSV, LINES, form_of
from exchange.intake import as_change, lines_of, read_lines
from exchange.tables import check_rows, csv_rows
from infra.packing import pack, packing_in, unpack
from infra.textfile import EncodingUndecided, read_text

HEAD = 4096
PIECE = 1024 * 1024
MOST_UNPACKED = 64 * 1024**3
"""Bytes of this machine's disk that a packed file may take; what a batch may have is the portal's to say."""


@dataclass(frozen=True)
class Part:
    """One batch: its number from 1, how many records it has (None: not counted), and its content to send;
    whether it is the whole file."""

    number: int
    records: int | None
    content: bytes
    content_type: str
    is_whole: bool
    packing: str | None = None

    def packed(self) -> "Part":
        """The same, packed if that pays."""
        packed = None if self.packing else pack(self.content)
        return self if packed is None else replace(self, content=packed, packing="zstd")


@dataclass(frozen=True)
class BatchFile:
    """A file that was opened: unpacked, seekable, and the SHA-256 of what was there before unpacking."""

    name: str
    content: BinaryIO
    digest: str
    form: str
    encoding: str | None

    def count(self) -> int | None:
        """How many records it has; None for a form that is sent as a whole."""
        if self.form not in (LINES, CSV):
            return None
        return sum(1 for _, is_record in self._texts() if is_record) - (self.form == CSV)

    def parts(self, batch: int) -> Iterator[Part]:
        """Its parts of at most `batch` records; one, as it is, if it has no more. Raises as reading does.

        Before the first of several the whole file is read as the portal would, as far as that goes without
        the items: else parts were published of a file that is refused.
        """
        total = self.count()
        if total is None or total <= batch:
            self.content.seek(0)
            charset = f"; charset={self.encoding}" if self.encoding else ""
            yield Part(1, total, self.content.read(), self.form + charset, is_whole=True)
            return
        self._check()
        texts, before = self._texts(), 0
        top = _take(texts, 1) if self.form == CSV else []
        header = [text for text, is_record in top if is_record]
        before = len(top) - len(header)
        for number in range(1, -(-total // batch) + 1):
            taken = _take(texts, batch)
            rows = [*[""] * (before if header else 0), *header, *(text for text, _ in taken)]
            records = sum(is_record for _, is_record in taken)
            content = "\n".join(rows).encode()
            yield Part(number, records, content, f"{self.form}; charset=utf-8", is_whole=False)
            before += len(taken)

    def _check(self) -> None:
        if self.form == CSV:
            check_rows(read_text(self.content, declared=self.encoding))
        else:
            for place, value in read_lines(read_text(self.content, declared=self.encoding or "utf-8")):
                as_change(place, value)

    def _texts(self) -> Iterator[tuple[str, bool]]:
        """Its rows or lines as they stand, and whether they hold anything. Raises as reading does."""
        try:
            if self.form == CSV:
                for text, cells in csv_rows(read_text(self.content, declared=self.encoding)):
                    yield text, any(cells)
            else:
                for line in lines_of(read_text(self.content, declared=self.encoding or "utf-8")):
                    yield line, bool(line.strip())
        except EncodingUndecided as error:
            raise EncodingUnclear(offset=error.facts["offset"]) from error


@contextmanager
def open_batch(source: BinaryIO, *, name: str, encoding: str | None) -> Iterator[BatchFile]:
    """The file of that name whose bytes `source` gives, kept aside: it is the same however long it is sent.

    Raises PackingBroken, UnpackedTooLarge, OSError.
    """
    with TemporaryFile() as aside, TemporaryFile() as unpacked:
        digest = hashlib.sha256()
        while piece := source.read(PIECE):
            digest.update(piece)
            aside.write(piece)
        aside.seek(0)
        head = aside.read(HEAD)
        packing = packing_in(head)
        plain = aside if packing is None else unpacked
        if packing is not None:
            aside.seek(0)
            unpack(aside, unpacked, packing=packing, limit=MOST_UNPACKED)
            unpacked.seek(0)
            head = unpacked.read(HEAD)
        yield BatchFile(name, plain, digest.hexdigest(), form_of(name, head), encoding)


def _take(texts: Iterator[tuple[str, bool]], batch: int) -> list[tuple[str, bool]]:
    """The next rows or lines, up to `batch` that hold something."""
    taken: list[tuple[str, bool]] = []
    held = 0
    for text, is_record in texts:
        taken.append((text, is_record))
        held += is_record
        if held == batch:
            break
    return taken
