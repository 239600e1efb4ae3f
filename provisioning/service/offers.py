"""What a region has and offers, learned from its cloud: inventory, flavors, images."""

from datetime import datetime

from sqlalchemy import Engine, delete
from sqlalchemy.orm import Session

from infra.database import transaction
from provisioning.cloud.driver import Cloud
from provisioning.cloud.observed import Flavor, Image, ImageStatus
from provisioning.models import RegionFlavor, RegionImage
from provisioning.service.accounts import lock_region
from provisioning.service.regions import record_inventory


def learn_region(engine: Engine, cloud: Cloud, *, at: datetime) -> None:
    """Ask the cloud what it has and offers, then write it down. Raises `NoSuchRegion`, `Retryable`."""
    providers, flavors, images = cloud.inventory(), cloud.list_flavors(), cloud.list_images()
    inventories = [row for provider in providers for row in provider.inventories]
    with transaction(engine) as session:
        record_inventory(session, region=cloud.region, inventories=inventories, at=at)
        record_offers(session, region=cloud.region, flavors=flavors, images=images, at=at)


def record_offers(
    session: Session, *, region: str, flavors: list[Flavor], images: list[Image], at: datetime
) -> None:
    """Replace what is known of the region's flavors and of its images that are no snapshots."""
    lock_region(session, region)
    session.execute(delete(RegionFlavor).where(RegionFlavor.region == region))
    session.execute(delete(RegionImage).where(RegionImage.region == region))
    session.add_all(
        RegionFlavor(
            region=region,
            name=one.name,
            vcpus=one.vcpus,
            ram_mib=one.ram_mib,
            root_gib=one.root_gib,
            seen_at=at,
        )
        for one in flavors
    )
    usable = {one.name: one for one in images if one.tag is None and one.status == ImageStatus.active}
    session.add_all(
        RegionImage(
            region=region,
            name=one.name,
            min_root_gib=one.min_root_gib,
            min_ram_mib=one.min_ram_mib,
            seen_at=at,
        )
        for one in usable.values()
    )
    session.flush()
