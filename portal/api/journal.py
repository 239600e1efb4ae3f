"""The audit journal: entries by page, and whether all of it is as it was written. For auditors."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlalchemy.orm import Session

from identity.queries import find_bureaus, find_persons, get_bureau, list_descendant_ids
from identity.roles import Permission
from identity.service.people import find_person_by_login
from infra import journal
from infra.database import reading
from portal.access import At, Here, Writing
from portal.api.shapes import Cursor, Instant, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs

router = api_router("journal")

Auditor = Annotated[Asker, needs(Permission.journal_read)]


class EntryOut(Out):
    """One act; `seq` is its place in the chain, null until it is sealed; `login` is a person's who acted."""

    id: int
    seq: int | None
    at: datetime
    actor: str = Field(examples=["person:12"])
    login: str | None = Field(examples=["minzheng"])
    act: str = Field(examples=["role.give"])
    subject: str = Field(examples=["person:12"])
    bureau: str | None = Field(examples=["1306-mzj"])
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    personal: bool


class BreakOut(Out):
    """Where the chain first fails: its place, the entry if one is known there, and why."""

    why: str = Field(examples=["changed"])
    seq: int | None
    entry_id: int | None


class VerificationOut(Out):
    """What a pass over the whole journal found; `heads` signed heads outside of the database were checked."""

    whole: bool
    sealed: int
    unsealed: int
    heads: int
    broken: BreakOut | None
    forged_head_line: int | None


@router.get("/journal")
def entries(
    asker: Auditor,
    session: Writing,
    at: At,
    actor: Annotated[
        str, Query(max_length=64, description="登录名，或 person:12、token:3 等 · a login, or as in `actor`")
    ] = "",
    act: Annotated[
        str, Query(max_length=64, description="行为的开头，如 case. · how the act begins, such as case.")
    ] = "",
    subject: Annotated[str, Query(max_length=255, examples=["case:12"])] = "",
    personal: Annotated[bool, Query(description="只看个人信息处理 · personal data only")] = False,
    bureau: Annotated[
        str | None, Query(max_length=64, description="该单位及其下级 · the unit and all below it")
    ] = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[EntryOut]:
    """Entries, newest first, of the bureaus that you audit. A look at personal data is an entry itself."""
    wanted = journal.Wanted(
        actor=_actor(session, actor),
        act=act,
        subject=subject,
        personal=personal,
        bureau_ids=_bureaus(session, asker, bureau),
        since=since,
        until=until,
    )
    found = journal.read_entries(
        session,
        wanted,
        reader=asker.actor.journal_id,
        at=at,
        before_id=id_of(cursor),
        limit=limit + 1,
    )
    bureaus = find_bureaus(session, {entry.bureau_id for entry, _ in found if entry.bureau_id})
    people = find_persons(session, {number for entry, _ in found if (number := _person(entry.actor))})

    def shown(row: tuple[journal.JournalEntry, int | None]) -> EntryOut:
        entry, seq = row
        person, place = people.get(_person(entry.actor) or 0), bureaus.get(entry.bureau_id or 0)
        return EntryOut(
            id=entry.id,
            seq=seq,
            at=entry.at,
            actor=entry.actor,
            login=None if person is None else person.login,
            act=entry.act,
            subject=entry.subject,
            bureau=None if place is None else place.code,
            before=entry.before,
            after=entry.after,
            personal=entry.personal,
        )

    return page_of(found, limit, shown=shown, place=lambda row: row[0].id)


@router.get("/journal/verification")
def verification(asker: Auditor, here: Here) -> VerificationOut:
    """Check the whole chain and its signed heads now; how long it takes grows with the journal."""
    with reading(here.engine) as session:
        asker.at(session, None)
    return VerificationOut.model_validate(
        journal.verify(here.engine, journal.read_own_heads(here.settings.data_dir))
    )


def _bureaus(session: Session, asker: Asker, code: str | None) -> Collection[int] | None:
    """Which bureaus' entries: of one and those below it, for who audits there, or of all that are audited."""
    if code is None:
        return asker.scope(session)
    top = get_bureau(session, code=code)
    asker.at(session, top.id)
    return [top.id, *list_descendant_ids(session, top.id)]


def _actor(session: Session, told: str) -> str:
    """The actor as the journal names it; an unknown login is taken as it is, and finds nothing."""
    person = find_person_by_login(session, login=told)
    return told if person is None else f"person:{person.id}"


def _person(actor: str) -> int | None:
    kind, _, number = actor.partition(":")
    return int(number) if kind == "person" and number.isascii() and number.isdigit() else None
