"""Information systems: list, register, edit, hand over to another bureau, retire."""

from datetime import datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Bureau, System
from identity.queries import find_bureaus, get_bureau, get_system, list_system_owners, list_systems_within
from identity.roles import Permission
from identity.service.directory import look_at_contacts
from identity.service.systems import edit_system, register_system, retire_system, transfer_system
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, page_of
from portal.guards import SYSTEM_GUARDS
from portal.needs import Asker, needs
from portal.once import Once
from portal.revisions import Seen, tag

router = api_router("systems")

Manager = Annotated[Asker, needs(Permission.systems_edit)]
Reader = Annotated[Asker, needs(Permission.systems_see)]


class SystemOut(Out):
    """One information system."""

    code: str = Field(examples=["1306-mzj-s1"])
    name: str = Field(examples=["智慧民生服务"])
    bureau: str = Field(examples=["1306-mzj"])
    mlps_grade: int = Field(examples=[2])
    zone: str = Field(examples=["extranet"])
    retired_at: datetime | None
    revision: int

    @classmethod
    def of(cls, system: System, owner: Bureau) -> "SystemOut":
        """As the rows have it."""
        return cls(
            code=system.code,
            name=system.name,
            bureau=owner.code,
            mlps_grade=system.mlps_grade,
            zone=system.zone,
            retired_at=system.retired_at,
            revision=system.revision,
        )


class SystemWhole(SystemOut):
    """The same with what it is for and whom to call; a look at the contacts is journalled."""

    purpose: str
    contacts: str = Field(examples=["王工，3088123"])
    created_at: datetime


class OwnerOut(Out):
    """Which bureau owned a system from when until when (null: still)."""

    bureau: str = Field(examples=["1306-mzj"])
    valid_from: datetime
    valid_to: datetime | None


class Registration(In):
    """A system to be registered; MLPS grade 4 and above is refused."""

    code: str = Field(max_length=1000, examples=["1306-mzj-s9"])
    name: str = Field(max_length=1000, examples=["婚姻登记预约"])
    mlps_grade: int = Field(examples=[2])
    zone: str = Field(max_length=64, examples=["extranet"])
    purpose: str = Field(default="", max_length=10_000)
    contacts: str = Field(default="", max_length=10_000)


class SystemEdit(In):
    """What changes; what is left out stays."""

    name: str | None = Field(default=None, max_length=1000, examples=["婚姻登记预约与查询"])
    mlps_grade: int | None = Field(default=None, examples=[3])
    zone: str | None = Field(default=None, max_length=64, examples=["extranet"])
    purpose: str | None = Field(default=None, max_length=10_000, examples=["网上预约婚姻登记"])
    contacts: str | None = Field(default=None, max_length=10_000, examples=["孙民政，0312-0000000"])


class Transfer(In):
    """The bureau that takes the system over."""

    bureau: str = Field(max_length=64, examples=["1306-rsj"])


@router.get("/systems")
def systems(
    asker: Reader,
    session: Reading,
    search: Annotated[
        str, Query(max_length=255, description="代码、名称或单位名称包含 · part of a name")
    ] = "",
    retired: Annotated[bool, Query(description="含已注销的 · retired ones too")] = False,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[SystemOut]:
    """The information systems of every bureau that you may see, by code."""
    rows = list_systems_within(
        session,
        bureau_ids=asker.scope(session),
        search=search,
        with_retired=retired,
        after_code=cursor,
        limit=limit + 1,
    )
    return _page(rows, limit)


@router.get("/bureaus/{code}/systems")
def systems_of_bureau(
    asker: Reader,
    session: Reading,
    code: str,
    retired: Annotated[bool, Query(description="含已注销的 · retired ones too")] = False,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[SystemOut]:
    """The information systems of one bureau, by code."""
    found = get_bureau(session, code=code)
    asker.at(session, found.id)
    rows = list_systems_within(
        session, bureau_ids=[found.id], with_retired=retired, after_code=cursor, limit=limit + 1
    )
    return _page(rows, limit)


@router.post("/bureaus/{code}/systems", status_code=201)
def register(
    asker: Manager, session: Writing, at: At, once: Once, code: str, body: Registration
) -> SystemOut:
    """Register an information system of the bureau."""
    owner = get_bureau(session, code=code)
    asker.at(session, owner.id)

    def act() -> SystemOut:
        made = register_system(
            session, bureau_id=owner.id, at=at, actor=asker.actor.journal_id, **body.model_dump()
        )
        return SystemOut.of(made, owner)

    return once(body, act)


@router.get("/systems/{code}")
def system(asker: Reader, session: Writing, at: At, response: Response, code: str) -> SystemWhole:
    """One information system, retired ones too."""
    found = get_system(session, code=code)
    asker.at(session, found.bureau_id)
    contacts = look_at_contacts(session, actor=asker.actor, system=found, at=at)
    tag(response, found.revision)
    short = SystemOut.of(found, session.get_one(Bureau, found.bureau_id))
    return SystemWhole(
        **short.model_dump(), purpose=found.purpose, contacts=contacts, created_at=found.created_at
    )


@router.get("/systems/{code}/owners")
def owners(asker: Reader, session: Reading, code: str) -> Page[OwnerOut]:
    """Which bureaus owned the system, the first one first; all on one page."""
    found = get_system(session, code=code)
    asker.at(session, found.bureau_id)
    rows = list_system_owners(session, system_id=found.id)
    named = find_bureaus(session, {row.bureau_id for row in rows})
    items = [
        OwnerOut(bureau=named[row.bureau_id].code, valid_from=row.valid_from, valid_to=row.valid_to)
        for row in rows
    ]
    return Page(items=items, next=None)


@router.patch("/systems/{code}")
def edit(
    asker: Manager, session: Writing, at: At, response: Response, code: str, body: SystemEdit, seen: Seen
) -> SystemOut:
    """Change what is given; what is left out stays."""
    found = get_system(session, code=code)
    asker.at(session, found.bureau_id)
    actor = asker.actor.journal_id
    done = edit_system(session, system_id=found.id, at=at, actor=actor, revision=seen, **body.model_dump())
    return _shown(session, response, done)


@router.post("/systems/{code}/transfer")
def transfer(
    asker: Manager, session: Writing, at: At, response: Response, code: str, body: Transfer, seen: Seen
) -> SystemOut:
    """Hand the system, with its servers, tokens and subscriptions, to a bureau that you manage as well.

    Its tokens act for the new bureau at once: who hands over may therefore manage systems at both.
    """
    found, heir = get_system(session, code=code), get_bureau(session, code=body.bureau)
    asker.at(session, found.bureau_id)
    asker.at(session, heir.id)
    done = transfer_system(
        session,
        system_id=found.id,
        bureau_id=heir.id,
        at=at,
        actor=asker.actor.journal_id,
        guards=SYSTEM_GUARDS,
        revision=seen,
    )
    return _shown(session, response, done)


@router.post("/systems/{code}/retirement")
def retire(asker: Manager, session: Writing, at: At, response: Response, code: str, seen: Seen) -> SystemOut:
    """End a system that holds nothing; its tokens are revoked."""
    found = get_system(session, code=code)
    asker.at(session, found.bureau_id)
    done = retire_system(
        session,
        system_id=found.id,
        at=at,
        actor=asker.actor.journal_id,
        guards=SYSTEM_GUARDS,
        revision=seen,
    )
    return _shown(session, response, done)


def _page(rows: list[tuple[System, Bureau]], limit: int) -> Page[SystemOut]:
    return page_of(rows, limit, shown=lambda row: SystemOut.of(*row), place=lambda row: row[0].code)


def _shown(session: Session, response: Response, system: System) -> SystemOut:
    tag(response, system.revision)
    return SystemOut.of(system, session.get_one(Bureau, system.bureau_id))
