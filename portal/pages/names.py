"""What to call who acted, for pages that show the journal's entries."""

from collections.abc import Collection

from sqlalchemy.orm import Session

from identity.queries import list_names

PLATFORM = ("平台", "the platform")
SERVICE = ("系统令牌", "a system's token")


def names_of_actors(session: Session, actors: Collection[str]) -> dict[str, tuple[str, str]]:
    """What to call each of the journal's actors ('person:12', 'token:3', 'installation'), zh and en."""
    ids = {one: int(one.removeprefix("person:")) for one in actors if one.startswith("person:")}
    names = list_names(session, person_ids=ids.values())
    found: dict[str, tuple[str, str]] = {}
    for one in actors:
        name = names.get(ids[one]) if one in ids else None
        found[one] = (name, name) if name else SERVICE if one.startswith("token:") else PLATFORM
    return found
