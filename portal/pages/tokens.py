"""Tokens of systems: the list, issue, rotate, revoke. A text is shown once, in answer to the form itself."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.models import System, Token
from identity.queries import get_system, get_system_by_id, list_tokens_within
from identity.roles import Permission as P
from identity.roles import TokenScope
from identity.service.access import permissions_of, scope_of
from identity.service.presenting import is_good
from identity.service.tokens import (
    DEFAULT_OVERLAP_DAYS,
    LONGEST_OVERLAP_DAYS,
    IssuedToken,
    issue_token,
    revoke_token,
    rotate_token,
)
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import NotFound
from portal.access import At, Reading
from portal.flash import Pair, onward
from portal.form import Form, Sent, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.pages.systems import show_system
from portal.render import render

router = APIRouter(include_in_schema=False)
Issuer = Annotated[Asker, form_needs(P.tokens_issue)]
AT_ONCE = 50
NO_SCOPE = ("请至少选择一个权限范围", "Choose at least one scope")
FROM_LIST = "from_list"
"""A field of the button that revokes: the page to go back to is the list of tokens."""
SHOWN_BEFORE: Pair = (
    "该令牌此前已签发，文本只显示一次；若未保存，请吊销后重新签发",
    "That token was issued before; its text is shown once. If it was not kept, revoke it and issue another",
)
SCOPES: dict[TokenScope, Pair] = {
    TokenScope.datasets_publish: ("发布数据", "publish records"),
    TokenScope.datasets_pull: ("拉取数据", "pull records"),
    TokenScope.catalogue_read: ("读取资源目录", "read the catalogue"),
    TokenScope.subscriptions_read: ("读取共享申请", "read subscriptions"),
    TokenScope.requests_read: ("读取资源申请", "read resource requests"),
    TokenScope.servers_read: ("读取云服务器", "read servers"),
    TokenScope.grants_read: ("读取配额", "read grants"),
    TokenScope.reports_read: ("读取容量报表", "read capacity reports"),
}


@router.get("/tokens")
def tokens(
    request: Request,
    asker: Annotated[Asker, page_needs(P.tokens_see)],
    session: Reading,
    at: At,
    search: Annotated[str, Query(max_length=255)] = "",
    revoked: Annotated[str, Query(max_length=1)] = "",
    before: Place = 0,
) -> Response:
    """Those of every system at whose bureau the reader may see them: also for who may see no system."""
    asked = {"search": search.strip(), "revoked": revoked}
    return _show_list(request, session, asker, Form(), at=at, asked=asked, before=before)


@router.get("/systems/{code}/tokens/new")
def new(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(P.tokens_issue)],
    session: Reading,
) -> Response:
    """The form for a new token."""
    return _show_form(request, session, asker, get_system(session, code=code), Form())


@router.post("/systems/{code}/tokens/new")
def issue(request: Request, code: str, asker: Issuer, sent: SentForm) -> Response:
    """Issue it and show its text."""
    form = sent.form
    label = form.text("label", longest=255)
    scopes = form.all_typed("scope")
    if not scopes:
        form.refuse("scope", NO_SCOPE)
    expires_on = form.day("expires_on") or city_date(sent.at)
    codes = form.text("datasets", longest=10_000, needed=False).split()

    def act(session: Session) -> IssuedToken:
        system = get_system(session, code=code)
        asker.at(session, system.bureau_id)
        return issue_token(
            session,
            actor=asker.actor,
            system_id=system.id,
            label=label,
            scopes=scopes,
            expires_on=expires_on,
            datasets=codes or None,
            at=sent.at,
        )

    return _hand_out(request, sent, asker, code, act)


@router.get("/tokens/{token_id}/rotate")
def show_rotation(
    request: Request,
    token_id: RowId,
    asker: Annotated[Asker, page_needs(P.tokens_issue)],
    session: Reading,
) -> Response:
    """The form for a successor."""
    token, system = _token(session, token_id)
    return _show_form(request, session, asker, system, Form.of(overlap=DEFAULT_OVERLAP_DAYS), token)


@router.post("/tokens/{token_id}/rotate")
def rotate(request: Request, token_id: RowId, asker: Issuer, sent: SentForm) -> Response:
    """Issue a successor and show its text; the old one ends after the overlap."""
    expires_on = sent.form.day("expires_on") or city_date(sent.at)
    overlap = sent.form.whole("overlap", most=LONGEST_OVERLAP_DAYS) or 0
    with reading(sent.here.engine) as session:
        code = _token(session, token_id)[1].code

    def act(session: Session) -> IssuedToken:
        asker.at(session, _token(session, token_id)[1].bureau_id)
        return rotate_token(
            session,
            actor=asker.actor,
            token_id=token_id,
            expires_on=expires_on,
            overlap_days=overlap,
            at=sent.at,
        )

    return _hand_out(request, sent, asker, code, act, rotated=token_id)


@router.post("/tokens/{token_id}/revoke")
def revoke(
    request: Request, token_id: RowId, asker: Annotated[Asker, form_needs(P.tokens_revoke)], sent: SentForm
) -> Response:
    """End it at once; doing so again changes nothing."""

    from_list = bool(sent.form.typed(FROM_LIST))

    def act(session: Session) -> str:
        system = _token(session, token_id)[1]
        asker.at(session, system.bureau_id)
        revoke_token(session, actor=asker.actor, token_id=token_id, at=sent.at)
        return "/tokens" if from_list else f"/systems/{system.code}"

    if path := sent.once(asker.actor, act):
        return onward(request, path, ("令牌已吊销", "The token is revoked"))
    with transaction(sent.here.engine) as session:
        if from_list:
            seer = asker.only(P.tokens_see)
            return _show_list(request, session, seer, sent.form, at=sent.at)
        system = _token(session, token_id)[1]
        return show_system(request, session, asker, system, at=sent.at, form=sent.form)


def _show_list(
    request: Request,
    session: Session,
    asker: Asker,
    form: Form,
    *,
    at: datetime,
    asked: dict[str, str] | None = None,
    before: int = 0,
) -> Response:
    asked = asked or {"search": "", "revoked": ""}
    found = list_tokens_within(
        session,
        bureau_ids=asker.scope(session),
        search=asked["search"],
        with_revoked=asked["revoked"] == "1",
        before_id=before or None,
        limit=AT_ONCE + 1,
    )
    held = permissions_of(asker.actor)
    revokes = P.tokens_revoke in held
    facts: dict[str, Any] = {
        "rows": [(token, is_good(token, at), system, owner) for token, system, owner in found[:AT_ONCE]],
        "sees_systems": P.systems_see in held,
        "revokes": revokes,
        "revokes_at": scope_of(session, asker.actor, P.tokens_revoke) if revokes else set(),
        "asked": asked,
        "before": before,
        "next": found[AT_ONCE - 1][0].id if len(found) > AT_ONCE else 0,
        "form": form,
    }
    return render(request, "tokens.html", facts, status=form.status)


def _hand_out(
    request: Request,
    sent: Sent,
    asker: Asker,
    code: str,
    act: Callable[[Session], IssuedToken],
    *,
    rotated: int | None = None,
) -> Response:
    """The answer with the text; a second sending of the form has none to show, as it is kept nowhere."""
    issued: list[IssuedToken] = []

    def once(session: Session) -> str:
        issued.append(act(session))
        return f"/systems/{code}"

    path = None if sent.form.is_wrong else sent.once(asker.actor, once)
    if path and issued:
        return render(request, "token.html", {"text": issued[0].text, "path": path, "system_code": code})
    if path:
        return onward(request, path, SHOWN_BEFORE)
    with reading(sent.here.engine) as session:
        token = None if rotated is None else _token(session, rotated)[0]
        return _show_form(request, session, asker, get_system(session, code=code), sent.form, token)


def _token(session: Session, token_id: int) -> tuple[Token, System]:
    token = session.get(Token, token_id)
    if token is None:
        raise NotFound(what_zh="令牌", what_en="token", key=token_id)
    return token, get_system_by_id(session, system_id=token.system_id)


def _show_form(
    request: Request,
    session: Session,
    asker: Asker,
    system: System,
    form: Form,
    token: Token | None = None,
) -> Response:
    asker.at(session, system.bureau_id)
    facts = {"system": system, "token": token, "scopes": SCOPES, "form": form}
    return render(request, "token_form.html", facts, status=422 if form.is_wrong else 200)
