"""Addresses that a process serves at: bound early, so that no work is done for one that it cannot have."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

import typer
import uvicorn
from starlette.types import ASGIApp

from infra.errors import Kind, SijiError
from infra.settings import Settings


class AddressUnusable(SijiError):
    """An address cannot be bound: another process has it, or this machine has no such address."""

    kind = Kind.unavailable
    code = "address_unusable"
    zh = (
        "无法在 {address} 启动{what_zh}：{why}；"
        "请结束占用该端口的程序，或用 {setting}_PORT（端口）和 {setting}_HOST（地址）另行指定"
    )
    en = (
        "The {what_en} cannot be served at {address}: {why}; end what uses the port, or name another with "
        "{setting}_PORT (and the address with {setting}_HOST)"
    )


@dataclass(frozen=True)
class Address:
    """Where something is to be served, what it is in both languages, and how its two settings begin."""

    host: str
    port: int
    what_zh: str
    what_en: str
    setting: str

    @property
    def url(self) -> str:
        """For people, without a path."""
        return f"http://{self.host}:{self.port}"


def portal_address(settings: Settings) -> Address:
    """The portal's."""
    return Address(settings.portal_host, settings.portal_port, "门户", "portal", "SIJI_PORTAL")


def metrics_address(settings: Settings) -> Address:
    """The exporter's."""
    return Address(settings.metrics_host, settings.metrics_port, "监控指标服务", "exporter", "SIJI_METRICS")


def bind(address: Address) -> list[socket.socket]:
    """Sockets that hold the address from now on; nobody is answered before `serve_at`.

    One for each address that the host's name stands for. Raises AddressUnusable.
    """
    bound: list[socket.socket] = []
    with _telling(address), ExitStack() as unless_all:
        flags = socket.AI_PASSIVE
        found = socket.getaddrinfo(address.host, None, type=socket.SOCK_STREAM, flags=flags)
        for family, kind, protocol, _, place in found:
            one = unless_all.enter_context(socket.socket(family, kind, protocol))
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((place[0], address.port, *place[2:]))  # getaddrinfo would take a port modulo 65,536
        unless_all.pop_all()
    return bound


def listen(address: Address, bound: Sequence[socket.socket]) -> None:
    """Take calls from now on. AddressUnusable: one may be bound by several until one of them listens."""
    with _telling(address):
        for one in bound:
            one.listen()


def serve_app(app: ASGIApp, bound: list[socket.socket]) -> None:
    """Answer on sockets that listen until this process is told to end."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with suppress(KeyboardInterrupt):
        server.run(sockets=bound)
    if not server.started:
        raise typer.Exit(1)


@contextmanager
def _telling(address: Address) -> Iterator[None]:
    """What the machine refuses of the address within is raised as AddressUnusable."""
    try:
        yield
    except (OSError, OverflowError) as error:
        raise AddressUnusable(
            address=f"{address.host}:{address.port}",
            why=getattr(error, "strerror", None) or str(error),
            what_zh=address.what_zh,
            what_en=address.what_en,
            setting=address.setting,
        ) from error
