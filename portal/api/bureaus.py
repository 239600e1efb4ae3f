"""The tree of bureaus and their information systems, read."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from identity.queries import get_bureau, list_bureaus, list_systems
from identity.roles import Permission
from identity.service.access import authorise
from portal.access import Caller, Reading

router = APIRouter(prefix="/api/v1", tags=["bureaus"])
PAGE_MAX = 500


class BureauOut(BaseModel):
    """One unit of the tree."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    level: str
    is_territorial: bool


class BureauPage(BaseModel):
    """Some of them, and where to go on: `next` is None at the end."""

    bureaus: list[BureauOut]
    next: str | None


class SystemOut(BaseModel):
    """One information system."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    name: str
    mlps_grade: int
    zone: str


@router.get("/bureaus")
def bureaus(
    actor: Caller,
    session: Reading,
    parent: Annotated[str | None, Query(max_length=64)] = None,
    level: Annotated[str | None, Query(max_length=16)] = None,
    cursor: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
) -> BureauPage:
    """Living bureaus by code, `limit` a page; `parent` keeps those right below that code."""
    authorise(session, actor, Permission.bureaus_see, bureau_id=actor.bureau_id)
    parent_id = get_bureau(session, code=parent).id if parent else None
    found = list_bureaus(session, parent_id=parent_id, level=level, after_code=cursor, limit=limit + 1)
    page = [BureauOut.model_validate(one) for one in found[:limit]]
    return BureauPage(bureaus=page, next=page[-1].code if len(found) > limit else None)


@router.get("/bureaus/{code}")
def bureau(actor: Caller, session: Reading, code: str) -> BureauOut:
    """One bureau by its code now."""
    found = get_bureau(session, code=code)
    authorise(session, actor, Permission.bureaus_see, bureau_id=found.id)
    return BureauOut.model_validate(found)


@router.get("/bureaus/{code}/systems")
def systems(actor: Caller, session: Reading, code: str) -> list[SystemOut]:
    """The living information systems of a bureau."""
    found = get_bureau(session, code=code)
    authorise(session, actor, Permission.systems_see, bureau_id=found.id)
    return [SystemOut.model_validate(one) for one in list_systems(session, bureau_id=found.id)]
