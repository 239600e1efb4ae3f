"""People's accounts: list, add, reset a password, depart. Who may do so is decided in identity/service/."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Person
from identity.queries import find_bureaus, get_bureau
from identity.roles import Permission
from identity.service.directory import get_person, list_people
from identity.service.people import add_person, depart_person, reset_password
from portal.access import At, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs

router = api_router("people")

Editor = Annotated[Asker, needs(Permission.people_edit)]
Reader = Annotated[Asker, needs(Permission.people_see)]


class PersonOut(Out):
    """One account."""

    login: str = Field(examples=["zhang.san"])
    name: str = Field(examples=["张三"])
    bureau: str = Field(examples=["1306-mzj"])
    must_change_password: bool
    locked_until: datetime | None
    created_at: datetime
    departed_at: datetime | None

    @classmethod
    def of(cls, person: Person, bureau: str) -> "PersonOut":
        """As the row has it; `bureau` is the code of the person's bureau."""
        return cls(
            login=person.login,
            name=person.name,
            bureau=bureau,
            must_change_password=person.must_change_password,
            locked_until=person.locked_until,
            created_at=person.created_at,
            departed_at=person.departed_at,
        )


class NewPerson(In):
    """An account to be made, without roles."""

    login: str = Field(max_length=1000, examples=["zhang.san"])
    name: str = Field(max_length=1000, examples=["张三"])
    bureau: str = Field(max_length=64, examples=["1306-mzj"])


class OneTimePassword(Out):
    """A password that is told this once and must be changed at the first sign-in."""

    login: str = Field(examples=["zhang.san"])
    one_time_password: str = Field(examples=["k7m2p-…"])


@router.get("/people")
def people(
    asker: Reader,
    session: Writing,
    at: At,
    bureau: Annotated[str | None, Query(max_length=64, examples=["1306-mzj"])] = None,
    departed: Annotated[bool, Query(description="含离任人员 · departed people too")] = False,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[PersonOut]:
    """The accounts that you may see, by when they were made; the look is journalled."""
    found = list_people(
        session,
        actor=asker.actor,
        at=at,
        bureau_ids={get_bureau(session, code=bureau).id} if bureau else None,
        with_departed=departed,
        after_id=id_of(cursor) or 0,
        limit=limit + 1,
    )
    homes = find_bureaus(session, {person.bureau_id for person in found})
    return page_of(
        found,
        limit,
        shown=lambda person: PersonOut.of(person, homes[person.bureau_id].code),
        place=lambda person: person.id,
    )


@router.post("/people", status_code=201)
def add(asker: Editor, session: Writing, at: At, body: NewPerson) -> OneTimePassword:
    """Make an account without roles. Its password is in this answer and nowhere else; so there is no
    Idempotency-Key: a login that is taken says that the account was made."""
    made = add_person(
        session,
        actor=asker.actor,
        login=body.login,
        name=body.name,
        bureau_id=get_bureau(session, code=body.bureau).id,
        at=at,
    )
    return OneTimePassword(login=made.person.login, one_time_password=made.one_time_password or "")


@router.get("/people/{login}")
def person(asker: Reader, session: Writing, at: At, login: str) -> PersonOut:
    """One account; the look is journalled. One that you may not see is not there for you."""
    return _shown(session, get_person(session, actor=asker.actor, login=login, at=at))


@router.post("/people/{login}/password-reset")
def reset(asker: Editor, session: Writing, at: At, login: str) -> OneTimePassword:
    """Give a person a new one-time password and end their sessions; it is in this answer and nowhere else."""
    known = get_person(session, actor=asker.actor, login=login, at=at)
    password = reset_password(session, actor=asker.actor, person_id=known.id, at=at)
    return OneTimePassword(login=known.login, one_time_password=password)


@router.post("/people/{login}/departure")
def depart(asker: Editor, session: Writing, at: At, login: str) -> PersonOut:
    """Close an account for good: its sessions and roles end, tokens that the person issued stay good."""
    known = get_person(session, actor=asker.actor, login=login, at=at)
    return _shown(session, depart_person(session, actor=asker.actor, person_id=known.id, at=at))


def _shown(session: Session, found: Person) -> PersonOut:
    return PersonOut.of(found, find_bureaus(session, [found.bureau_id])[found.bureau_id].code)
