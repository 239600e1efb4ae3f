"""Reorganises one unit of the tree, with history: rename, recode, move, merge, abolish (撤并)."""

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from identity.errors import BureauFault, CodeTaken, MoveCycle
from identity.faults import Fault
from identity.guard import SystemGuard, TreeGuard
from identity.levels import LEVELS, Place, is_territorial_code, place_fault
from identity.models import Bureau, Person, System
from identity.names import code_fault, shown, text_fault, twin_key
from identity.queries import find_bureau, is_within, list_children
from identity.service.abolition import abolish_all, refuse_abolished
from identity.service.history import as_recorded, turn_over
from identity.service.systems import hand_over
from identity.service.tree import TREE_LOCK
from infra import journal
from infra.database import locked, serialise
from infra.errors import NotFound, Stale


def rename(
    session: Session, *, bureau_id: int, name: str, at: datetime, actor: str, revision: int | None = None
) -> Bureau:
    """Give the unit another name; its present name again changes nothing.

    Raises: NotFound, Stale, BureauAbolished, BureauFault, OutOfOrder.
    """
    bureau = _lock(session, bureau_id, revision)
    name = name.strip()
    _refuse(text_fault(name, field="name"))
    if name == bureau.name:
        return bureau
    _refuse_twin(session, bureau, name=name, parent_id=bureau.parent_id)

    def change() -> None:
        bureau.name = name

    return _change(session, bureau, change, act="bureau.rename", at=at, actor=actor)


def recode(
    session: Session, *, bureau_id: int, code: str, at: datetime, actor: str, revision: int | None = None
) -> Bureau:
    """Give the unit another code, of the same sort (territorial or of a bureau).

    Raises: NotFound, Stale, BureauAbolished, BureauFault, CodeTaken, OutOfOrder.
    """
    bureau = _lock(session, bureau_id, revision)
    code = code.strip()
    _refuse(code_fault(code))
    if code == bureau.code:
        return bureau
    if is_territorial_code(code) != is_territorial_code(bureau.code):
        raise BureauFault.of(Fault("other_sort_of_code", {"code": code, "old": bureau.code}))
    holder = find_bureau(session, code=code)
    if holder is not None:
        raise CodeTaken(taken=code, holder=shown(holder.name))

    def change() -> None:
        bureau.code = code

    return _change(session, bureau, change, act="bureau.recode", at=at, actor=actor)


def move(
    session: Session,
    *,
    bureau_id: int,
    parent_id: int,
    level: str | None = None,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard] = (),
    revision: int | None = None,
) -> Bureau:
    """Put the unit, with all below it, under another parent.

    `level` is its new level; by default a territorial unit keeps its own and a bureau takes its parent's.
    Raises: NotFound, Stale, BureauAbolished, BureauFault, MoveCycle, OutOfOrder, what a guard refuses with.
    """
    bureau = _lock(session, bureau_id, revision)
    parent = _lock(session, parent_id, None)
    return _move(session, bureau, parent, level=level, at=at, actor=actor, guards=guards)


def merge(
    session: Session,
    *,
    bureau_id: int,
    successor_id: int,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard] = (),
    system_guards: Sequence[SystemGuard] = (),
    revision: int | None = None,
) -> Bureau:
    """Hand the unit's persons, systems, living children and what guards know of to the successor; abolish it.

    Roles held at the unit end and are not carried over: nobody gains power over the successor by a merger.
    Returns it. Raises: what `move` and `abolish` raise, and what a guard refuses with.
    """
    bureau = _lock(session, bureau_id, revision)
    successor = _lock(session, successor_id, None)
    _refuse_cycle(session, bureau, successor)
    for child in list_children(session, bureau_id=bureau.id):
        _move(
            session, _lock(session, child.id, None), successor, level=None, at=at, actor=actor, guards=guards
        )
    owned = select(System).where(System.bureau_id == bureau.id).order_by(System.id)
    for system in session.scalars(locked(owned)).all():
        hand_over(session, system=system, bureau_id=successor.id, at=at, actor=actor, guards=system_guards)
    there = (Person.bureau_id == bureau.id) & Person.departed_at.is_(None)
    persons = session.scalars(select(Person.id).where(there).order_by(Person.id)).all()
    session.execute(
        update(Person).where(there).values(bureau_id=successor.id, revision=Person.revision + 1),
        execution_options={"synchronize_session": "fetch"},
    )
    for guard in guards:
        guard.on_merge(session, bureau_id=bureau.id, successor_id=successor.id, at=at, actor=actor)
    journal.append(
        session,
        actor=actor,
        act="bureau.merge",
        subject=f"bureau:{bureau.id}",
        bureau_id=bureau.id,
        at=at,
        after={"successor_id": successor.id, "person_ids": persons},
        personal=bool(persons),
    )
    abolish_all(session, bureaus=[bureau], at=at, actor=actor, guards=guards)
    return bureau


def abolish(
    session: Session,
    *,
    bureau_id: int,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard] = (),
    revision: int | None = None,
) -> Bureau:
    """End a unit that holds nothing; its row and its history stay.

    Raises: NotFound, Stale, BureauAbolished, StillHolding, OutOfOrder.
    """
    bureau = _lock(session, bureau_id, revision)
    abolish_all(session, bureaus=[bureau], at=at, actor=actor, guards=guards)
    return bureau


def _lock(session: Session, bureau_id: int, revision: int | None) -> Bureau:
    """The living unit, its row and the tree locked, as the person saw it."""
    serialise(session, TREE_LOCK)
    bureau = session.scalar(locked(select(Bureau).where(Bureau.id == bureau_id)))
    if bureau is None:
        raise NotFound(what_zh="单位", what_en="bureau", key=bureau_id)
    if revision is not None and revision != bureau.revision:
        raise Stale(seen=revision, now=bureau.revision)
    refuse_abolished(bureau)
    return bureau


def _move(
    session: Session,
    bureau: Bureau,
    parent: Bureau,
    *,
    level: str | None,
    at: datetime,
    actor: str,
    guards: Sequence[TreeGuard],
) -> Bureau:
    _refuse_cycle(session, bureau, parent)
    level = level or (bureau.level if bureau.is_territorial else parent.level)
    if level not in LEVELS:
        raise BureauFault.of(Fault("unknown_level", {"level": shown(level), "expected": ", ".join(LEVELS)}))
    old_parent_id = bureau.parent_id
    if parent.id == old_parent_id and level == bureau.level:
        return bureau
    moved = Place(bureau.code, level, bureau.is_territorial)
    _refuse(place_fault(moved, _place(parent)))
    for child in list_children(session, bureau_id=bureau.id):
        _refuse(place_fault(_place(child), moved))
    _refuse_twin(session, bureau, name=bureau.name, parent_id=parent.id)

    def change() -> None:
        bureau.parent_id, bureau.level = parent.id, level

    _change(session, bureau, change, act="bureau.move", at=at, actor=actor)
    if parent.id != old_parent_id:
        for guard in guards:
            guard.on_move(
                session,
                bureau_id=bureau.id,
                old_parent_id=old_parent_id,
                new_parent_id=parent.id,
                at=at,
                actor=actor,
            )
    return bureau


def _change(
    session: Session, bureau: Bureau, change: Callable[[], None], *, act: str, at: datetime, actor: str
) -> Bureau:
    before = as_recorded(bureau)
    change()
    bureau.revision += 1
    session.flush()
    turn_over(session, bureaus=[bureau], at=at)
    journal.append(
        session,
        actor=actor,
        act=act,
        subject=f"bureau:{bureau.id}",
        bureau_id=bureau.id,
        at=at,
        before=before,
        after=as_recorded(bureau),
    )
    return bureau


def _place(bureau: Bureau) -> Place:
    return Place(bureau.code, bureau.level, bureau.is_territorial)


def _refuse(fault: Fault | None) -> None:
    if fault is not None:
        raise BureauFault.of(fault)


def _refuse_cycle(session: Session, bureau: Bureau, target: Bureau) -> None:
    if is_within(session, bureau_id=target.id, top_id=bureau.id):
        raise MoveCycle(bureau=bureau.code, target=target.code)


def _refuse_twin(session: Session, bureau: Bureau, *, name: str, parent_id: int | None) -> None:
    beside = select(Bureau.code, Bureau.name).where(
        Bureau.parent_id == parent_id if parent_id is not None else Bureau.parent_id.is_(None),
        Bureau.id != bureau.id,
        Bureau.abolished_at.is_(None),
    )
    for other, other_name in session.execute(beside):
        if twin_key(other_name) == twin_key(name):
            raise BureauFault.of(
                Fault("twin", {"name": shown(name), "other": other, "other_name": shown(other_name)})
            )
