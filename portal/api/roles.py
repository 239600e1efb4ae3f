"""Roles of people: whose they are, giving and ending them. Who may do so is decided in identity/service/."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from identity.queries import find_bureaus, get_bureau
from identity.roles import Permission, Role
from identity.service.directory import get_person, list_holders
from identity.service.roles import end_role, get_role_of, give_role, list_roles
from portal.access import At, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.numbers import RowId
from portal.once import Once

router = api_router("people")

Reader = Annotated[Asker, needs(Permission.roles_see)]
Giver = Annotated[Asker, needs(Permission.roles_give)]


class RoleOut(Out):
    """A role that a person holds at a bureau and all below it."""

    id: int
    role: Role = Field(examples=["bureau_member"])
    bureau: str = Field(examples=["1306-mzj"])
    since: datetime


class HolderOut(RoleOut):
    """The same with who holds it."""

    login: str = Field(examples=["zhang.san"])
    name: str = Field(examples=["张三"])


class NewRole(In):
    """The role to be given, and where."""

    role: Role = Field(examples=["bureau_member"])
    bureau: str = Field(max_length=64, examples=["1306-mzj"])


@router.get("/bureaus/{code}/roles")
def holders(
    asker: Reader, session: Writing, at: At, code: str, cursor: Cursor = "", limit: Limit = 100
) -> Page[HolderOut]:
    """Who holds roles at that very bureau; the look is journalled."""
    place = get_bureau(session, code=code)
    found = list_holders(
        session, actor=asker.actor, bureau_id=place.id, at=at, after_id=id_of(cursor) or 0, limit=limit + 1
    )
    return page_of(
        found,
        limit,
        shown=lambda row: HolderOut(
            id=row[0].id,
            role=Role(row[0].role),
            bureau=place.code,
            since=row[0].valid_from,
            login=row[1].login,
            name=row[1].name,
        ),
        place=lambda row: row[0].id,
    )


@router.get("/people/{login}/roles")
def roles(asker: Reader, session: Writing, at: At, login: str) -> Page[RoleOut]:
    """The roles that a person holds now, the oldest first; all on one page. The look is journalled."""
    person = get_person(session, actor=asker.actor, login=login, at=at)
    asker.at(session, person.bureau_id)
    held = list_roles(session, person_id=person.id)
    places = find_bureaus(session, {each.bureau_id for each in held})
    items = [
        RoleOut(id=each.id, role=Role(each.role), bureau=places[each.bureau_id].code, since=each.valid_from)
        for each in held
    ]
    return Page(items=items, next=None)


@router.post("/people/{login}/roles", status_code=201)
def give(asker: Giver, session: Writing, at: At, once: Once, login: str, body: NewRole) -> RoleOut:
    """Let a person hold a role at a bureau and all below it."""
    person = get_person(session, actor=asker.actor, login=login, at=at)
    place = get_bureau(session, code=body.bureau)

    def act() -> RoleOut:
        given = give_role(
            session, actor=asker.actor, person_id=person.id, role=body.role, bureau_id=place.id, at=at
        )
        return RoleOut(id=given.id, role=body.role, bureau=place.code, since=given.valid_from)

    return once(body, act)


@router.delete("/people/{login}/roles/{role_id}", status_code=204)
def end(asker: Giver, session: Writing, at: At, login: str, role_id: RowId) -> None:
    """End a role now; one that has ended already stays as it is."""
    person = get_person(session, actor=asker.actor, login=login, at=at)
    held = get_role_of(session, person=person, assignment_id=role_id)
    end_role(session, actor=asker.actor, assignment_id=held.id, at=at)
