"""Regions: opening them, what the cloud says they have, what they can hold."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from infra import journal
from infra.database import serialise
from provisioning.errors import NoSuchRegion
from provisioning.models import Region, RegionInventory
from provisioning.quota import Inventory, Limits, capacity
from provisioning.service.accounts import lock_region


def open_region(
    session: Session, *, name: str, at: datetime, actor: str, reserve_largest_host: bool | None = None
) -> Region:
    """The region `name`, made if it is not there; a second call sets its reserve and nothing else.

    None leaves the reserve of an open region as it is, and a new one has none.
    """
    serialise(session, "siji.regions")
    found = session.get(Region, name)
    if found is not None:
        if reserve_largest_host is None:
            return found
        return set_reserve(
            session, region=name, reserve_largest_host=reserve_largest_host, at=at, actor=actor
        )
    region = Region(name=name, opened_at=at, reserve_largest_host=bool(reserve_largest_host))
    session.add(region)
    after = {"reserve_largest_host": region.reserve_largest_host}
    journal.append(
        session, actor=actor, act="region.open", subject=f"region:{name}", bureau_id=None, at=at, after=after
    )
    session.flush()
    return region


def set_reserve(
    session: Session, *, region: str, reserve_largest_host: bool, at: datetime, actor: str
) -> Region:
    """Keep room in the region for the failure of its largest host, or keep none; the same changes nothing.

    Grants stand even if the capacity fell below them: the report shows it. Raises `NoSuchRegion`.
    """
    found = lock_region(session, region)
    if found.reserve_largest_host == reserve_largest_host:
        return found
    before = {"reserve_largest_host": found.reserve_largest_host}
    found.reserve_largest_host = reserve_largest_host
    journal.append(
        session,
        actor=actor,
        act="region.reserve",
        subject=f"region:{region}",
        bureau_id=None,
        at=at,
        before=before,
        after={"reserve_largest_host": reserve_largest_host},
    )
    session.flush()
    return found


def record_inventory(
    session: Session, *, region: str, inventories: Iterable[Inventory], at: datetime
) -> None:
    """Replace what is known of the region's providers by what the cloud tells now; `NoSuchRegion`.

    Grants stand even if the capacity fell below them: the report shows it.
    """
    lock_region(session, region).inventory_seen_at = at
    session.execute(delete(RegionInventory).where(RegionInventory.region == region))
    session.add_all(
        RegionInventory(
            region=region,
            dimension=row.dimension,
            provider=row.provider,
            total=row.total,
            reserved=row.reserved,
            ratio=row.ratio,
            seen_at=at,
        )
        for row in inventories
    )
    session.flush()


def capacity_of(session: Session, *, region: str) -> Limits:
    """What the region can hold by its inventory as last told; `NoSuchRegion`."""
    found = session.get(Region, region)
    if found is None:
        raise NoSuchRegion(region=region)
    rows = session.scalars(select(RegionInventory).where(RegionInventory.region == region))
    inventories = [Inventory(row.dimension, row.provider, row.total, row.reserved, row.ratio) for row in rows]
    return capacity(inventories, reserve_largest_host=found.reserve_largest_host)
