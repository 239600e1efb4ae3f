"""The tree of bureaus, read: as it is, as it stood at an instant, and each unit's history."""

from datetime import datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import (
    find_bureaus,
    get_bureau,
    list_bureaus,
    list_codes_at,
    list_tree_at,
    list_versions,
)
from identity.roles import Permission
from portal.access import At, Reading
from portal.api.shapes import Cursor, Instant, Limit, Out, Page, api_router, page_of
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


class BureauWhole(BureauOut):
    """The same with its place, and when it was abolished if it was."""

    parent: str | None = Field(examples=["1306"])
    abolished_at: datetime | None

    @classmethod
    def of(cls, session: Session, bureau: Bureau) -> "BureauWhole":
        """As the row has it."""
        parent = None if bureau.parent_id is None else session.get_one(Bureau, bureau.parent_id).code
        short = BureauOut.model_validate(bureau)
        return cls(**short.model_dump(), parent=parent, abolished_at=bureau.abolished_at)


class UnitVersionOut(Out):
    """What a unit was from `valid_from` until `valid_to` (null: still); `parent` is its parent's code now."""

    code: str = Field(examples=["130624"])
    name: str = Field(examples=["阜平县"])
    level: str = Field(examples=["county"])
    parent: str | None = Field(examples=["1306"])
    valid_from: datetime
    valid_to: datetime | None


class UnitThen(Out):
    """A unit as it was then; `parent` is the code that its parent had then."""

    code: str = Field(examples=["130624"])
    name: str = Field(examples=["阜平县"])
    level: str = Field(examples=["county"])
    parent: str | None = Field(examples=["1306"])


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
    return page_of(found, limit, shown=BureauOut.model_validate, place=lambda one: one.code)


@router.get("/bureaus/{code}")
def bureau(
    asker: Annotated[Asker, needs(Permission.bureaus_see)], session: Reading, response: Response, code: str
) -> BureauWhole:
    """One bureau by its code now, abolished ones too."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    tag(response, found.revision)
    return BureauWhole.of(session, found)


@router.get("/bureaus/{code}/history")
def history(
    asker: Annotated[Asker, needs(Permission.bureaus_see)], session: Reading, code: str
) -> Page[UnitVersionOut]:
    """What the unit was called and where it stood, the oldest first; all on one page."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    versions = list_versions(session, bureau_id=found.id)
    parents = find_bureaus(session, {each.parent_id for each in versions if each.parent_id is not None})
    items = [
        UnitVersionOut(
            code=each.code,
            name=each.name,
            level=each.level,
            parent=None if each.parent_id is None else parents[each.parent_id].code,
            valid_from=each.valid_from,
            valid_to=each.valid_to,
        )
        for each in versions
    ]
    return Page(items=items, next=None)


@router.get("/tree")
def tree(
    asker: Annotated[Asker, needs(Permission.bureaus_see)],
    session: Reading,
    now: At,
    at: Annotated[
        Instant | None, Query(description="时刻，不给则为现在 · the instant; now if left out")
    ] = None,
    top: Annotated[str | None, Query(max_length=64, description="只看该单位及其下级（按现代码）")] = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[UnitThen]:
    """The tree as it stood at an instant, by the codes of then; `top` (its code now) and what was below."""
    asker.at(session, asker.actor.bureau_id)
    then = at or now
    top_id = get_bureau(session, code=top).id if top else None
    found = list_tree_at(session, at=then, top_id=top_id, after_code=cursor, limit=limit + 1)
    parents = list_codes_at(session, at=then, bureau_ids={one.parent_id for one in found if one.parent_id})
    return page_of(
        found,
        limit,
        shown=lambda one: UnitThen(
            code=one.code, name=one.name, level=one.level, parent=parents.get(one.parent_id or 0)
        ),
        place=lambda one: one.code,
    )
