"""The API's description of itself: OpenAPI, with problems as RFC 9457 and the two ways to show who calls."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from portal.access import COOKIE

ABOUT = """\
四级云 REST API。读取用 GET，分页用 `cursor`（取上一页的 `next`）；
修改与决定须带 `If-Match`（读取时的 `ETag`）；新建可带 `Idempotency-Key`，同一键的相同请求只执行一次；
错误为 application/problem+json（RFC 9457）。

The REST API of Siji. Lists come in pages: go on with `next` as `cursor`. What is edited or decided needs
`If-Match` with the `ETag` that was read. What makes something takes an `Idempotency-Key`. Refusals are
problem JSON (RFC 9457), in Chinese or English by `Accept-Language`.
"""
WAYS_IN: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "系统令牌 · a token of a system"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "会话 · a person's session"},
}


def describe(app: FastAPI) -> None:
    """Let `app` answer its OpenAPI document in this form."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend it


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=ABOUT, routes=app.routes
    )
    found.setdefault("components", {})["securitySchemes"] = WAYS_IN
    found["security"] = [{name: []} for name in WAYS_IN]
    for operations in found["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                content = response.get("content", {})
                if status[0] in "45" and "application/json" in content:
                    content["application/problem+json"] = content.pop("application/json")
    return found
