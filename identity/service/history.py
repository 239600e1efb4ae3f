"""Intervals of validity: those of bureaus, kept in step with `Bureau`, and how any other one is closed.

A living bureau has one open interval, an abolished one has none.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Case, case, func, select
from sqlalchemy.orm import Session

from identity.errors import OutOfOrder
from identity.guard import chunks
from identity.models import Bureau, BureauVersion, RoleAssignment, SystemOwner
from infra.database import Instant


def begin(session: Session, *, bureaus: Sequence[Bureau], at: datetime) -> None:
    """Open an interval for bureaus that have none open: founded or restored ones. Raises: OutOfOrder."""
    _refuse_overlap(session, bureaus, at)
    session.add_all(_version(bureau, at) for bureau in bureaus)
    session.flush()


def turn_over(session: Session, *, bureaus: Sequence[Bureau], at: datetime) -> None:
    """Close the open interval of changed bureaus at `at` and open one that says what they are now.

    A second change at the same instant amends the interval that began then. Raises: OutOfOrder.
    """
    open_versions = _open_versions(session, bureaus, at)
    later: list[Bureau] = []
    for bureau in bureaus:
        version = open_versions[bureau.id]
        if version.valid_from == at:
            version.code, version.name = bureau.code, bureau.name
            version.level, version.parent_id = bureau.level, bureau.parent_id
        else:
            version.valid_to = at
            later.append(bureau)
    session.flush()
    begin(session, bureaus=later, at=at)


def end(session: Session, *, bureaus: Sequence[Bureau], at: datetime) -> None:
    """Close the open interval of bureaus that are abolished at `at`. Raises: OutOfOrder."""
    for version in _open_versions(session, bureaus, at).values():
        version.valid_to = at
    session.flush()


def closing(table: type[RoleAssignment] | type[SystemOwner], at: datetime) -> Case[datetime]:
    """The end of an interval that is closed at `at`, or at its start if that is later.

    Clocks of two machines differ: to end a role or to hand a system over is never refused for it.
    """
    return case((table.valid_from > at, table.valid_from), else_=at)


def as_recorded(bureau: Bureau) -> dict[str, Any]:
    """What the journal keeps of a bureau before and after a change."""
    return {
        "code": bureau.code,
        "name": bureau.name,
        "level": bureau.level,
        "parent_id": bureau.parent_id,
        "abolished_at": bureau.abolished_at,
    }


def _open_versions(session: Session, bureaus: Sequence[Bureau], at: datetime) -> dict[int, BureauVersion]:
    found: dict[int, BureauVersion] = {}
    for ids in chunks([bureau.id for bureau in bureaus]):
        query = select(BureauVersion).where(
            BureauVersion.bureau_id.in_(ids), BureauVersion.valid_to.is_(None)
        )
        found.update((version.bureau_id, version) for version in session.scalars(query))
    for bureau in bureaus:
        _check_order(bureau, found[bureau.id].valid_from, at)
    return found


def _refuse_overlap(session: Session, bureaus: Sequence[Bureau], at: datetime) -> None:
    """An abolished bureau is not restored from before its abolition on: it would stand twice in between."""
    known = {bureau.id: bureau for bureau in bureaus}
    for ids in chunks(list(known)):
        ends = select(BureauVersion.bureau_id, func.max(BureauVersion.valid_to, type_=Instant))
        mine = ends.where(BureauVersion.bureau_id.in_(ids), BureauVersion.valid_to.is_not(None))
        for bureau_id, last in session.execute(mine.group_by(BureauVersion.bureau_id)):
            _check_order(known[bureau_id], last, at)


def _check_order(bureau: Bureau, last: datetime | None, at: datetime) -> None:
    if last is not None and last > at:
        raise OutOfOrder(bureau=bureau.code, last=last.isoformat(), at=at.isoformat())


def _version(bureau: Bureau, at: datetime) -> BureauVersion:
    return BureauVersion(
        bureau_id=bureau.id,
        code=bureau.code,
        name=bureau.name,
        level=bureau.level,
        parent_id=bureau.parent_id,
        valid_from=at,
    )
