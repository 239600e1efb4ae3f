"""The one table from kinds of domain errors to HTTP, as problem JSON (RFC 9457) and as pages."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from identity.errors import NotSignedIn
from infra.errors import Kind, SijiError
from portal.access import installation_of, now, signed_in
from portal.language import language_of
from portal.malformed import why_malformed
from portal.needs import PasswordToChange
from portal.render import render
from portal.whereabouts import whereabouts

STATUS: dict[Kind, HTTPStatus] = {
    Kind.invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.unauthenticated: HTTPStatus.UNAUTHORIZED,
    Kind.forbidden: HTTPStatus.FORBIDDEN,
    Kind.not_found: HTTPStatus.NOT_FOUND,
    Kind.conflict: HTTPStatus.CONFLICT,
    Kind.stale: HTTPStatus.PRECONDITION_FAILED,
    Kind.unconditional: HTTPStatus.PRECONDITION_REQUIRED,
    Kind.too_large: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.unsupported: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Kind.broken: HTTPStatus.INTERNAL_SERVER_ERROR,
    Kind.unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

NO_SUCH_PAGE = (
    "地址可能有误，或者页面已不存在。请核对地址，或回到总览",
    "The address may be wrong, or the page is gone; check the address, or go back to the overview",
)
NOT_IN_THIS_WAY = (
    "这个地址只接受页面上的表单提交，不能直接打开。请回到总览重新进入",
    "This address takes what a page's form sends and cannot be opened as it is; begin at the overview",
)
IN_THE_API = {
    HTTPStatus.BAD_REQUEST: ("请求内容无法解读", "The body of the request cannot be read"),
    HTTPStatus.NOT_FOUND: (
        "没有这个地址，请与 /api/v1/openapi.json 核对",
        "There is no such address; compare it with /api/v1/openapi.json",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "这个地址不接受这种请求方法，请与 /api/v1/openapi.json 核对",
        "This address does not take that method; compare it with /api/v1/openapi.json",
    ),
}


class Broken(SijiError):
    """Something failed that is nobody's mistake but ours; what was asked for in one transaction is undone."""

    kind = Kind.broken
    code = "internal_error"
    zh = "系统内部出错，本次请求未能完成。请稍后重试；如仍出错，请联系运维人员"
    en = "Something failed inside and the request was not completed; try again later, or tell the operators"


def install_handlers(app: FastAPI) -> None:
    """Let every refusal of the domain, the framework and the schema leave in one shape."""
    app.add_exception_handler(SijiError, _refused)
    app.add_exception_handler(HTTPException, _framework)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _broken)


def _refused(request: Request, error: Exception) -> Response:
    return refuse(request, cast(SijiError, error))


def refuse(request: Request, error: SijiError) -> Response:
    """What a refusal looks like to who asked: problem JSON, or a page."""
    status = STATUS[error.kind]
    message = error.message(language_of(request))
    if _is_api(request):
        return _problem(status, error.code, message, error.facts)
    if isinstance(error, PasswordToChange):
        return RedirectResponse("/password", HTTPStatus.SEE_OTHER)
    if status is HTTPStatus.UNAUTHORIZED:
        return RedirectResponse(f"/sign-in?next={quote(whereabouts(request))}", HTTPStatus.SEE_OTHER)
    return render(request, "error.html", {"message": message, "code": error.code}, status=int(status))


def _framework(request: Request, error: Exception) -> Response:
    error = cast(HTTPException, error)
    status = HTTPStatus(error.status_code)
    if _is_api(request):
        detail = IN_THE_API[status][language_of(request) == "en"] if status in IN_THE_API else error.detail
        return _problem(status, status.name.lower(), detail, {}, error.headers)
    _look_who_asks(request)
    words = {
        HTTPStatus.NOT_FOUND: NO_SUCH_PAGE,
        HTTPStatus.METHOD_NOT_ALLOWED: NOT_IN_THIS_WAY,
    }.get(status, (f"页面无法显示（{int(status)}）", f"This page cannot be shown ({status.phrase})"))
    facts = {
        "message": words[language_of(request) == "en"],
        "code": status.name.lower(),
        "is_nowhere": status is HTTPStatus.NOT_FOUND,
    }
    return render(request, "error.html", facts, status=int(status))


def _malformed(request: Request, error: Exception) -> Response:
    error = cast(RequestValidationError, error)
    language = language_of(request)
    places = [
        {"where": ".".join(map(str, one["loc"])), "why": why_malformed(one, language)}
        for one in error.errors()
    ]
    if language == "zh":
        text = f"请求格式有误：{'；'.join('{where} {why}'.format_map(one) for one in places)}"
    else:
        text = f"The request is malformed: {'; '.join('{where}: {why}'.format_map(one) for one in places)}"
    if _is_api(request):
        return _problem(HTTPStatus.UNPROCESSABLE_ENTITY, "malformed", text, {"places": places})
    _look_who_asks(request)
    return render(request, "error.html", {"message": text, "code": "malformed"}, status=422)


def _broken(request: Request, _error: Exception) -> Response:
    """What nobody foresaw, a failed commit too: who asked is told; what it was is in the server's log."""
    return refuse(request, Broken())


def _look_who_asks(request: Request) -> None:
    """Let the page of a refusal keep its menu where no route was there to ask who the person is."""
    if not hasattr(request.state, "actor"):
        here = installation_of(request)
        with suppress(NotSignedIn):
            signed_in(request, here, now(here))


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _problem(
    status: HTTPStatus, code: str, detail: str, facts: dict[str, Any], headers: Any = None
) -> JSONResponse:
    body = {
        "type": f"urn:siji:problem:{code}",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "facts": facts,
    }
    return JSONResponse(body, status_code=int(status), media_type="application/problem+json", headers=headers)
