"""Idempotency-Key on API routes that make something: the same call again is answered as the first time.

Source: the header is that of the IETF draft 'The Idempotency-Key HTTP Header Field'.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar, cast

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from infra import idempotency
from infra.idempotency import Asked
from portal.access import At, Caller, Writing

REPLAYED = "Idempotency-Replayed"
A = TypeVar("A", bound=BaseModel)


@dataclass(frozen=True)
class OncePerKey:
    """Does what is asked of a route once per caller and key; without a key, each time."""

    session: Session
    at: datetime
    actor: str
    key: str | None
    call: str
    status: int

    def __call__(self, body: BaseModel | None, act: Callable[[], A]) -> A:
        """What `act` answers, now or when the key came first. `body` is what was sent. Raises KeyReused."""
        if self.key is None:
            return act()
        content = "" if body is None else body.model_dump_json()
        asked = Asked(self.actor, self.key, self.call, hashlib.sha256(content.encode()).hexdigest())
        known = idempotency.begin(self.session, asked, at=self.at)
        if known is not None:
            replayed = JSONResponse(known.answer, self.status, {REPLAYED: "true"})
            return cast(A, replayed)  # FastAPI sends a Response as it is
        answer = act()
        idempotency.finish(self.session, asked, answer=answer.model_dump(mode="json"))
        return answer


def once_per_key(
    request: Request,
    session: Writing,
    at: At,
    actor: Caller,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=200,
            description="幂等键：同一键的相同请求只执行一次 · the same call with the same key is done once",
        ),
    ] = None,
) -> OncePerKey:
    """The dependency; `status` is what the route answers with when it does something."""
    status = getattr(request.scope["route"], "status_code", None) or 200
    call = f"{request.method} {request.url.path}"
    return OncePerKey(session, at, actor.journal_id, key, call, status)


Once = Annotated[OncePerKey, Depends(once_per_key)]
