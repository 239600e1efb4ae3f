"""Tables of regions: what each has and offers, as its cloud told it last."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Key


class Region(Base):
    """One cloud of the city; `reserve_largest_host` keeps room for the failure of its largest host."""

    __tablename__ = "regions"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    reserve_largest_host: Mapped[bool] = mapped_column(default=False)
    opened_at: Mapped[datetime]
    inventory_seen_at: Mapped[datetime | None]


class RegionInventory(Base):
    """What one provider of a region has of a dimension, as the cloud told it last."""

    __tablename__ = "region_inventories"
    __table_args__ = (UniqueConstraint("region", "dimension", "provider"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    dimension: Mapped[str] = mapped_column(String(32))
    provider: Mapped[str] = mapped_column(String(255))
    total: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    ratio: Mapped[float]
    seen_at: Mapped[datetime]


class RegionFlavor(Base):
    """A size of server that a region offers, as the cloud told it last."""

    __tablename__ = "region_flavors"
    __table_args__ = (UniqueConstraint("region", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    name: Mapped[str] = mapped_column(String(255))
    vcpus: Mapped[int]
    ram_mib: Mapped[int] = mapped_column(BigInteger)
    root_gib: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]


class RegionImage(Base):
    """What a server of a region can start from, as the cloud told it last."""

    __tablename__ = "region_images"
    __table_args__ = (UniqueConstraint("region", "name"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    region: Mapped[str] = mapped_column(String(64), ForeignKey("regions.name"))
    name: Mapped[str] = mapped_column(String(255))
    min_root_gib: Mapped[int] = mapped_column(BigInteger)
    min_ram_mib: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[datetime]
