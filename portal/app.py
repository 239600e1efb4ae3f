"""The portal as one ASGI app over an installation: pages at /, REST API at /api/v1."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from exchange.broker.connect import connect_broker
from exchange.broker.driver import Broker
from infra.installation import Installation
from portal import api, pages
from portal.api.description import describe
from portal.errors import install_handlers
from portal.gate import Gate
from portal.headers import WithHeaders

STATIC = Path(__file__).parent / "static"


class Portal(FastAPI):
    """With headers on every answer: Starlette answers for what nobody caught outside of all middleware."""

    def build_middleware_stack(self) -> ASGIApp:
        """What Starlette builds, inside of the headers."""
        return WithHeaders(super().build_middleware_stack())


def create_app(installation: Installation) -> FastAPI:
    """The app; it holds no state beyond `installation` and the log, so any number of replicas may run.

    The log connects when first used, and is given back when the app shuts down.
    """
    log = connect_broker(installation.settings)
    app = Portal(
        lifespan=_closing(log),
        title="Siji 四级云",
        version="1",
        summary="One government cloud for four levels of government",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.installation, app.state.log = installation, log
    app.add_middleware(Gate, batch_limit=installation.settings.batch_sent_bytes)
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
