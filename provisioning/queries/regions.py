"""SELECTs on regions: what each has and offers."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from provisioning.errors import NoSuchRegion
from provisioning.models import Region, RegionFlavor, RegionImage, RegionInventory


def list_regions(session: Session) -> Sequence[Region]:
    """Every region that was opened, by name."""
    return session.scalars(select(Region).order_by(Region.name)).all()


def get_region(session: Session, name: str) -> Region:
    """The region of that name. Raises: NoSuchRegion."""
    found = session.get(Region, name)
    if found is None:
        raise NoSuchRegion(region=name)
    return found


def list_inventory(session: Session, region: str) -> Sequence[RegionInventory]:
    """What each provider of the region has of each dimension, as the cloud told it last."""
    query = select(RegionInventory).where(RegionInventory.region == region)
    return session.scalars(query.order_by(RegionInventory.dimension, RegionInventory.provider)).all()


def list_flavors(session: Session, region: str) -> Sequence[RegionFlavor]:
    """What the region offers, by name."""
    query = select(RegionFlavor).where(RegionFlavor.region == region)
    return session.scalars(query.order_by(RegionFlavor.name)).all()


def list_images(session: Session, region: str) -> Sequence[RegionImage]:
    """What servers of the region can start from, by name."""
    query = select(RegionImage).where(RegionImage.region == region)
    return session.scalars(query.order_by(RegionImage.name)).all()


def find_flavor(session: Session, *, region: str, name: str) -> RegionFlavor | None:
    """The region's flavor of that name."""
    return session.scalar(
        select(RegionFlavor).where(RegionFlavor.region == region, RegionFlavor.name == name)
    )


def find_image(session: Session, *, region: str, name: str) -> RegionImage | None:
    """The region's image of that name."""
    return session.scalar(select(RegionImage).where(RegionImage.region == region, RegionImage.name == name))
