"""The tree of bureaus and their information systems, read."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from identity.models import Bureau, System
from identity.queries import get_bureau, list_bureaus, list_systems
from identity.roles import Permission
from portal.access import Reading
from portal.api.shapes import Cursor, Limit, Out, Page, api_router, page_of
from portal.needs import Asker, needs
from portal.revisions import tag

router = api_router("bureaus")


class BureauOut(Out):
    """One unit of the tree."""

    code: str = Field(examples=["130624"])
    name: str = Field(examples=["阜平县"])
    level: str = Field(examples=["county"])
    is_territorial: bool
    revision: int


class SystemOut(Out):
    """One information system."""

    code: str = Field(examples=["1306-mzj-s1"])
    name: str = Field(examples=["智慧民生服务"])
    mlps_grade: int = Field(examples=[2])
    zone: str = Field(examples=["extranet"])
    revision: int


@router.get("/bureaus")
def bureaus(
    asker: Annotated[Asker, needs(Permission.bureaus_see)],
    session: Reading,
    parent: Annotated[str | None, Query(max_length=64, examples=["1306"])] = None,
    level: Annotated[str | None, Query(max_length=16, examples=["county"])] = None,
    name: Annotated[str | None, Query(max_length=255, description="名称包含 · part of the name")] = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[BureauOut]:
    """Living bureaus by code; `parent` keeps those right below that code."""
    asker.at(session, asker.actor.bureau_id)
    parent_id = get_bureau(session, code=parent).id if parent else None
    found = list_bureaus(
        session, parent_id=parent_id, level=level, name_part=name, after_code=cursor, limit=limit + 1
    )
    return page_of(found, limit, shown=BureauOut.model_validate, place=_code)


@router.get("/bureaus/{code}")
def bureau(
    asker: Annotated[Asker, needs(Permission.bureaus_see)], session: Reading, response: Response, code: str
) -> BureauOut:
    """One bureau by its code now."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    tag(response, found.revision)
    return BureauOut.model_validate(found)


@router.get("/bureaus/{code}/systems")
def systems(
    asker: Annotated[Asker, needs(Permission.systems_see)],
    session: Reading,
    code: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[SystemOut]:
    """The living information systems of a bureau, by code."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    rows = list_systems(session, bureau_id=found.id, after_code=cursor, limit=limit + 1)
    return page_of(rows, limit, shown=SystemOut.model_validate, place=_code)


def _code(row: Bureau | System) -> str:
    return row.code
