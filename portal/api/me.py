"""Who the caller is, and signing in and out of a session for programs that act for a person."""

from typing import Annotated

from fastapi import Depends, Request, Response
from pydantic import Field, StringConstraints

from identity.queries import get_bureau_by_id
from identity.service.access import permissions_of
from identity.service.sign_in import change_password, sign_in, sign_out
from portal.access import COOKIE, At, Here, Reading, Writing, caller, from_own_site, hand_over
from portal.api.shapes import In, Out, api_router
from portal.needs import Asker, needs_sign_in

router = api_router("me")


class Me(Out):
    """The caller, and what it may do somewhere."""

    kind: str = Field(examples=["person"])
    name: str = Field(examples=["赵审核"])
    bureau: str | None = Field(examples=["1306-zhb"])
    permissions: list[str] = Field(examples=[["bureaus:see", "grants:set"]])


class Credentials(In):
    """An account and its password."""

    login: str = Field(max_length=64, examples=["shenhe"])
    password: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        max_length=1024, examples=["…"]
    )


class PasswordIn(In):
    """The password that is given up, and the new one."""

    old: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(max_length=1024, examples=["…"])
    new: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(max_length=1024, examples=["…"])


class SessionOut(Out):
    """A session that was opened: its cookie came with the answer, and writes carry `csrf` as X-CSRF-Token."""

    csrf: str = Field(examples=["pV3k…"])
    must_change_password: bool = Field(examples=[False])


@router.get("/me")
def me(asker: Annotated[Asker, needs_sign_in()], session: Reading) -> Me:
    """Who the token or the session stands for."""
    actor = asker.actor
    bureau = None if actor.bureau_id is None else get_bureau_by_id(session, bureau_id=actor.bureau_id).code
    return Me(kind=actor.kind, name=actor.name, bureau=bureau, permissions=sorted(permissions_of(actor)))


@router.put("/me/password", status_code=204)
def replace_password(asker: Annotated[Asker, needs_sign_in()], body: PasswordIn, here: Here, at: At) -> None:
    """Choose a new password; every session of the person ends, so they sign in anew."""
    change_password(here.engine, actor=asker.actor, old=body.old, new=body.new, at=at)


@router.post("/session", status_code=201, dependencies=[Depends(from_own_site)])
def open_session(credentials: Credentials, response: Response, here: Here, at: At) -> SessionOut:
    """Sign a person in."""
    opened = sign_in(here.engine, login=credentials.login, password=credentials.password, at=at)
    hand_over(response, opened, here)
    return SessionOut(csrf=opened.csrf, must_change_password=opened.must_change_password)


@router.delete("/session", status_code=204, dependencies=[Depends(caller)])
def end_session(request: Request, response: Response, session: Writing, at: At) -> None:
    """Sign the person out; a token is not affected."""
    secret = request.cookies.get(COOKIE)
    if secret:
        sign_out(session, secret=secret, at=at)
    response.delete_cookie(COOKIE)
