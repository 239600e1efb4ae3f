"""How the walk over all routes makes its calls, and who should come in. The calls are in calls/, by noun."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from identity.queries import get_bureau, is_within
from identity.roles import CITYWIDE, ROLE_PERMISSIONS, Permission
from infra.installation import Installation
from portal.route_table import RouteAccess
from portal.sample.people import SamplePerson

Named = dict[str, Any]
"""What a file of calls prepared, by the names that its calls use in `{…}`."""


@dataclass(frozen=True)
class Call:
    """One call of a route: `route` is 'GET /api/v1/bureaus/{code}', `names` fill its parameters.

    `bureau` is the code of the bureau that the permission is asked for at, or several of which any will do;
    None: at none, as in a list that is filtered. `json`, `form`, `query` and `names` may hold '{…}' of what
    was prepared.
    `hidden`: whoever may not see it is told that it is not there. `permission`: the one of the route's
    permissions that lets in here, where they are for different things and this is one of them.
    """

    route: str
    bureau: str | tuple[str, ...] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    hidden: bool = False
    permission: Permission | None = None


def call_files() -> list[Any]:
    """The modules in calls/: each has CALLS and may have `prepare(installation) -> Named`."""
    folder = Path(__file__).parent / "calls"
    return [
        importlib.import_module(f"tests.portal.calls.{file.stem}") for file in sorted(folder.glob("*.py"))
    ]


def list_calls() -> list[Call]:
    """Every call of the walk."""
    return [call for module in call_files() for call in module.CALLS]


def prepare_all(installation: Installation) -> Named:
    """Make what the calls need in the sample city; the names of it."""
    named: Named = {}
    for module in call_files():
        make: Callable[[Installation], Named] | None = getattr(module, "prepare", None)
        if make is not None:
            named |= make(installation)
    return named


def fill(value: Any, named: Named) -> Any:
    """`value` with every '{name}' in its texts filled; a text that is one name keeps that one's type."""
    if isinstance(value, str):
        whole = value[1:-1] if value.startswith("{") and value.endswith("}") else None
        return named[whole] if whole in named else value.format_map(named) if "{" in value else value
    if isinstance(value, Mapping):
        return {key: fill(each, named) for key, each in value.items()}
    if isinstance(value, list):
        return [fill(each, named) for each in value]
    return value


def path_of(call: Call, named: Named) -> str:
    """The path with its parameters."""
    path = call.route.partition(" ")[2].replace(":path}", "}")
    return path.format_map({**named, **fill(call.names, named)})


def comes_in(session: Session, person: SamplePerson, route: RouteAccess, call: Call) -> bool:
    """Whether the route's own table says that the person's role lets them in there."""
    if route.is_open or not route.permissions:
        return True
    permissions = (call.permission,) if call.permission else route.permissions
    held = ROLE_PERMISSIONS[person.role].intersection(permissions)
    if not held:
        return False
    if call.bureau is None or not held.isdisjoint(CITYWIDE):
        return True
    top = get_bureau(session, code=person.scope)
    codes = (call.bureau,) if isinstance(call.bureau, str) else call.bureau
    places = [get_bureau(session, code=code) for code in codes]
    return any(is_within(session, bureau_id=here.id, top_id=top.id) for here in places)


def by_route(calls: list[Call]) -> Iterator[tuple[str, list[Call]]]:
    """The calls by route."""
    for route in dict.fromkeys(call.route for call in calls):
        yield route, [call for call in calls if call.route == route]
