"""Looking at the journal. A look at entries on personal data is itself an entry (PIPL, article 56)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from infra.journal.entries import JournalEntry, append
from infra.journal.queries import Wanted, list_entries


def read_entries(
    session: Session,
    wanted: Wanted,
    *,
    reader: str,
    at: datetime,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[tuple[JournalEntry, int | None]]:
    """A page of entries as `list_entries`, and the look written down if one of them is on personal data.

    What was looked for is kept with the ids of the page's ends; `reader` is an actor as the journal names it.
    """
    found = list_entries(session, wanted, before_id=before_id, limit=limit)
    if any(entry.personal for entry, _ in found):
        looked_for = {
            name: getattr(wanted, name) for name in ("actor", "act", "subject", "personal", "since", "until")
        }
        append(
            session,
            actor=reader,
            act="journal.read",
            subject="journal",
            bureau_id=None,
            at=at,
            after={**looked_for, "newest_id": found[0][0].id, "oldest_id": found[-1][0].id},
            personal=True,
        )
    return found
