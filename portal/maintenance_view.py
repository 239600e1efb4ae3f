"""What a caller sees of a host's maintenance: the office all of it, others what meets their own bureaus."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import find_bureaus
from portal.needs import Asker
from provisioning.models import Maintenance, MaintenanceMeets, MaintenanceMove
from provisioning.queries import get_maintenance, meets_of, moves_of, servers_by_id


@dataclass(frozen=True)
class MaintenanceSeen:
    """`is_whole`: all of it, and what stands in its way, which names others' servers."""

    found: Maintenance
    met: Sequence[tuple[MaintenanceMeets, Bureau]]
    moves: Sequence[MaintenanceMove]
    is_whole: bool

    @property
    def fault(self) -> dict[str, str] | None:
        """What stands in its way."""
        return self.found.fault if self.is_whole else None


def see_maintenance(session: Session, asker: Asker, maintenance_id: int) -> MaintenanceSeen:
    """The maintenance for who may see a bureau that it meets. Raises NotFound, Forbidden."""
    found = get_maintenance(session, maintenance_id)
    asker.at(session, None, *(one.bureau_id for one in meets_of(session, found.id)))
    return show_maintenance(session, asker, found)


def show_maintenance(session: Session, asker: Asker, found: Maintenance) -> MaintenanceSeen:
    """What the caller sees of it, whatever that is."""
    scope = asker.scope(session)
    met = [one for one in meets_of(session, found.id) if scope is None or one.bureau_id in scope]
    bureaus = find_bureaus(session, {one.bureau_id for one in met})
    moves = moves_of(session, found.id)
    if scope is not None:
        servers = servers_by_id(session, {one.server_id for one in moves if one.server_id is not None})
        own = {key for key, server in servers.items() if server.bureau_id in scope}
        moves = [one for one in moves if one.server_id in own]
    return MaintenanceSeen(found, [(one, bureaus[one.bureau_id]) for one in met], moves, scope is None)
