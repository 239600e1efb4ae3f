"""SELECTs of the journal; how it is chained and verified lives in chain.py, who looks at it in reading.py."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.journal.entries import JournalEntry, JournalSeal, UnsealedEntry


@dataclass(frozen=True)
class Wanted:
    """Which entries: `actor` and `subject` are whole ('person:12'), `act` is how it begins ('case.').

    An empty text and None let all pass; `personal` keeps to the processing of personal data, `bureau_ids` to
    those of certain bureaus; `until` is not included.
    """

    actor: str = ""
    act: str = ""
    subject: str = ""
    personal: bool = False
    bureau_ids: Collection[int] | None = None
    since: datetime | None = None
    until: datetime | None = None


def list_entries(
    session: Session, wanted: Wanted, *, before_id: int | None = None, limit: int = 50
) -> Sequence[tuple[JournalEntry, int | None]]:
    """A page of entries, newest first, each with its place in the chain (None: not yet sealed)."""
    query = (
        select(JournalEntry, JournalSeal.seq)
        .outerjoin(JournalSeal, JournalSeal.entry_id == JournalEntry.id)
        .order_by(JournalEntry.id.desc())
        .limit(limit)
    )
    if wanted.actor:
        query = query.where(JournalEntry.actor == wanted.actor)
    if wanted.act:
        query = query.where(JournalEntry.act.startswith(wanted.act, autoescape=True))
    if wanted.subject:
        query = query.where(JournalEntry.subject == wanted.subject)
    if wanted.personal:
        query = query.where(JournalEntry.personal.is_(True))
    if wanted.bureau_ids is not None:
        query = query.where(JournalEntry.bureau_id.in_(wanted.bureau_ids))
    if wanted.since is not None:
        query = query.where(JournalEntry.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(JournalEntry.at < wanted.until)
    if before_id is not None:
        query = query.where(JournalEntry.id < before_id)
    return [(entry, seq) for entry, seq in session.execute(query)]


def count_seals(session: Session) -> tuple[int, int]:
    """How many entries are sealed, and how many wait for the sealer."""
    sealed = session.scalar(select(func.max(JournalSeal.seq))) or 0
    return sealed, session.scalar(select(func.count()).select_from(UnsealedEntry)) or 0
