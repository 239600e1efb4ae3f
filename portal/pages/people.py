"""People within the reader's scope: the list, one person, adding somebody. Acts on one: people_acts.py."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.models import Person
from identity.queries import find_bureaus, get_bureau, get_bureau_by_id, list_ids_called
from identity.roles import GIVES, ROLE_NAMES, Role, bureaus_with
from identity.roles import Permission as P
from identity.service.access import may
from identity.service.directory import get_person, list_people
from identity.service.people import Account, add_person
from identity.service.roles import list_roles
from infra.database import reading
from portal.access import At, Reading, Writing
from portal.api.shapes import id_of
from portal.flash import Pair, onward
from portal.form import Form, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.render import render

router = APIRouter(include_in_schema=False)
PAGE = 50
SHOWN_BEFORE: Pair = (
    "该账号此前已建立，一次性密码只显示一次；若未记下，请重置密码",
    "That account was made before and its password is shown once; if it was not noted, reset it",
)


@router.get("/people")
def people(
    request: Request,
    asker: Annotated[Asker, page_needs(P.people_see)],
    session: Writing,
    at: At,
    bureau: Annotated[str, Query(max_length=255)] = "",
    departed: Annotated[str, Query(max_length=1)] = "",
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Accounts by the order of their making, `bureau` in their bureau's name or code; it is journalled."""
    named = bureau.strip()
    places = list_ids_called(session, named) if named else None
    found = list_people(
        session,
        actor=asker.actor,
        at=at,
        bureau_ids=places,
        with_departed=departed == "1",
        after_id=id_of(cursor) or 0,
        limit=PAGE + 1,
    )
    adds_at = bureaus_with(P.people_edit, asker.actor.roles)
    homes = find_bureaus(session, {one.bureau_id for one in found})
    facts = {
        "rows": [(one, homes[one.bureau_id]) for one in found[:PAGE]],
        "next": str(found[PAGE - 1].id) if len(found) > PAGE else "",
        "cursor": cursor,
        "form": Form.of(bureau=named, departed=departed),
        "filters": {"bureau": named, "departed": departed},
        "adds_at": [get_bureau_by_id(session, bureau_id=one) for one in sorted(adds_at)],
    }
    return render(request, "people.html", facts)


@router.get("/people/{login}")
def person(
    request: Request,
    login: str,
    asker: Annotated[Asker, page_needs(P.people_see)],
    session: Writing,
    at: At,
) -> Response:
    """One account with its roles; the look is journalled. One that you may not see is not there for you."""
    found = get_person(session, actor=asker.actor, login=login, at=at)
    return render(request, "person.html", person_facts(session, asker, found, Form()))


@router.get("/bureaus/{code}/people/new")
def new(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.people_edit)],
    session: Reading,
) -> Response:
    """The form for a new account at that bureau."""
    return _show_form(request, session, asker, code, Form())


@router.post("/bureaus/{code}/people/new")
def add(
    request: Request, code: str, asker: Annotated[Asker, form_needs(P.people_edit)], sent: SentForm
) -> Response:
    """Make the account and show its one-time password."""
    login, name = sent.form.text("login", longest=64), sent.form.text("name", longest=255)
    made: list[Account] = []

    def act(session: Session) -> str:
        place = get_bureau(session, code=code)
        asker.at(session, place.id)
        account = add_person(
            session, actor=asker.actor, login=login, name=name, bureau_id=place.id, at=sent.at
        )
        made.append(account)
        return f"/people/{account.person.login}"

    path = None if sent.form.is_wrong else sent.once(asker.actor, act)
    if path and made:
        facts = {"login": path.rpartition("/")[2], "password": made[0].one_time_password, "is_new": True}
        return render(request, "one_time_password.html", facts)
    if path:
        return onward(request, path, SHOWN_BEFORE)
    with reading(sent.here.engine) as session:
        return _show_form(request, session, asker, code, sent.form)


def person_facts(session: Session, asker: Asker, found: Person, form: Form) -> dict[str, object]:
    """What the page of one person shows."""
    place = found.bureau_id
    sees_roles = may(session, asker.actor, P.roles_see, bureau_id=place)
    givable = {given for role, _ in asker.actor.roles for given in GIVES.get(Role(role), ())}
    is_self = asker.actor.id == found.id
    return {
        "person": found,
        "bureau": get_bureau_by_id(session, bureau_id=place),
        "sees_roles": sees_roles,
        "roles": [
            (one, get_bureau_by_id(session, bureau_id=one.bureau_id))
            for one in list_roles(session, person_id=found.id)
        ]
        if sees_roles
        else [],
        "role_names": ROLE_NAMES,
        "givable": [role for role in Role if role in givable],
        "gives": not is_self
        and found.departed_at is None
        and may(session, asker.actor, P.roles_give, bureau_id=place),
        "ends": found.departed_at is None and may(session, asker.actor, P.roles_give, bureau_id=place),
        "edits": found.departed_at is None and may(session, asker.actor, P.people_edit, bureau_id=place),
        "form": form,
    }


def _show_form(request: Request, session: Session, asker: Asker, code: str, form: Form) -> Response:
    place = get_bureau(session, code=code)
    asker.at(session, place.id)
    facts = {"bureau": place, "form": form}
    return render(request, "person_new.html", facts, status=422 if form.is_wrong else 200)
