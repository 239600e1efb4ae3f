"""Tokens of systems' service accounts: issue, rotate, revoke. Showing one is presenting.py's."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.errors import (
    Forbidden,
    InvalidDatasets,
    InvalidExpiry,
    InvalidOverlap,
    InvalidScopes,
    SystemRetired,
    TokenEnded,
)
from identity.models import System, Token
from identity.queries import get_system_by_id
from identity.roles import PERMISSION_NAMES, Permission, TokenScope
from identity.service.access import authorise, place_facts
from identity.service.people import clean_name
from identity.service.presenting import PREFIX, digest_of, is_good
from infra import journal
from infra.clock import city_date
from infra.database import locked
from infra.errors import NotFound

SECRET_BYTES = 32
LONGEST_LIFE_DAYS = 400
DEFAULT_OVERLAP_DAYS = 7
LONGEST_OVERLAP_DAYS = 30
MOST_DATASETS = 200
MOST_SCOPES_SHOWN = 200


@dataclass(frozen=True)
class IssuedToken:
    """A token's row and its text, `siji_<id>_<secret>`, shown this once and kept nowhere."""

    token: Token
    text: str


def issue_token(
    session: Session,
    *,
    actor: Actor,
    system_id: int,
    label: str,
    scopes: Collection[str],
    expires_on: date,
    at: datetime,
    datasets: Collection[str] | None = None,
) -> IssuedToken:
    """Issue a token to a system's service account, good until the end of `expires_on` in the city.

    `datasets` are codes that narrow the scopes on datasets; None: all that the system may. Raises Forbidden,
    NotFound, SystemRetired, InvalidName, InvalidScopes, InvalidDatasets, InvalidExpiry.
    """
    system = _get_system(session, system_id)
    authorise(session, actor, Permission.tokens_issue, bureau_id=system.bureau_id)
    _check_issuer(session, actor, system)
    issued = _make(
        session,
        actor=actor,
        system=system,
        label=clean_name(label),
        scopes=_check_scopes(scopes),
        datasets=_check_datasets(datasets),
        expires_on=_check_expiry(expires_on, at),
        at=at,
        rotated_from=None,
    )
    _journal(session, actor, "token.issue", issued.token, system, at, after=_describe(issued.token))
    return issued


def rotate_token(
    session: Session,
    *,
    actor: Actor,
    token_id: int,
    expires_on: date,
    at: datetime,
    overlap_days: int = DEFAULT_OVERLAP_DAYS,
) -> IssuedToken:
    """Issue a successor with the same label, scopes and datasets; the old one ends after the overlap.

    Without overlap it ends now. Raises Forbidden, NotFound, SystemRetired, InvalidExpiry, InvalidOverlap,
    and TokenEnded, also for a token that was rotated already.
    """
    if not 0 <= overlap_days <= LONGEST_OVERLAP_DAYS:
        raise InvalidOverlap(days=overlap_days, maximum=LONGEST_OVERLAP_DAYS)
    old = _lock_token(session, token_id)
    system = _get_system(session, old.system_id)
    authorise(session, actor, Permission.tokens_issue, bureau_id=system.bureau_id)
    _check_issuer(session, actor, system)
    if old.ends_at is not None or not is_good(old, at):
        raise TokenEnded(token_id=old.id)
    issued = _make(
        session,
        actor=actor,
        system=system,
        label=old.label,
        scopes=old.scopes,
        datasets=old.datasets,
        expires_on=_check_expiry(expires_on, at),
        at=at,
        rotated_from=old.id,
    )
    old.ends_at = at + timedelta(days=overlap_days)
    after = {**_describe(issued.token), "old_ends_at": old.ends_at.isoformat()}
    _journal(session, actor, "token.rotate", issued.token, system, at, before={"token": old.id}, after=after)
    return issued


def revoke_token(session: Session, *, actor: Actor, token_id: int, at: datetime) -> Token:
    """End a token at once; one that is revoked already stays as it is. Raises Forbidden, NotFound."""
    token = _lock_token(session, token_id)
    system = session.get_one(System, token.system_id)
    authorise(session, actor, Permission.tokens_revoke, bureau_id=system.bureau_id)
    if token.revoked_at is None:
        token.revoked_at = at
        session.flush()
        _journal(session, actor, "token.revoke", token, system, at, before=_describe(token))
    return token


def list_tokens(
    session: Session, *, actor: Actor, system_id: int, before_id: int | None = None, limit: int = 50
) -> list[Token]:
    """A page of a system's tokens, ended ones too, newest first; raises Forbidden, NotFound."""
    system = get_system_by_id(session, system_id=system_id)
    authorise(session, actor, Permission.tokens_see, bureau_id=system.bureau_id)
    query = select(Token).where(Token.system_id == system_id).order_by(Token.id.desc()).limit(limit)
    return list(session.scalars(query if before_id is None else query.where(Token.id < before_id)))


def _make(
    session: Session,
    *,
    actor: Actor,
    system: System,
    label: str,
    scopes: list[str],
    datasets: list[str] | None,
    expires_on: date,
    at: datetime,
    rotated_from: int | None,
) -> IssuedToken:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    token = Token(
        system_id=system.id,
        label=label,
        digest=digest_of(secret),
        scopes=list(scopes),
        datasets=None if datasets is None else list(datasets),
        issued_by=actor.id,
        issued_at=at,
        expires_on=expires_on,
        rotated_from=rotated_from,
    )
    session.add(token)
    session.flush()
    return IssuedToken(token, f"{PREFIX}_{token.id}_{secret}")


def _check_issuer(session: Session, actor: Actor, system: System) -> None:
    """A token names the person who issued it; no service and no console issues one."""
    if actor.kind != "person":
        zh, en = PERMISSION_NAMES[Permission.tokens_issue]
        place = place_facts(session, bureau_id=system.bureau_id)
        raise Forbidden(permission=Permission.tokens_issue.value, permission_zh=zh, permission_en=en, **place)


def _get_system(session: Session, system_id: int) -> System:
    system = get_system_by_id(session, system_id=system_id)
    if system.retired_at is not None:
        raise SystemRetired(name=system.name, code=system.code)
    return system


def _lock_token(session: Session, token_id: int) -> Token:
    token = session.scalar(locked(select(Token).where(Token.id == token_id), key_share=True))
    if token is None:
        raise NotFound(what_zh="令牌", what_en="token", key=token_id)
    return token


def _check_scopes(scopes: Collection[str]) -> list[str]:
    known = [scope.value for scope in TokenScope]
    if not scopes or not set(scopes) <= set(known):
        given = ", ".join(sorted(map(str, scopes)))[:MOST_SCOPES_SHOWN] or "-"
        raise InvalidScopes(given=given, known=", ".join(known))
    return sorted({TokenScope(scope).value for scope in scopes})


def _check_datasets(datasets: Collection[str] | None) -> list[str] | None:
    if datasets is None:
        return None
    codes = sorted({code.strip() for code in datasets})
    if not codes or "" in codes or len(codes) > MOST_DATASETS:
        raise InvalidDatasets(maximum=MOST_DATASETS)
    return codes


def _check_expiry(expires_on: date, at: datetime) -> date:
    earliest = city_date(at)
    latest = earliest + timedelta(days=LONGEST_LIFE_DAYS)
    if not earliest <= expires_on <= latest:
        raise InvalidExpiry(
            expires_on=expires_on.isoformat(), earliest=earliest.isoformat(), latest=latest.isoformat()
        )
    return expires_on


def _describe(token: Token) -> dict[str, object]:
    return {
        "system_id": token.system_id,
        "label": token.label,
        "scopes": token.scopes,
        "datasets": token.datasets,
        "expires_on": token.expires_on.isoformat(),
    }


def _journal(
    session: Session,
    actor: Actor,
    act: str,
    token: Token,
    system: System,
    at: datetime,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    journal.append(
        session,
        actor=actor.journal_id,
        act=act,
        subject=f"token:{token.id}",
        bureau_id=system.bureau_id,
        at=at,
        before=before,
        after=after,
    )
