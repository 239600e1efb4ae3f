"""`siji serve`: the portal of this installation; any number of them may run."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import typer
import uvicorn

from infra import jobs
from infra.errors import Kind, SijiError
from infra.installation import Installation
from infra.settings import Settings
from portal.app import create_app
from portal.cli.local import open_local
from portal.cli.speech import say

SAID = {"serves": {"zh": "门户：{url}（Ctrl+C 结束）", "en": "Portal: {url} (end it with Ctrl+C)"}}


class AddressUnusable(SijiError):
    """The portal's address cannot be bound: another process has it, or this machine has no such address."""

    kind = Kind.unavailable
    code = "address_unusable"
    zh = (
        "无法在 {address} 启动门户：{why}；"
        "请结束占用该端口的程序，或用 SIJI_PORTAL_PORT（端口）和 SIJI_PORTAL_HOST（地址）另行指定"
    )
    en = (
        "The portal cannot be served at {address}: {why}; end what uses the port, or name another with "
        "SIJI_PORTAL_PORT (and the address with SIJI_PORTAL_HOST)"
    )


def serve() -> None:
    """Serve the portal at SIJI_PORTAL_HOST and SIJI_PORTAL_PORT until ended by Ctrl+C or SIGTERM."""
    here = open_local()
    bound = bind(here.settings)
    jobs.join(here)
    serve_portal(here, bound)


def bind(settings: Settings) -> list[socket.socket]:
    """Sockets that hold the portal's address from now on; nobody is answered before `serve_portal`.

    One for each address that the host's name stands for. Raises AddressUnusable.
    """
    bound: list[socket.socket] = []
    host, port = settings.portal_host, settings.portal_port
    with _telling(settings), ExitStack() as unless_all:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, place in found:
            one = unless_all.enter_context(socket.socket(family, kind, protocol))
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((place[0], port, *place[2:]))  # getaddrinfo would take a port modulo 65,536
        unless_all.pop_all()
    return bound


def serve_portal(here: Installation, bound: list[socket.socket]) -> None:
    """Say where the portal is, and serve it on the sockets of `bind` until this process is told to end.

    Raises AddressUnusable: an address may be bound by several until one of them listens.
    """
    settings = here.settings
    with _telling(settings):
        for one in bound:
            one.listen()
    say(SAID["serves"], url=f"http://{settings.portal_host}:{settings.portal_port}")
    server = uvicorn.Server(uvicorn.Config(create_app(here), log_level="warning"))
    with suppress(KeyboardInterrupt):
        server.run(sockets=bound)
    if not server.started:
        raise typer.Exit(1)


@contextmanager
def _telling(settings: Settings) -> Iterator[None]:
    """What the machine refuses of the portal's address within is raised as AddressUnusable."""
    try:
        yield
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        address = f"{settings.portal_host}:{settings.portal_port}"
        raise AddressUnusable(address=address, why=why) from error
