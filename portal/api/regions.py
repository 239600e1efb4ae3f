"""Regions: what they offer, and for the office what they hold."""

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import Field

from identity.roles import Permission
from infra.jobs import enqueue
from portal.access import At, Reading, Writing
from portal.api.amounts import LimitsOut, limits_out
from portal.api.shapes import In, Out, api_router
from portal.needs import Asker, needs
from provisioning.names import REGION_NAME
from provisioning.queries import get_region, list_flavors, list_images, list_inventory, list_regions
from provisioning.service.regions import capacity_of, open_region, set_reserve

router = api_router("regions")
LEARN = "provisioning.learn_regions"
Offers = Annotated[Asker, needs(Permission.requests_see, Permission.requests_submit)]
Capacity = Annotated[Asker, needs(Permission.capacity_see)]
Sets = Annotated[Asker, needs(Permission.capacity_set)]
NewName = Annotated[str, Path(pattern=REGION_NAME.pattern, description="区域 · region", examples=["baoding"])]


class RegionOut(Out):
    """One cloud of the city."""

    name: str = Field(examples=["baoding"])
    opened_at: datetime


class FlavorOut(Out):
    """A size of server on offer."""

    name: str = Field(examples=["c4-8"])
    vcpus: int = Field(examples=[4])
    ram_mib: int = Field(examples=[8192])
    root_gib: int = Field(examples=[40])


class ImageOut(Out):
    """What a server can start from."""

    name: str = Field(examples=["openEuler-24.03-LTS"])
    min_root_gib: int = Field(examples=[20])
    min_ram_mib: int = Field(examples=[1024])


class InventoryOut(Out):
    """What one provider (host, pool, network) has of a dimension, as the cloud told it."""

    dimension: str = Field(examples=["vcpus"])
    provider: str = Field(examples=["host-01"])
    total: int = Field(examples=[512])
    reserved: int = Field(examples=[0])
    ratio: float = Field(examples=[4.0])


class CapacityOut(Out):
    """What a region can hold: Σ over providers of floor((total − reserved) × ratio), less the reserve."""

    region: str = Field(examples=["baoding"])
    capacity: LimitsOut
    reserve_largest_host: bool
    inventory_seen_at: datetime | None
    inventory: list[InventoryOut]


class RegionIn(In):
    """How a region is opened; without its reserve: as it is, and a new region with none."""

    reserve_largest_host: bool | None = Field(None, examples=[True])


class ReserveIn(In):
    """Whether room for the failure of the largest host is kept."""

    reserve_largest_host: bool = Field(examples=[True])


@router.get("/regions")
def regions(asker: Offers, session: Reading) -> list[RegionOut]:
    """Every region, by name."""
    return [RegionOut.model_validate(one) for one in list_regions(session)]


@router.put("/regions/{region}")
def open_(asker: Sets, session: Writing, at: At, region: NewName, body: RegionIn) -> RegionOut:
    """Open a cloud of the city; a worker asks it in a moment what it has. One that is open is only set."""
    asker.at(session, None)
    opened = open_region(
        session,
        name=region,
        at=at,
        actor=asker.actor.journal_id,
        reserve_largest_host=body.reserve_largest_host,
    )
    enqueue(session, LEARN)
    return RegionOut.model_validate(opened)


@router.get("/regions/{region}/flavors")
def flavors(asker: Offers, session: Reading, region: str) -> list[FlavorOut]:
    """The sizes of server on offer, by name."""
    get_region(session, region)
    return [FlavorOut.model_validate(one) for one in list_flavors(session, region)]


@router.get("/regions/{region}/images")
def images(asker: Offers, session: Reading, region: str) -> list[ImageOut]:
    """What a server can start from, by name."""
    get_region(session, region)
    return [ImageOut.model_validate(one) for one in list_images(session, region)]


@router.get("/regions/{region}/capacity")
def capacity(asker: Capacity, session: Reading, region: str) -> CapacityOut:
    """What the region has and can hold."""
    found = get_region(session, region)
    asker.at(session, None)
    return CapacityOut(
        region=found.name,
        capacity=limits_out(capacity_of(session, region=found.name)),
        reserve_largest_host=found.reserve_largest_host,
        inventory_seen_at=found.inventory_seen_at,
        inventory=[InventoryOut.model_validate(one) for one in list_inventory(session, found.name)],
    )


@router.put("/regions/{region}/reserve", status_code=204)
def reserve(asker: Sets, session: Writing, at: At, region: str, body: ReserveIn) -> None:
    """Keep room for the failure of the largest host, or not."""
    asker.at(session, None)
    set_reserve(
        session,
        region=region,
        reserve_largest_host=body.reserve_largest_host,
        at=at,
        actor=asker.actor.journal_id,
    )


@router.post("/regions/{region}/refresh", status_code=202)
def refresh(asker: Sets, session: Writing, region: str) -> RegionOut:
    """Have the clouds asked anew what they have and offer; a worker does it in a moment."""
    asker.at(session, None)
    found = get_region(session, region)
    enqueue(session, LEARN)
    return RegionOut.model_validate(found)
