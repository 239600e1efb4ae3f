"""What packages above identity may say to a change of the tree or of a system's owner; and identity's word.

The packages above implement these Protocols; whoever wires the platform passes them to the use cases.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import Bureau, Person, System

CHUNK = 500


class TreeGuard(Protocol):
    """Called in the transaction of the change, which holds the lock 'identity.tree' alone."""

    def holdings(self, session: Session, *, bureau_ids: Collection[int]) -> dict[int, list[str]]:
        """What each of the bureaus, all about to be abolished together, still holds.

        In kinds of `identity.errors.tree.HELD`; a bureau that holds nothing may be left out.
        """

    def on_move(
        self,
        session: Session,
        *,
        bureau_id: int,
        old_parent_id: int | None,
        new_parent_id: int | None,
        at: datetime,
        actor: str,
    ) -> None:
        """Follow a move, already written but not committed; may refuse it by raising a SijiError."""

    def on_merge(
        self, session: Session, *, bureau_id: int, successor_id: int, at: datetime, actor: str
    ) -> None:
        """Hand over what the bureau has, before it is abolished; may refuse by raising a SijiError.

        Its children, persons and systems are the successor's already.
        """

    def on_abolish(self, session: Session, *, bureau_ids: Collection[int], at: datetime, actor: str) -> None:
        """End what ends along with the bureaus, which hold nothing; written already but not committed."""


class SystemGuard(Protocol):
    """Called in the transaction of the change, which holds the lock 'identity.tree' alone and, after it, the
    system's row.
    """

    def system_holdings(self, session: Session, *, system_ids: Collection[int]) -> dict[int, list[str]]:
        """What each of the systems, about to be retired, still holds; those that hold nothing may lack."""

    def on_transfer(
        self,
        session: Session,
        *,
        system_id: int,
        old_bureau_id: int,
        new_bureau_id: int,
        at: datetime,
        actor: str,
    ) -> None:
        """Follow a transfer, already written but not committed; may refuse it by raising a SijiError."""


def own_holdings(session: Session, *, bureau_ids: Collection[int]) -> dict[int, list[str]]:
    """Identity's own word: a bureau with living children, persons or systems is not abolished.

    Kinds 'children' (living ones that are not abolished along with it), 'persons' and 'systems'.
    """
    going = set(bureau_ids)
    held: dict[int, list[str]] = {}
    for some in chunks(sorted(going)):
        children = select(Bureau.parent_id, Bureau.id).where(
            Bureau.parent_id.in_(some), Bureau.abolished_at.is_(None)
        )
        persons = select(Person.bureau_id).where(Person.bureau_id.in_(some), Person.departed_at.is_(None))
        systems = select(System.bureau_id).where(System.bureau_id.in_(some), System.retired_at.is_(None))
        having: dict[str, set[int | None]] = {
            "children": {parent for parent, child in session.execute(children) if child not in going},
            "persons": set(session.scalars(persons.distinct())),
            "systems": set(session.scalars(systems.distinct())),
        }
        for bureau_id in some:
            kinds = [kind for kind, bureaus in having.items() if bureau_id in bureaus]
            if kinds:
                held[bureau_id] = kinds
    return held


def all_holdings(
    session: Session, guards: Sequence[TreeGuard], *, bureau_ids: Collection[int]
) -> Mapping[int, list[str]]:
    """What identity and all `guards` say that the bureaus hold; those that hold nothing are left out."""
    held: dict[int, list[str]] = {}
    for holdings in (own_holdings, *(guard.holdings for guard in guards)):
        for bureau_id, kinds in holdings(session, bureau_ids=bureau_ids).items():
            if kinds:
                held.setdefault(bureau_id, []).extend(kinds)
    return held


def chunks(ids: Sequence[int]) -> list[Sequence[int]]:
    """`ids` in parts that every database takes as parameters of one statement."""
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
