"""Information systems: the list, one with its servers, tokens and subscriptions; register, edit, retire."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.queries import list_subscription_rows
from identity.models import Bureau, System
from identity.queries import get_bureau, get_bureau_by_id, get_system, list_systems_within
from identity.roles import Permission as P
from identity.roles import bureaus_with
from identity.service.access import may
from identity.service.directory import look_at_contacts
from identity.service.presenting import is_good
from identity.service.systems import ZONES, edit_system, register_system, retire_system
from identity.service.tokens import list_tokens
from infra.database import reading, transaction
from portal.access import At, Reading, Writing
from portal.badges import SERVER
from portal.flash import onward
from portal.form import Form, Sent, SentForm
from portal.guards import SYSTEM_GUARDS
from portal.needs import Asker, form_needs, page_needs
from portal.pages.sharing_words import SHARING
from portal.render import render
from provisioning.queries import list_servers

router = APIRouter(include_in_schema=False)
PAGE = 50
MOST_SERVERS = 200
MOST_SUBSCRIPTIONS = 50
SEEN_APART = ("servers", "tokens", "subscriptions")
BAD_GRADE = ("政务云只接受等保 1 至 3 级的系统", "The government cloud takes systems of MLPS grade 1 to 3")


@router.get("/systems")
def systems(
    request: Request,
    asker: Annotated[Asker, page_needs(P.systems_see)],
    session: Reading,
    search: Annotated[str, Query(max_length=255)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Those the reader may see, by code; `search` in code, name or owner."""
    found = list_systems_within(
        session, bureau_ids=asker.scope(session), search=search.strip(), after_code=after, limit=PAGE + 1
    )
    registers_at = bureaus_with(P.systems_edit, asker.actor.roles)
    facts = {
        "rows": found[:PAGE],
        "next": found[PAGE - 1][0].code if len(found) > PAGE else "",
        "search": search.strip(),
        "after": after,
        "registers_at": [get_bureau_by_id(session, bureau_id=one) for one in sorted(registers_at)],
    }
    return render(request, "systems.html", facts)


@router.get("/systems/{code}")
def system(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.systems_see)],
    session: Writing,
    at: At,
) -> Response:
    """One system; its servers, tokens and subscriptions for those who may see each."""
    found = get_system(session, code=code)
    return show_system(request, session, asker, found, at=at)


@router.get("/bureaus/{code}/systems/new")
def new(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.systems_edit)],
    session: Reading,
) -> Response:
    """The form for a new system of that bureau."""
    return _show_form(request, session, asker, get_bureau(session, code=code), Form.of(mlps_grade=2))


@router.post("/bureaus/{code}/systems/new")
def register(
    request: Request, code: str, asker: Annotated[Asker, form_needs(P.systems_edit)], sent: SentForm
) -> Response:
    """Register it."""
    fields = _read(sent.form)
    number = sent.form.text("code", longest=64)

    def act(session: Session) -> str:
        owner = get_bureau(session, code=code)
        asker.at(session, owner.id)
        actor = asker.actor.journal_id
        made = register_system(session, bureau_id=owner.id, code=number, at=sent.at, actor=actor, **fields)
        return f"/systems/{made.code}"

    path = None if sent.form.is_wrong else sent.once(asker.actor, act)
    if path:
        return onward(request, path, ("信息系统已登记", "The system is registered"))
    with reading(sent.here.engine) as session:
        return _show_form(request, session, asker, get_bureau(session, code=code), sent.form)


@router.get("/systems/{code}/edit")
def edit(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.systems_edit)],
    session: Writing,
    at: At,
) -> Response:
    """The form with what is registered; the look at the contacts is journalled."""
    found = get_system(session, code=code)
    asker.at(session, found.bureau_id)
    form = Form.of(
        name=found.name,
        purpose=found.purpose,
        contacts=look_at_contacts(session, actor=asker.actor, system=found, at=at),
        mlps_grade=found.mlps_grade,
        zone=found.zone,
    )
    owner = get_bureau_by_id(session, bureau_id=found.bureau_id)
    return _show_form(request, session, asker, owner, form, found)


@router.post("/systems/{code}/edit")
def change(
    request: Request, code: str, asker: Annotated[Asker, form_needs(P.systems_edit)], sent: SentForm
) -> Response:
    """Change it as it was seen; a stale form is shown again with what was typed."""
    fields = _read(sent.form)

    def act(session: Session) -> str:
        found = get_system(session, code=code)
        asker.at(session, found.bureau_id)
        edit_system(session, system_id=found.id, **_seen(sent, asker), **fields)
        return f"/systems/{code}"

    path = None if sent.form.is_wrong else sent.once(asker.actor, act)
    if path:
        return onward(request, path, ("信息系统已更新", "The system is updated"))
    with reading(sent.here.engine) as session:
        found = get_system(session, code=code)
        owner = get_bureau_by_id(session, bureau_id=found.bureau_id)
        return _show_form(request, session, asker, owner, sent.form, found)


@router.post("/systems/{code}/retire")
def retire(
    request: Request, code: str, asker: Annotated[Asker, form_needs(P.systems_edit)], sent: SentForm
) -> Response:
    """End a system that holds nothing any more."""

    def act(session: Session) -> str:
        found = get_system(session, code=code)
        asker.at(session, found.bureau_id)
        retire_system(session, system_id=found.id, guards=SYSTEM_GUARDS, **_seen(sent, asker))
        return f"/systems/{code}"

    if path := sent.once(asker.actor, act):
        return onward(request, path, ("信息系统已注销，其令牌同时吊销", "Retired; its tokens are revoked"))
    with transaction(sent.here.engine) as session:
        found = get_system(session, code=code)
        return show_system(request, session, asker, found, at=sent.at, form=sent.form)


def show_system(
    request: Request,
    session: Session,
    asker: Asker,
    found: System,
    *,
    at: At,
    form: Form | None = None,
) -> Response:
    """The page of a system for who may see it; `form` is what was sent and could not be done.

    The look at its contacts is journalled, so that `session` is a writing one. Raises Forbidden.
    """
    place = found.bureau_id
    asker.only(P.systems_see).at(session, place)
    sees = {name: may(session, asker.actor, P(f"{name}:see"), bureau_id=place) for name in SEEN_APART}
    tokens = list_tokens(session, actor=asker.actor, system_id=found.id) if sees["tokens"] else []
    facts = {
        "system": found,
        "contacts": look_at_contacts(session, actor=asker.actor, system=found, at=at),
        "owner": get_bureau_by_id(session, bureau_id=place),
        "sees": sees,
        "servers": list_servers(session, system_id=found.id, limit=MOST_SERVERS) if sees["servers"] else [],
        "tokens": [(token, is_good(token, at)) for token in tokens],
        "subscriptions": list_subscription_rows(session, system_id=found.id, limit=MOST_SUBSCRIPTIONS)
        if sees["subscriptions"]
        else [],
        "edits": found.retired_at is None and may(session, asker.actor, P.systems_edit, bureau_id=place),
        "issues": found.retired_at is None and may(session, asker.actor, P.tokens_issue, bureau_id=place),
        "revokes": may(session, asker.actor, P.tokens_revoke, bureau_id=place),
        "server_badges": SERVER,
        "form": form or Form(),
    }
    return render(request, "system.html", SHARING | facts, status=422 if form and form.is_wrong else 200)


def systems_within(session: Session, scope: set[int] | None) -> Sequence[tuple[System, Bureau]]:
    """Living systems with their owners, of the bureaus in `scope` (None: all), by code."""
    return list_systems_within(session, bureau_ids=scope, limit=100_000)


def _read(form: Form) -> dict[str, Any]:
    """The fields that registering and editing share; what is wrong is noted in the form."""
    grade = form.whole("mlps_grade", least=1, most=5)
    if grade is not None and grade > 3:
        form.refuse("mlps_grade", BAD_GRADE)
    return {
        "name": form.text("name", longest=255),
        "purpose": form.text("purpose", longest=2000, needed=False),
        "contacts": form.text("contacts", longest=500, needed=False),
        "mlps_grade": grade or 0,
        "zone": form.one_of("zone", ZONES),
    }


def _seen(sent: Sent, asker: Asker) -> dict[str, Any]:
    """As the person saw it, when, and who acts."""
    return {
        "revision": sent.form.whole("revision") or 0,
        "at": sent.at,
        "actor": asker.actor.journal_id,
    }


def _show_form(
    request: Request,
    session: Session,
    asker: Asker,
    owner: Bureau,
    form: Form,
    found: System | None = None,
) -> Response:
    asker.at(session, owner.id)
    facts = {"owner": owner, "system": found, "form": form}
    return render(request, "system_form.html", facts, status=422 if form.is_wrong else 200)
