"""One look at a region's servers, volumes and addresses, beside their records."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from infra.database import reading
from provisioning.cloud.driver import Cloud, NotInCloud
from provisioning.comparison import Difference, Kind, Listing, Records, compare
from provisioning.models import Allocation, Server, Volume
from provisioning.queries import read_gone, read_records, read_removed

HOLDS_NOTHING = ("failed", "given_up", "released")


def look_at_servers(engine: Engine, cloud: Cloud) -> tuple[int, list[Difference]]:
    """How many servers and volumes the cloud showed, and what differs. Raises `CloudFailure`."""
    with reading(engine) as session:
        before = read_records(session, cloud.region)
    listing = Listing(cloud.list_servers(), cloud.list_volumes(), cloud.list_addresses())
    with reading(engine) as session:
        after = _with_gone(session, cloud.region, listing)
        orphans = _orphaned_allocations(session, cloud.region)
        differences = compare(before, listing, after)
        removed = read_removed(session, cloud.region, [one.cloud_id for one in differences if one.cloud_id])
    found = [one for one in differences if one.cloud_id not in removed and not _is_there(cloud, one)]
    return len(listing.servers) + len(listing.volumes), [*found, *orphans]


def _with_gone(session: Session, region: str, listing: Listing) -> Records:
    """The records, and of those that are gone the ones that the cloud still shows."""
    live = read_records(session, region)
    known = {one.cloud_id for one in live.servers} | {one.cloud_id for one in live.volumes}
    gone = read_gone(
        session,
        region,
        servers=[(one.id, one.tag) for one in listing.servers if one.id not in known],
        volumes=[(one.id, one.tag) for one in listing.volumes if one.id not in known],
    )
    return Records([*live.servers, *gone.servers], [*live.volumes, *gone.volumes], live.owners)


def _is_there(cloud: Cloud, found: Difference) -> bool:
    """Whether what the listing lacked answers when it is asked for by its id: the listing missed it then."""
    ask: dict[Kind, Callable[[str], Any]] = {
        Kind.server_missing: cloud.get_server,
        Kind.volume_missing: cloud.get_volume,
    }
    if found.kind not in ask or found.cloud_id is None:
        return False
    try:
        ask[found.kind](found.cloud_id)
    except NotInCloud:
        return False
    return True


def _orphaned_allocations(session: Session, region: str) -> list[Difference]:
    """Quota held for servers and volumes that the records have no more."""
    servers = select(Server.allocation_key).where(Server.region == region, Server.state.not_in(HOLDS_NOTHING))
    volumes = (
        select(Volume.allocation_key)
        .join(Server, Server.id == Volume.server_id)
        .where(Server.region == region, Volume.state.not_in(HOLDS_NOTHING))
    )
    query = select(Allocation).where(
        Allocation.region == region,
        Allocation.valid_to.is_(None),
        Allocation.key.not_in(servers.union_all(volumes)),
    )
    return [
        Difference(
            kind=Kind.allocation_orphaned,
            subject=f"allocation:{one.key}",
            name=one.key,
            bureau_id=one.bureau_id,
            facts={"amounts": one.amounts.document(), "since": one.valid_from.isoformat()},
        )
        for one in session.scalars(query.order_by(Allocation.id))
    ]
