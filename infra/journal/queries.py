"""SELECTs of the journal for those who read it; how it is chained and verified lives in chain.py."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from infra.journal.entries import JournalEntry, JournalSeal, UnsealedEntry


def list_entries(
    session: Session,
    *,
    actor: str = "",
    act: str = "",
    subject: str = "",
    personal: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[tuple[JournalEntry, int | None]]:
    """A page of entries, newest first, each with its place in the chain (None: not yet sealed).

    `actor` and `subject` are whole ('person:12'), `act` is how it begins ('case.'), `until` is not included;
    `personal` keeps to the processing of personal data.
    """
    query = (
        select(JournalEntry, JournalSeal.seq)
        .outerjoin(JournalSeal, JournalSeal.entry_id == JournalEntry.id)
        .order_by(JournalEntry.id.desc())
        .limit(limit)
    )
    if actor:
        query = query.where(JournalEntry.actor == actor)
    if act:
        query = query.where(JournalEntry.act.startswith(act, autoescape=True))
    if subject:
        query = query.where(JournalEntry.subject == subject)
    if personal:
        query = query.where(JournalEntry.personal.is_(True))
    if since is not None:
        query = query.where(JournalEntry.at >= since)
    if until is not None:
        query = query.where(JournalEntry.at < until)
    if before_id is not None:
        query = query.where(JournalEntry.id < before_id)
    return [(entry, seq) for entry, seq in session.execute(query)]


def count_seals(session: Session) -> tuple[int, int]:
    """How many entries are sealed, and how many wait for the sealer."""
    sealed = session.scalar(select(func.max(JournalSeal.seq))) or 0
    return sealed, session.scalar(select(func.count()).select_from(UnsealedEntry)) or 0
