"""Authorisation, in one place: whether an actor may do an act at a bureau, and where they may do it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.errors import Forbidden
from identity.models import RoleAssignment
from identity.queries import get_bureau_by_id, list_chain_ids, list_tops, subtree
from identity.roles import CITYWIDE, PERMISSION_NAMES, Permission, bureaus_with, scopes_with


def authorise(session: Session, actor: Actor, permission: Permission, *, bureau_id: int | None) -> None:
    """Let `actor` pass if they hold `permission` at the bureau or above it; None: at the whole city.

    Raises Forbidden, and NotFound for a bureau that is not there.
    """
    if may(session, actor, permission, bureau_id=bureau_id):
        return
    zh, en = PERMISSION_NAMES[permission]
    raise Forbidden(
        permission=permission.value,
        permission_zh=zh,
        permission_en=en,
        **place_facts(session, bureau_id=bureau_id),
    )


def may(session: Session, actor: Actor, permission: Permission, *, bureau_id: int | None) -> bool:
    """Whether `actor` holds `permission` at the bureau or above it; None: at the whole city."""
    if actor.kind == "installation":
        return True
    held_at = _held_at(actor, permission)
    if not held_at:
        return False
    if permission in CITYWIDE:
        return True
    if bureau_id is None:
        return actor.kind == "person" and _covers_city(session, held_at)
    if bureau_id in held_at:
        return True
    return actor.kind == "person" and not held_at.isdisjoint(list_chain_ids(session, bureau_id=bureau_id))


def scope_of(session: Session, actor: Actor, permission: Permission) -> set[int] | None:
    """The bureaus at which `actor` holds `permission`, for filtering lists; None: all; an empty set: none."""
    held_at = _held_at(actor, permission)
    if actor.kind == "installation" or (held_at and permission in CITYWIDE):
        return None
    if actor.kind == "service":
        return set(held_at)
    if _covers_city(session, held_at):
        return None
    return {below for top_id in held_at for below in session.scalars(select(subtree(top_id).c.id))}


def permissions_of(actor: Actor) -> frozenset[Permission]:
    """What `actor` may do somewhere; for choosing what a page offers, never for letting anybody pass."""
    if actor.kind == "installation":
        return frozenset(Permission)
    return frozenset(permission for permission in Permission if _held_at(actor, permission))


def load_roles(session: Session, *, person_id: int) -> tuple[tuple[str, int], ...]:
    """The (role, bureau id) that a person holds now."""
    held = select(RoleAssignment.role, RoleAssignment.bureau_id).where(
        RoleAssignment.person_id == person_id, RoleAssignment.valid_to.is_(None)
    )
    return tuple((role, bureau_id) for role, bureau_id in session.execute(held.order_by(RoleAssignment.id)))


def place_facts(session: Session, *, bureau_id: int | None) -> dict[str, str | int | None]:
    """Where an act was asked for, as facts of an error; raises NotFound for a bureau that is not there."""
    if bureau_id is None:
        return {"bureau_id": None, "place_zh": "全市范围", "place_en": "the whole city"}
    bureau = get_bureau_by_id(session, bureau_id=bureau_id)
    return {
        "bureau_id": bureau.id,
        "bureau_code": bureau.code,
        "bureau_name": bureau.name,
        "place_zh": f"“{bureau.name}”（{bureau.code}）",
        "place_en": f"{bureau.name} ({bureau.code})",
    }


def _held_at(actor: Actor, permission: Permission) -> frozenset[int]:
    if actor.kind == "person":
        return bureaus_with(permission, actor.roles)
    granted = actor.kind == "service" and not scopes_with(permission).isdisjoint(actor.scopes)
    return frozenset({actor.bureau_id}) if granted and actor.bureau_id is not None else frozenset()


def _covers_city(session: Session, held_at: frozenset[int]) -> bool:
    top_ids = [bureau.id for bureau in list_tops(session)] if held_at else []
    return bool(top_ids) and held_at.issuperset(top_ids)
