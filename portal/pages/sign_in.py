"""Signing in and out, the one-time password's replacement, and the choice of language."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from identity.queries import find_persons
from identity.service.sign_in import Resumed, change_password, sign_in, sign_out
from infra.database import reading
from infra.errors import SijiError
from infra.installation import Installation
from portal.access import COOKIE, At, Here, Visitor, Writing, from_own_form, from_own_site, hand_over
from portal.errors import STATUS
from portal.language import COOKIE as LANGUAGE_COOKIE
from portal.language import language_of
from portal.render import render
from portal.whereabouts import own_path

router = APIRouter(include_in_schema=False)
YEAR_S = 365 * 24 * 3600


@router.get("/sign-in")
def show(request: Request, next: str = "/") -> Response:
    """The form."""
    return render(request, "sign_in.html", {"message": "", "login": "", "next": own_path(next)})


@router.post("/sign-in", dependencies=[Depends(from_own_site)])
def enter(
    request: Request,
    here: Here,
    at: At,
    login: Annotated[str, Form(max_length=64)],
    password: Annotated[str, Form(max_length=1024)],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Open a session, or show the form again with what is wrong."""
    try:
        opened = sign_in(here.engine, login=login, password=password, at=at)
    except SijiError as error:
        facts = {"message": error.message(language_of(request)), "login": login, "next": own_path(next)}
        return render(request, "sign_in.html", facts, status=int(STATUS[error.kind]))
    onward = "/password" if opened.must_change_password else own_path(next)
    answer = RedirectResponse(onward, 303)
    hand_over(answer, opened, here)
    return answer


@router.post("/sign-out", dependencies=[Depends(from_own_form)])
def leave(request: Request, session: Writing, at: At) -> Response:
    """End the session."""
    sign_out(session, secret=request.cookies[COOKIE], at=at)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/password")
def show_password(request: Request, visitor: Visitor, here: Here) -> Response:
    """The form for a new password."""
    return _ask_password(request, here, visitor)


@router.post("/password", dependencies=[Depends(from_own_form)])
def replace_password(
    request: Request,
    visitor: Visitor,
    here: Here,
    at: At,
    old: Annotated[str, Form(max_length=1024)],
    new: Annotated[str, Form(max_length=1024)],
) -> Response:
    """Change the password; every session ends, so the person signs in anew."""
    try:
        change_password(here.engine, actor=visitor.actor, old=old, new=new, at=at)
    except SijiError as error:
        message = error.message(language_of(request))
        return _ask_password(request, here, visitor, message=message, status=int(STATUS[error.kind]))
    return RedirectResponse("/sign-in", 303)


def _ask_password(
    request: Request, here: Installation, visitor: Resumed, *, message: str = "", status: int = 200
) -> Response:
    """The form, with the login for what remembers passwords."""
    with reading(here.engine) as session:
        person = find_persons(session, [visitor.actor.id])[visitor.actor.id]
    facts = {"message": message, "must": visitor.actor.must_change_password, "login": person.login}
    return render(request, "password.html", facts, status=status)


@router.post("/language", dependencies=[Depends(from_own_site)])
def choose_language(language: Annotated[str, Form()], next: Annotated[str, Form()] = "/") -> Response:
    """Remember the reader's language."""
    answer = RedirectResponse(own_path(next), 303)
    if language in ("zh", "en"):
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_S, samesite="lax", httponly=True)
    return answer
