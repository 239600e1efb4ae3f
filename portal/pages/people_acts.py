"""What is done to an account: give and end roles, reset its password, close it when the person departs."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.errors import NotGivable, OwnRole, ProtectedAccount
from identity.models import Person
from identity.queries import get_bureau
from identity.roles import Permission as P
from identity.roles import Role
from identity.service.directory import get_person
from identity.service.people import depart_person, reset_password
from identity.service.roles import end_role, get_role_of, give_role
from infra.database import transaction
from portal.flash import Pair, onward
from portal.form import Sent, SentForm
from portal.needs import Asker, form_needs
from portal.numbers import RowId
from portal.pages.people import person_facts
from portal.render import render

router = APIRouter(include_in_schema=False)
Giver = Annotated[Asker, form_needs(P.roles_give)]
Editor = Annotated[Asker, form_needs(P.people_edit)]
RESET_BEFORE: Pair = (
    "密码此前已重置，一次性密码只显示一次；若未记下，请再次重置",
    "That password was reset before and is shown once; if it was not noted, reset it again",
)


@router.post("/people/{login}/roles")
def give(request: Request, login: str, asker: Giver, sent: SentForm) -> Response:
    """Let them hold a role at a bureau and all below it."""
    role = sent.form.one_of("role", tuple(Role))
    code = sent.form.text("bureau", longest=64)

    def act(session: Session, found: Person) -> None:
        place = get_bureau(session, code=code)
        asker.at(session, place.id)
        give_role(
            session,
            actor=asker.actor,
            person_id=found.id,
            role=Role(role),
            bureau_id=place.id,
            at=sent.at,
        )

    return _act(request, sent, asker, login, ("角色已授予", "The role is given"), act)


@router.post("/people/{login}/roles/{assignment_id}/end")
def end(request: Request, login: str, assignment_id: RowId, asker: Giver, sent: SentForm) -> Response:
    """End one of their roles."""

    def act(session: Session, found: Person) -> None:
        assignment = get_role_of(session, person=found, assignment_id=assignment_id)
        asker.at(session, assignment.bureau_id)
        end_role(session, actor=asker.actor, assignment_id=assignment_id, at=sent.at)

    return _act(request, sent, asker, login, ("角色已收回", "The role has ended"), act)


@router.post("/people/{login}/depart")
def depart(request: Request, login: str, asker: Editor, sent: SentForm) -> Response:
    """Close the account for good."""

    def act(session: Session, found: Person) -> None:
        asker.at(session, found.bureau_id)
        depart_person(session, actor=asker.actor, person_id=found.id, at=sent.at)

    return _act(request, sent, asker, login, ("账号已停用", "The account is closed"), act)


@router.post("/people/{login}/password")
def reset(request: Request, login: str, asker: Editor, sent: SentForm) -> Response:
    """Give them a new one-time password and show it."""
    made: list[str] = []

    def act(session: Session, found: Person) -> None:
        asker.at(session, found.bureau_id)
        made.append(reset_password(session, actor=asker.actor, person_id=found.id, at=sent.at))

    answer = _act(request, sent, asker, login, RESET_BEFORE, act)
    if sent.form.is_wrong or not made:
        return answer
    facts = {"login": login, "password": made[0], "is_new": False}
    return render(request, "one_time_password.html", facts)


def _act(
    request: Request,
    sent: Sent,
    asker: Asker,
    login: str,
    said: Pair,
    act: Callable[[Session, Person], None],
) -> Response:
    """Do it to an account within the asker's sight; of another nobody is told that it is there."""

    def once(session: Session) -> str:
        found = get_person(session, actor=asker.actor, login=login, at=sent.at)
        act(session, found)
        return f"/people/{found.login}"

    path = None
    if not sent.form.is_wrong:
        try:
            path = sent.once(asker.actor, once)
        except (NotGivable, OwnRole, ProtectedAccount) as error:
            sent.form.refusal = error
    if path:
        return onward(request, path, said)
    with transaction(sent.here.engine) as session:
        found = get_person(session, actor=asker.actor, login=login, at=sent.at)
        asker.at(session, found.bureau_id)
        return render(request, "person.html", person_facts(session, asker, found, sent.form), status=422)
