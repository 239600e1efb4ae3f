"""Rows and names by id, for pages that list things with their bureaus, systems and people."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import System
from identity.queries import list_names

PLATFORM = ("平台", "the platform")
SERVICE = ("系统令牌", "a system's token")


def systems_of(session: Session, ids: Collection[int | None]) -> dict[int, System]:
    """Information systems by id."""
    wanted = {one for one in ids if one is not None}
    return {one.id: one for one in session.scalars(select(System).where(System.id.in_(wanted)))}


def names_of_actors(session: Session, actors: Collection[str]) -> dict[str, tuple[str, str]]:
    """What to call each of the journal's actors ('person:12', 'token:3', 'installation'), zh and en."""
    ids = {one: int(one.removeprefix("person:")) for one in actors if one.startswith("person:")}
    names = list_names(session, person_ids=ids.values())
    found: dict[str, tuple[str, str]] = {}
    for one in actors:
        name = names.get(ids[one]) if one in ids else None
        found[one] = (name, name) if name else SERVICE if one.startswith("token:") else PLATFORM
    return found
