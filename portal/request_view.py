"""A resource request as people look at it: its lines in words, its servers, what is short of quota now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from approval.models import Case
from approval.queries import get_case
from identity.models import Bureau, Person, System
from identity.queries import get_bureau_by_id, get_system_by_id
from provisioning.adoption import Sighting
from provisioning.errors import RequestInvalid
from provisioning.models import RegionFlavor, Removal, Request, RequestLine, Server, Volume
from provisioning.queries import (
    get_volume,
    list_flavors,
    list_lines,
    list_servers_of,
    removals_of,
    servers_by_id,
)
from provisioning.quota import DIMENSIONS, Dimension, Limits
from provisioning.removal import Sight
from provisioning.service.accounts import find_account, headroom_of
from provisioning.service.adoption import sighting_of
from provisioning.service.fulfil import amounts_asked, find_request_shortfalls
from provisioning.service.looking import sight_of
from provisioning.wording import KINDS

UNDECIDED = ("draft", "submitted")
READY = ("active", "stopped", "given_up", "released")


@dataclass(frozen=True)
class Need:
    """What a request would take in a dimension, of what the bureau has left there; None is unlimited."""

    dimension: Dimension
    asked: int
    left: int | None

    @property
    def after(self) -> int | None:
        """What would be left; below zero it is short."""
        return None if self.left is None else self.left - self.asked


@dataclass(frozen=True)
class RequestShown:
    """A request with all that its page tells. `targets` are the servers that lines name, by id; `seen` what
    the cloud showed of servers to adopt, by their ids there; `sights` of things to remove and `removals`, by
    their lines. `case` is None for what an operator imported.
    """

    request: Request
    case: Case | None
    kind: tuple[str, str]
    bureau: Bureau
    system: System | None
    applicant: str
    lines: Sequence[RequestLine]
    flavors: dict[str, RegionFlavor]
    targets: dict[int, Server]
    seen: dict[str, Sighting]
    volumes: dict[int, Volume]
    sights: dict[int, Sight]
    removals: dict[int, Removal]
    servers: Sequence[Server]
    shortfalls: list[dict[str, Any]]
    needs: list[Need]

    @property
    def ready(self) -> int:
        """How many of its servers wait for nothing any more."""
        return sum(server.state in READY for server in self.servers)

    @property
    def failed(self) -> int:
        """How many of its servers wait for a decision of the applicant's, as they could not be built."""
        return sum(server.state == "failed" for server in self.servers)


def show_request(session: Session, request: Request) -> RequestShown:
    """The request as it stands, with what it would take and what would be short if it were verified now."""
    is_open = request.state in UNDECIDED
    system = None if request.system_id is None else get_system_by_id(session, system_id=request.system_id)
    lines = list_lines(session, request.id)
    return RequestShown(
        request=request,
        case=None if request.case_id is None else get_case(session, request.case_id),
        kind=KINDS[request.kind],
        bureau=get_bureau_by_id(session, bureau_id=request.bureau_id),
        system=system,
        applicant=session.get_one(Person, request.applicant_id).name,
        lines=lines,
        flavors={one.name: one for one in list_flavors(session, request.region)},
        targets=servers_by_id(session, [line.target_id for line in lines if line.target_id is not None]),
        seen={seen.cloud_id: seen for line in lines if (seen := sighting_of(line)) is not None},
        volumes={line.volume_id: get_volume(session, line.volume_id) for line in lines if line.volume_id},
        sights={line.id: sight for line in lines if (sight := sight_of(line)) is not None},
        removals=removals_of(session, request.id),
        servers=list_servers_of(session, request.id),
        shortfalls=_shortfalls(session, request) if is_open else [],
        needs=_needs(session, request) if is_open else [],
    )


def _needs(session: Session, request: Request) -> list[Need]:
    """A row for each dimension of which anything is asked; none for a quota change, which claims nothing."""
    try:
        asked = amounts_asked(session, request)
    except RequestInvalid:  # as below
        return []
    account = find_account(session, region=request.region, bureau_id=request.bureau_id)
    left = Limits() if account is None else headroom_of(account)
    return [Need(one, asked[one.key], left[one.key]) for one in DIMENSIONS if asked[one.key]]


def _shortfalls(session: Session, request: Request) -> list[dict[str, Any]]:
    try:
        return find_request_shortfalls(session, request)
    except RequestInvalid:  # a flavor that is gone: the decision will say so
        return []
