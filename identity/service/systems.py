"""Information systems (信息系统): register, edit, hand over to another bureau, retire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.errors import (
    CodeTaken,
    MlpsGradeRefused,
    StillHolding,
    SystemFault,
    SystemRetired,
)
from identity.faults import Fault
from identity.guard import SystemGuard
from identity.models import System, SystemOwner, Token
from identity.names import code_fault, shown, text_fault
from identity.queries import find_system
from identity.service.abolition import hold_bureau
from identity.service.history import closing
from identity.service.tree import TREE_LOCK
from infra import journal
from infra.database import locked, serialise
from infra.errors import NotFound, Stale

MLPS_GRADES = (1, 2, 3)
ZONES = ("internet", "extranet")
MAX_PURPOSE = 2000
MAX_CONTACTS = 500


def register_system(
    session: Session,
    *,
    bureau_id: int,
    code: str,
    name: str,
    mlps_grade: int,
    zone: str,
    at: datetime,
    actor: str,
    purpose: str = "",
    contacts: str = "",
) -> System:
    """Register a system of the bureau; `zone` is 'internet' or 'extranet' (government extranet, 政务外网).

    Raises: NotFound, BureauAbolished, SystemFault, MlpsGradeRefused (grade 4 and above), CodeTaken.
    """
    hold_bureau(session, bureau_id)
    code, name = code.strip(), name.strip()
    _refuse(code_fault(code))
    _check(name=name, purpose=purpose, contacts=contacts, mlps_grade=mlps_grade, zone=zone)
    system = System(
        bureau_id=bureau_id,
        code=code,
        name=name,
        purpose=purpose,
        contacts=contacts,
        mlps_grade=mlps_grade,
        zone=zone,
        created_at=at,
    )
    _add_unless_taken(session, system)
    session.add(SystemOwner(system_id=system.id, bureau_id=bureau_id, valid_from=at))
    _record(session, system, act="system.register", at=at, actor=actor, personal=bool(contacts))
    session.flush()
    return system


def edit_system(
    session: Session,
    *,
    system_id: int,
    at: datetime,
    actor: str,
    name: str | None = None,
    purpose: str | None = None,
    contacts: str | None = None,
    mlps_grade: int | None = None,
    zone: str | None = None,
    revision: int | None = None,
) -> System:
    """Change what is given (None: as it is); an edit that changes nothing writes nothing.

    Raises: NotFound, Stale, SystemRetired, SystemFault, MlpsGradeRefused.
    """
    system = _lock_system(session, system_id, revision)
    wanted: dict[str, Any] = {
        "name": system.name if name is None else name.strip(),
        "purpose": system.purpose if purpose is None else purpose,
        "contacts": system.contacts if contacts is None else contacts,
        "mlps_grade": system.mlps_grade if mlps_grade is None else mlps_grade,
        "zone": system.zone if zone is None else zone,
    }
    _check(**wanted)
    if all(getattr(system, field) == value for field, value in wanted.items()):
        return system
    before, had_contacts = _as_recorded(system), system.contacts
    for field, value in wanted.items():
        setattr(system, field, value)
    system.revision += 1
    personal = system.contacts != had_contacts
    _record(session, system, act="system.edit", at=at, actor=actor, before=before, personal=personal)
    session.flush()
    return system


def transfer_system(
    session: Session,
    *,
    system_id: int,
    bureau_id: int,
    at: datetime,
    actor: str,
    guards: Sequence[SystemGuard] = (),
    revision: int | None = None,
) -> System:
    """Hand the system, with all that belongs to it, to another bureau.

    Raises: NotFound, Stale, SystemRetired, BureauAbolished, and what a guard refuses with.
    """
    serialise(session, TREE_LOCK)
    system = _lock_system(session, system_id, revision)
    if system.bureau_id == bureau_id:
        return system
    hold_bureau(session, bureau_id)
    hand_over(session, system=system, bureau_id=bureau_id, at=at, actor=actor, guards=guards)
    return system


def retire_system(
    session: Session,
    *,
    system_id: int,
    at: datetime,
    actor: str,
    guards: Sequence[SystemGuard] = (),
    revision: int | None = None,
) -> System:
    """End a system that holds nothing; its row stays, its tokens are revoked.

    Raises: NotFound, Stale, SystemRetired, StillHolding.
    """
    serialise(session, TREE_LOCK)
    system = _lock_system(session, system_id, revision)
    held = [
        kind
        for guard in guards
        for kind in guard.system_holdings(session, system_ids=[system.id]).get(system.id, ())
    ]
    if held:
        raise StillHolding.of({system.code: held})
    before = _as_recorded(system)
    system.retired_at = at
    system.revision += 1
    live = (Token.system_id == system.id) & Token.revoked_at.is_(None)
    session.execute(update(Token).where(live).values(revoked_at=at))
    session.execute(update(SystemOwner).where(_owns(system)).values(valid_to=closing(SystemOwner, at)))
    _record(session, system, act="system.retire", at=at, actor=actor, before=before)
    session.flush()
    return system


def hand_over(
    session: Session,
    *,
    system: System,
    bureau_id: int,
    at: datetime,
    actor: str,
    guards: Sequence[SystemGuard],
) -> None:
    """Make a locked system that of another, locked bureau; the guards hear of a retired one nothing."""
    before, old_bureau_id = _as_recorded(system), system.bureau_id
    system.bureau_id = bureau_id
    system.revision += 1
    if system.retired_at is None:
        close = update(SystemOwner).where(_owns(system)).values(valid_to=closing(SystemOwner, at))
        closed_at = session.execute(close.returning(SystemOwner.valid_to)).scalar_one()
        session.add(SystemOwner(system_id=system.id, bureau_id=bureau_id, valid_from=closed_at))
    _record(session, system, act="system.transfer", at=at, actor=actor, before=before)
    session.flush()
    if system.retired_at is None:
        for guard in guards:
            guard.on_transfer(
                session,
                system_id=system.id,
                old_bureau_id=old_bureau_id,
                new_bureau_id=bureau_id,
                at=at,
                actor=actor,
            )


def _lock_system(session: Session, system_id: int, revision: int | None) -> System:
    system = session.scalar(locked(select(System).where(System.id == system_id)))
    if system is None:
        raise NotFound(what_zh="信息系统", what_en="information system", key=system_id)
    if revision is not None and revision != system.revision:
        raise Stale(seen=revision, now=system.revision)
    if system.retired_at is not None:
        raise SystemRetired(name=shown(system.name), code=system.code)
    return system


def _add_unless_taken(session: Session, system: System) -> None:
    holder = find_system(session, code=system.code)
    if holder is not None:
        raise CodeTaken(taken=system.code, holder=shown(holder.name))
    try:
        with session.begin_nested():
            session.add(system)
    except IntegrityError as error:
        raise CodeTaken(taken=system.code, holder=shown(system.name)) from error


def _check(*, name: str, purpose: str, contacts: str, mlps_grade: int, zone: str) -> None:
    _refuse(text_fault(name, field="name"))
    for field, text, limit in (("purpose", purpose, MAX_PURPOSE), ("contacts", contacts, MAX_CONTACTS)):
        if len(text) > limit:
            _refuse(Fault("too_long", {"field": field, "length": len(text), "limit": limit}))
        if "\0" in text:
            _refuse(Fault("control", {"field": field, "place": text.index("\0") + 1, "mark": "U+0000"}))
    if mlps_grade not in MLPS_GRADES:
        raise MlpsGradeRefused(grade=mlps_grade)
    if zone not in ZONES:
        _refuse(Fault("unknown_zone", {"zone": shown(zone), "expected": ", ".join(ZONES)}))


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        raise SystemFault.of(fault)


def _owns(system: System) -> Any:
    return (SystemOwner.system_id == system.id) & SystemOwner.valid_to.is_(None)


def _as_recorded(system: System) -> dict[str, Any]:
    """What the journal keeps of a system: not its contacts, which name people."""
    fields = ("code", "name", "bureau_id", "purpose", "mlps_grade", "zone", "retired_at")
    return {field: getattr(system, field) for field in fields}


def _record(
    session: Session,
    system: System,
    *,
    act: str,
    at: datetime,
    actor: str,
    before: dict[str, Any] | None = None,
    personal: bool = False,
) -> None:
    journal.append(
        session,
        actor=actor,
        act=act,
        subject=f"system:{system.id}",
        bureau_id=system.bureau_id,
        at=at,
        before=before,
        after=_as_recorded(system),
        personal=personal,
    )
