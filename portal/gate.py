"""What no request may bring, whichever route it asks for: too many bytes, or a NUL in its address.

Batches of records may be larger than anything else that is sent.
"""

from http import HTTPStatus

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.errors import Kind, SijiError
from infra.textfile import MAX_BYTES
from portal.errors import refuse
from portal.language import language_of

LONGEST_LENGTH = 20
"""Digits of a Content-Length that are read; Python refuses to read thousands of them."""


class BodyTooLarge(SijiError):
    """More bytes than one request may bring."""

    kind = Kind.too_large
    code = "body_too_large"
    zh = "请求内容为 {came} 字节或更多，超过 {limit} 字节的上限，请分批发送"
    en = "The request's content has {came} bytes or more, beyond the limit of {limit} bytes; send it in parts"


class NulInAddress(SijiError):
    """A NUL, which no name has and no database stores."""

    code = "nul_in_address"
    zh = "请求地址中含有 NUL 字符"
    en = "The request's address holds a NUL character"


class Gate:
    """ASGI middleware: refuses such requests before any route reads them."""

    def __init__(self, app: ASGIApp, *, batch_limit: int, limit: int = MAX_BYTES) -> None:
        self._app, self._limit, self._batch_limit = app, limit, batch_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer with a refusal."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        told = request.headers.get("content-length", "")
        limit = self._batch_limit if _is_batch(request) else self._limit
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            await refuse(request, NulInAddress())(scope, receive, send)
        elif told.isascii() and told.isdigit() and (len(told) > LONGEST_LENGTH or int(told) > limit):
            await refuse(request, BodyTooLarge(limit=limit, came=told[:LONGEST_LENGTH]))(scope, receive, send)
        else:
            await self._app(scope, _counted(request, receive, limit), send)


def _is_batch(request: Request) -> bool:
    path = request.scope["path"]
    return request.method == "POST" and path.startswith("/api/v1/datasets/") and path.endswith("/batches")


def _counted(request: Request, receive: Receive, limit: int) -> Receive:
    """`receive`, which ends what was sent without its length beforehand where it becomes too long."""
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            refusal = BodyTooLarge(limit=limit, came=total)
            # the one error that passes through FastAPI's reading of a body as it is
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, refusal.message(language_of(request)))
        return message

    return counting
