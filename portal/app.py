"""The portal as one ASGI app over an installation: pages at /, REST API at /api/v1."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.staticfiles import StaticFiles

from exchange.broker.connect import connect_broker
from exchange.broker.driver import Broker
from infra.installation import Installation
from portal import api, pages
from portal.api.description import describe
from portal.errors import install_handlers
from portal.gate import Gate

STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


def create_app(installation: Installation) -> FastAPI:
    """The app; it holds no state beyond `installation` and the log, so any number of replicas may run.

    The log connects when first used, and is given back when the app shuts down.
    """
    log = connect_broker(installation.settings)
    app = FastAPI(
        lifespan=_closing(log),
        title="Siji 四级云",
        version="1",
        summary="One government cloud for four levels of government",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.installation, app.state.log = installation, log
    app.add_middleware(Gate)
    app.middleware("http")(_with_headers)
    install_handlers(app)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for router in (*api.ROUTERS, *pages.ROUTERS):
        app.include_router(router)
    describe(app)
    return app


def _closing(log: Broker) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """The app's life: the log is closed at its end."""

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        log.close()

    return life


async def _with_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if not request.url.path.startswith("/static/"):
        response.headers.setdefault("Cache-Control", "no-store")
    return response
