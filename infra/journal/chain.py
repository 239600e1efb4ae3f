"""The journal's chain: the sealer that adds committed entries to it, and the verification of all of it.

A seal's digest is SM3 over the previous digest and the entry as canonical JSON (RFC 8785).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

import rfc8785
from sqlalchemy import ColumnElement, Engine, Integer, Row, Text, cast, delete, func, insert, select
from sqlalchemy.orm import Session

from infra.database import reading, serialise, transaction
from infra.journal.entries import DIGEST_CHARACTERS, JournalEntry, JournalSeal, UnsealedEntry
from infra.journal.heads import Head, HeadsFound, compare_heads

BATCH = 1000
BEGINNING = "0" * DIGEST_CHARACTERS
LARGEST_EXACT_INTEGER = 2**53 - 1  # RFC 8785 numbers are IEEE 754 doubles

Why = Literal["changed", "missing", "unqueued", "tail_cut", "head_mismatch"]


@dataclass(frozen=True)
class Break:
    """Where the chain first fails: the place in it, the entry if one is known there, and the reason."""

    why: Why
    seq: int | None
    entry_id: int | None


Found = TypeVar("Found")


@dataclass(frozen=True)
class Verification(Generic[Found]):
    """What a pass over a whole chain found, as of one snapshot; `broken` is where it first fails."""

    sealed: int
    unsealed: int
    heads: int
    broken: Found | None
    forged_head_line: int | None

    @property
    def whole(self) -> bool:
        """Nothing was changed, removed or forged."""
        return self.broken is None and self.forged_head_line is None


def seal(engine: Engine, *, at: datetime) -> int:
    """Chain all committed entries that are not yet sealed, in the order of their ids; returns how many.

    One sealer passes at a time, in transactions of at most `BATCH` entries. An entry that commits later
    than one with a greater id is sealed by a later pass.
    """
    sealed, taken = 0, BATCH
    while taken == BATCH and _somebody_waits(engine):
        with transaction(engine) as session:
            taken, chained = _seal_batch(session, at=at)
        sealed += chained
    return sealed


def verify(engine: Engine, heads: Iterable[Head] = ()) -> Verification[Break]:
    """Check the whole chain and every signed head of it against one snapshot, in bounded memory."""
    with reading(engine) as session:
        last = session.scalar(select(func.max(JournalSeal.seq))) or 0
        compared = compare_heads(session, heads)
        breaks = [_first_break_in_chain(session), _break_by_heads(session, compared)]
        found = [one for one in breaks if one is not None]
        unsealed = select(func.count()).select_from(JournalEntry).where(~_is_sealed())
        return Verification(
            sealed=session.scalar(select(func.count()).select_from(JournalSeal)) or 0,
            unsealed=session.scalar(unsealed) or 0,
            heads=compared.count,
            broken=min(found, key=lambda one: one.seq or last + 1, default=None)
            or _lost_while_waiting(session)
            or _left_out(session),
            forged_head_line=compared.forged_line,
        )


def _somebody_waits(engine: Engine) -> bool:
    """Asked without the sealer's lock, so that an idle pass disturbs no writer of SQLite."""
    with reading(engine) as session:
        return session.scalar(select(UnsealedEntry.entry_id).limit(1)) is not None


def _seal_batch(session: Session, *, at: datetime) -> tuple[int, int]:
    """How many were taken from the queue, and how many of those had no seal yet and got one."""
    serialise(session, "siji.journal.seal")
    waiting = (
        select(*_content(session))
        .join(UnsealedEntry, UnsealedEntry.entry_id == JournalEntry.id)
        .order_by(JournalEntry.id)
        .limit(BATCH)
    )
    last = session.execute(
        select(JournalSeal.seq, JournalSeal.digest).order_by(JournalSeal.seq.desc()).limit(1)
    ).first()
    seq, digest = (last.seq, last.digest) if last else (0, BEGINNING)
    rows = session.execute(waiting).all()
    ids = [row.id for row in rows]
    queued_again = set(session.scalars(select(JournalSeal.entry_id).where(JournalSeal.entry_id.in_(ids))))
    seals = []
    for row in rows:
        if row.id in queued_again:
            continue
        seq, digest = seq + 1, _digest(digest, row)
        seals.append({"seq": seq, "entry_id": row.id, "digest": digest, "sealed_at": at})
    if seals:
        session.execute(insert(JournalSeal), seals)
    session.execute(delete(UnsealedEntry).where(UnsealedEntry.entry_id.in_(ids)))
    return len(rows), len(seals)


def _first_break_in_chain(session: Session) -> Break | None:
    previous = BEGINNING
    for expected, row in enumerate(_sealed_rows(session), start=1):
        if row.seq != expected:
            return Break("missing", expected, None)
        if row.id is None:
            return Break("missing", row.seq, row.entry_id)
        previous = _digest(previous, row)
        if row.digest != previous:
            return Break("changed", row.seq, row.entry_id)
    return None


def _sealed_rows(session: Session) -> Iterator[Row[Any]]:
    """Every seal in order beside its entry, whose columns are None if it is gone."""
    page = (
        select(JournalSeal.seq, JournalSeal.entry_id, JournalSeal.digest, *_content(session))
        .outerjoin(JournalEntry, JournalEntry.id == JournalSeal.entry_id)
        .order_by(JournalSeal.seq)
        .limit(BATCH)
    )
    rows = session.execute(page).all()
    while rows:
        yield from rows
        rows = session.execute(page.where(JournalSeal.seq > rows[-1].seq)).all()


def _break_by_heads(session: Session, compared: HeadsFound) -> Break | None:
    if compared.broken is None:
        return None
    seq, why = compared.broken
    entry_id = session.scalar(select(JournalSeal.entry_id).where(JournalSeal.seq == seq))
    return Break(why, seq, entry_id)


def _lost_while_waiting(session: Session) -> Break | None:
    """An entry that was queued for the sealer and is no longer there."""
    lost = (
        select(func.min(UnsealedEntry.entry_id))
        .outerjoin(JournalEntry, JournalEntry.id == UnsealedEntry.entry_id)
        .where(JournalEntry.id.is_(None))
    )
    entry_id = session.scalar(lost)
    return None if entry_id is None else Break("missing", None, entry_id)


def _left_out(session: Session) -> Break | None:
    """An entry that is neither sealed nor queued: no pass chains it, and nothing would show its change."""
    is_queued = select(UnsealedEntry.entry_id).where(UnsealedEntry.entry_id == JournalEntry.id).exists()
    entry_id = session.scalar(select(func.min(JournalEntry.id)).where(~_is_sealed(), ~is_queued))
    return None if entry_id is None else Break("unqueued", None, entry_id)


def _is_sealed() -> ColumnElement[bool]:
    return select(JournalSeal.seq).where(JournalSeal.entry_id == JournalEntry.id).exists()


def _content(session: Session) -> list[ColumnElement[Any]]:
    """An entry's columns; documents and instants as text, so that nothing forced in there stops a reader."""
    entry = JournalEntry
    at: ColumnElement[str]
    if session.get_bind().dialect.name == "postgresql":
        at = func.to_char(func.timezone("UTC", entry.at), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"', type_=Text)
    else:
        at = func.replace(cast(entry.at, Text), " ", "T", type_=Text).concat("Z")
    return [
        entry.id.label("id"),
        at.label("at"),
        entry.actor.label("actor"),
        entry.act.label("act"),
        entry.subject.label("subject"),
        entry.bureau_id.label("bureau_id"),
        cast(entry.before, Text).label("before"),
        cast(entry.after, Text).label("after"),
        cast(entry.personal, Integer).label("personal"),
    ]


def _digest(previous: str, row: Row[Any]) -> str:
    content = {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "act": row.act,
        "subject": row.subject,
        "bureau_id": row.bureau_id,
        "before": _document(row.before),
        "after": _document(row.after),
        "personal": bool(row.personal),
    }
    try:
        canonical = rfc8785.dumps(content)
    except (rfc8785.CanonicalizationError, RecursionError):
        canonical = ascii([getattr(row, name) for name in content]).encode()
    return hashlib.new("sm3", bytes.fromhex(previous) + canonical).hexdigest()


def _document(stored: str | None) -> Any:
    """The stored JSON; integers that a double cannot hold become an object that names their digits."""
    try:
        return None if stored is None else json.loads(stored, parse_int=_exact_integer, parse_constant=str)
    except (ValueError, RecursionError):
        return {"$unreadable": stored}


def _exact_integer(digits: str) -> int | dict[str, str]:
    number = int(digits) if len(digits) < len(str(LARGEST_EXACT_INTEGER)) + 2 else None
    if number is None or abs(number) > LARGEST_EXACT_INTEGER:
        return {"$integer": digits}
    return number
