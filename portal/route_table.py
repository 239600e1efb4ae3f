"""Which route lets whom in, read off the routes themselves; docs/routes.md and the tests are made from it."""

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from identity.roles import ROLE_NAMES, ROLE_PERMISSIONS, Permission, Role
from portal import api, pages
from portal.access import caller, signed_in
from portal.needs import Needs


@dataclass(frozen=True)
class RouteAccess:
    """A route and who may come in: anybody, whoever signed in, or who holds any of `permissions`."""

    method: str
    path: str
    is_open: bool
    permissions: tuple[Permission, ...]

    @property
    def is_api(self) -> bool:
        """Whether it is of the REST API, not a page."""
        return self.path.startswith("/api/")


def list_routes() -> list[RouteAccess]:
    """Every route of the portal, the API's first, by path."""
    found = [
        RouteAccess(method, route.path, _is_open(route.dependant), _permissions(route.dependant))
        for router in (*api.ROUTERS, *pages.ROUTERS)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    ]
    return sorted(found, key=lambda one: (not one.is_api, one.path, one.method))


def route_table() -> str:
    """The table as Markdown, Chinese and English."""
    lines = [
        "| 路由 route | 权限 permission | 可进入者 who may come in |",
        "|---|---|---|",
    ]
    for route in list_routes():
        needed = " / ".join(f"`{permission}`" for permission in route.permissions)
        lines.append(f"| {route.method} `{route.path}` | {needed} | {_who(route)} |")
    return "\n".join(lines) + "\n"


def _who(route: RouteAccess) -> str:
    if route.is_open:
        return "任何人 anybody"
    if not route.permissions:
        return "已登录者 whoever signed in"
    if len(roles := _roles(route)) == len(Role):
        return "任何角色 every role"
    return "、".join(f"{ROLE_NAMES[role][0]} {ROLE_NAMES[role][1]}" for role in roles)


def _roles(route: RouteAccess) -> list[Role]:
    return [role for role, held in ROLE_PERMISSIONS.items() if not held.isdisjoint(route.permissions)]


def _calls(dependant: Dependant) -> Iterator[object]:
    for below in dependant.dependencies:
        yield below.call
        yield from _calls(below)


def _is_open(dependant: Dependant) -> bool:
    return not any(call in (caller, signed_in) for call in _calls(dependant))


def _permissions(dependant: Dependant) -> tuple[Permission, ...]:
    found = [call for call in _calls(dependant) if isinstance(call, Needs)]
    return tuple(dict.fromkeys(permission for one in found for permission in one.permissions))
