"""Who a presented token stands for, and when it was last seen. A token's digest alone is kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.errors import TokenRefused
from identity.models import System, Token
from infra.clock import city_date

PREFIX = "siji"
TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Presented:
    """Who a token stands for, and whether its last-seen is due to be written."""

    token_id: int
    actor: Actor
    needs_touch: bool


def present_token(session: Session, *, text: str, at: datetime) -> Presented:
    """Who the token stands for; writes nothing. Raises TokenRefused if it is unknown, over or revoked."""
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    if prefix != PREFIX or not (number.isascii() and number.isdigit() and len(number) < 19) or not secret:
        raise TokenRefused()
    row = session.execute(
        select(Token, System).join(System, System.id == Token.system_id).where(Token.id == int(number))
    ).one_or_none()
    if row is None or not compare_digest(row[0].digest, digest_of(secret)):
        raise TokenRefused()
    token, system = row
    if not is_good(token, at) or system.retired_at is not None:
        raise TokenRefused()
    actor = Actor(
        "service",
        token.id,
        f"{system.name} · {token.label}",
        system.bureau_id,
        scopes=tuple(token.scopes),
        datasets=None if token.datasets is None else tuple(token.datasets),
        system_id=system.id,
    )
    return Presented(token.id, actor, token.seen_at is None or at - token.seen_at >= TOUCH_EVERY)


def touch_token(session: Session, *, token_id: int, at: datetime) -> None:
    """Note when the token was last seen, at most once a minute."""
    session.execute(
        update(Token)
        .where(Token.id == token_id, or_(Token.seen_at.is_(None), Token.seen_at <= at - TOUCH_EVERY))
        .values(seen_at=at)
        .execution_options(synchronize_session=False)
    )


def is_good(token: Token, at: datetime) -> bool:
    """Whether the token may be used at `at`: not revoked, not past its overlap, not past its last day."""
    return (
        token.revoked_at is None
        and (token.ends_at is None or at < token.ends_at)
        and city_date(at) <= token.expires_on
    )


def digest_of(secret: str) -> str:
    """What is kept of a token's secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
