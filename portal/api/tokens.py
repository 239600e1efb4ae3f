"""Tokens of systems' service accounts: list, issue, rotate, revoke. identity/service/tokens.py authorises."""

from datetime import date, datetime
from typing import Annotated, Self

from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Person, System, Token
from identity.queries import find_persons, get_system
from identity.roles import Permission
from identity.service.presenting import is_good
from identity.service.tokens import (
    DEFAULT_OVERLAP_DAYS,
    IssuedToken,
    issue_token,
    list_tokens,
    revoke_token,
    rotate_token,
)
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.numbers import RowId

router = api_router("tokens")

Issuer = Annotated[Asker, needs(Permission.tokens_issue)]


class TokenOut(Out):
    """A token without its text; `datasets` null: all of its system's; `ends_at`: the end of its overlap."""

    id: int
    system: str = Field(examples=["1306-mzj-s1"])
    label: str = Field(examples=["夜间推送"])
    scopes: list[str] = Field(examples=[["datasets:publish"]])
    datasets: list[str] | None
    is_good: bool
    issued_by: str = Field(examples=["minzheng"])
    issued_at: datetime
    expires_on: date
    rotated_from: int | None
    ends_at: datetime | None
    revoked_at: datetime | None
    seen_at: datetime | None

    @classmethod
    def of(cls, token: Token, system: System, issuer: Person, at: datetime, **more: str) -> Self:
        """As the rows have it at `at`."""
        return cls(
            **more,
            id=token.id,
            system=system.code,
            label=token.label,
            scopes=token.scopes,
            datasets=token.datasets,
            is_good=is_good(token, at) and system.retired_at is None,
            issued_by=issuer.login,
            issued_at=token.issued_at,
            expires_on=token.expires_on,
            rotated_from=token.rotated_from,
            ends_at=token.ends_at,
            revoked_at=token.revoked_at,
            seen_at=token.seen_at,
        )


class IssuedOut(TokenOut):
    """A token with its text, which is told this once and kept nowhere."""

    text: str = Field(examples=["siji_12_…"])


class NewToken(In):
    """A token to be issued, good until the end of its last day in the city."""

    label: str = Field(max_length=1000, examples=["夜间推送"])
    scopes: list[str] = Field(max_length=100, examples=[["datasets:publish"]])
    datasets: list[str] | None = Field(default=None, max_length=1000, examples=[["divisions"]])
    expires_on: date = Field(examples=["2026-12-31"])


class Rotation(In):
    """The successor's last day, and for how many days both are good."""

    expires_on: date = Field(examples=["2027-12-31"])
    overlap_days: int = Field(default=DEFAULT_OVERLAP_DAYS, examples=[7])


@router.get("/systems/{code}/tokens")
def tokens(
    asker: Annotated[Asker, needs(Permission.tokens_see)],
    session: Reading,
    at: At,
    code: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[TokenOut]:
    """A system's tokens, ended ones too, newest first."""
    system = get_system(session, code=code)
    found = list_tokens(
        session, actor=asker.actor, system_id=system.id, before_id=id_of(cursor), limit=limit + 1
    )
    issuers = find_persons(session, {token.issued_by for token in found})
    return page_of(
        found,
        limit,
        shown=lambda token: TokenOut.of(token, system, issuers[token.issued_by], at),
        place=lambda token: token.id,
    )


@router.post("/systems/{code}/tokens", status_code=201)
def issue(asker: Issuer, session: Writing, at: At, code: str, body: NewToken) -> IssuedOut:
    """Issue a token; its text is in this answer and nowhere else, so there is no Idempotency-Key."""
    system = get_system(session, code=code)
    issued = issue_token(session, actor=asker.actor, system_id=system.id, at=at, **body.model_dump())
    return _issued(session, issued, at)


@router.post("/tokens/{number}/rotation", status_code=201)
def rotate(asker: Issuer, session: Writing, at: At, number: RowId, body: Rotation) -> IssuedOut:
    """Issue a successor with the same label, scopes and datasets; the old one ends after the overlap."""
    issued = rotate_token(session, actor=asker.actor, token_id=number, at=at, **body.model_dump())
    return _issued(session, issued, at)


@router.post("/tokens/{number}/revocation")
def revoke(
    asker: Annotated[Asker, needs(Permission.tokens_revoke)], session: Writing, at: At, number: RowId
) -> TokenOut:
    """End a token at once; one that is revoked already stays as it is."""
    token = revoke_token(session, actor=asker.actor, token_id=number, at=at)
    return TokenOut.of(token, *_named(session, token), at)


def _issued(session: Session, issued: IssuedToken, at: datetime) -> IssuedOut:
    return IssuedOut.of(issued.token, *_named(session, issued.token), at, text=issued.text)


def _named(session: Session, token: Token) -> tuple[System, Person]:
    """Whose the token is, and who issued it."""
    return session.get_one(System, token.system_id), session.get_one(Person, token.issued_by)
