"""Who is asking, and one session a request: the dependencies that every route builds on.

What somebody may do is decided in identity/service/access.py; here only who they are is found out.
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Form, Request, Response
from sqlalchemy.orm import Session

from exchange.broker.driver import Broker
from identity.actor import Actor
from identity.errors import NotSignedIn
from identity.service.presenting import present_token, touch_token
from identity.service.sign_in import OpenedSession, Resumed, csrf_matches, resume, touch_session
from infra.database import reading, transaction
from infra.errors import Kind, SijiError
from infra.installation import Installation

COOKIE = "siji_session"


class ForeignForm(SijiError):
    """The form did not come from a page that we gave to this browser."""

    kind = Kind.forbidden
    code = "foreign_form"
    zh = "该表单不是由您当前登录的页面提交的，请刷新页面后重试"
    en = "This form did not come from your signed-in page; reload the page and try again"


def installation_of(request: Request) -> Installation:
    """The installation that the app serves."""
    found: Installation = request.app.state.installation
    return found


Here = Annotated[Installation, Depends(installation_of)]


def log_of(request: Request) -> Broker:
    """The log of shared datasets that the app keeps open; never called while a session is."""
    found: Broker = request.app.state.log
    return found


Log = Annotated[Broker, Depends(log_of)]


def now(here: Here) -> datetime:
    """The instant of the request."""
    return here.clock.now()


At = Annotated[datetime, Depends(now)]


def writing_session(here: Here) -> Iterator[Session]:
    """A session whose commit happens before the answer is sent, so that a failed one is not a success."""
    with transaction(here.engine) as session:
        yield session


def reading_session(here: Here) -> Iterator[Session]:
    """A session on one snapshot, for SELECTs."""
    with reading(here.engine) as session:
        yield session


Writing = Annotated[Session, Depends(writing_session, scope="function")]
Reading = Annotated[Session, Depends(reading_session, scope="function")]


def signed_in(request: Request, here: Here, at: At) -> Resumed:
    """The person whose browser this is. Raises NotSignedIn."""
    secret = request.cookies.get(COOKIE)
    if not secret:
        raise NotSignedIn()
    with reading(here.engine) as session:
        resumed = resume(session, secret=secret, at=at)
    if resumed.needs_touch:
        with transaction(here.engine) as session:
            touch_session(session, session_id=resumed.session_id, at=at)
    request.state.actor, request.state.csrf = resumed.actor, resumed.csrf
    return resumed


Visitor = Annotated[Resumed, Depends(signed_in)]


def hand_over(response: Response, opened: OpenedSession, here: Installation) -> None:
    """Give the browser the cookie of its new session."""
    response.set_cookie(
        COOKIE,
        opened.secret,
        httponly=True,
        samesite="lax",
        secure=here.settings.secure_cookies,
        expires=opened.expires_at,
    )


def from_own_form(visitor: Visitor, csrf: Annotated[str, Form()] = "") -> Resumed:
    """The person whose browser this is, who used a form of theirs. Raises NotSignedIn, ForeignForm."""
    if not csrf_matches(visitor, csrf):
        raise ForeignForm()
    return visitor


def from_own_site(request: Request) -> None:
    """For forms before anybody is signed in: the browser says that our page sent it. Raises ForeignForm."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ForeignForm()


def _token_in(request: Request) -> str | None:
    """The token that a program sent; by clients that know only Basic it is sent as the password."""
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return told.strip()
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(told.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def caller(request: Request, here: Here, at: At) -> Actor:
    """Who calls the API: a token's service account, or the person of a session, who writes with X-CSRF-Token.

    Raises NotSignedIn, TokenRefused, ForeignForm.
    """
    if (presented := _token_in(request)) is not None:
        with reading(here.engine) as session:
            token = present_token(session, text=presented, at=at)
        if token.needs_touch:
            with transaction(here.engine) as session:
                touch_token(session, token_id=token.token_id, at=at)
        return token.actor
    visitor = signed_in(request, here, at)
    if request.method not in ("GET", "HEAD") and not csrf_matches(
        visitor, request.headers.get("x-csrf-token", "")
    ):
        raise ForeignForm()
    return visitor.actor


Caller = Annotated[Actor, Depends(caller)]
