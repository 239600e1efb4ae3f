"""SELECTs into frames and rows for the reports. No decisions, and no sums that SQL can do."""

from collections.abc import Sequence

import pandas as pd
from sqlalchemy import BigInteger, Boolean, ColumnElement, Select, case, cast, func, or_, select, type_coerce
from sqlalchemy.orm import Session, aliased

from identity.models import Bureau, System
from identity.queries import subtree_ids
from infra.database import Document
from provisioning.models import Allocation, QuotaAccount, Region, RegionInventory
from provisioning.quota import DIMENSIONS

DIMENSION_KEYS = [d.key for d in DIMENSIONS]
HOLDERS = {"region": Allocation.region, "bureau_id": Allocation.bureau_id, "system_id": Allocation.system_id}


def read_usage(session: Session, *, by: Sequence[str], within: int | None = None) -> pd.DataFrame:
    """What open allocations hold: columns `by` (keys of HOLDERS), is_in_flight, and an int64 a dimension.

    In flight is claimed and not settled. SQL sums: as many rows come back as there are groups, not
    allocations. `within` keeps to the subtree of a bureau.
    """
    keys = [HOLDERS[key].label(key) for key in by]
    in_flight = case((Allocation.state == "claimed", True), else_=False)
    query = (
        select(*keys, cast(in_flight, Boolean).label("is_in_flight"), *map(_summed, DIMENSION_KEYS))
        .where(Allocation.valid_to.is_(None))
        .group_by(*(HOLDERS[key] for key in by), Allocation.state)
    )
    if within is not None:
        query = query.where(Allocation.bureau_id.in_(subtree_ids(within)))
    frame = _frame(session, query)
    integers = [key for key in by if key != "region"] + DIMENSION_KEYS
    return frame.astype({**dict.fromkeys(integers, "int64"), "is_in_flight": "bool"})


def read_inventory(session: Session) -> pd.DataFrame:
    """What the clouds told of their regions: region, dimension, total and reserved (int64), and stretched:
    the rest times the over-commit ratio of its provider (float64).
    """
    rest = RegionInventory.total - RegionInventory.reserved
    query = select(
        RegionInventory.region,
        RegionInventory.dimension,
        cast(func.sum(RegionInventory.total), BigInteger).label("total"),
        cast(func.sum(RegionInventory.reserved), BigInteger).label("reserved"),
        func.sum(rest * RegionInventory.ratio).label("stretched"),
    ).group_by(RegionInventory.region, RegionInventory.dimension)
    return _frame(session, query).astype({"total": "int64", "reserved": "int64", "stretched": "float64"})


def list_region_names(session: Session) -> Sequence[str]:
    """Every region that was opened, by name."""
    return session.scalars(select(Region.name).order_by(Region.name)).all()


def list_accounts(session: Session, *, within: int | None = None) -> Sequence[QuotaAccount]:
    """The quota accounts of a bureau's subtree, or all of them."""
    query = select(QuotaAccount)
    if within is not None:
        query = query.where(QuotaAccount.bureau_id.in_(subtree_ids(within)))
    return session.scalars(query).all()


def list_outermost_accounts(
    session: Session, *, within: int | None = None
) -> Sequence[tuple[str, QuotaAccount]]:
    """The level and the account of every bureau whose parent is of another level, or that has none; in the
    subtree of the bureau `within`, its own too.

    What they were granted came into their level from outside it; all other grants of the level are carved
    out of these.
    """
    parent = aliased(Bureau)
    query = (
        select(Bureau.level, QuotaAccount)
        .join(Bureau, Bureau.id == QuotaAccount.bureau_id)
        .outerjoin(parent, parent.id == Bureau.parent_id)
    )
    from_outside = or_(parent.id.is_(None), parent.level != Bureau.level)
    if within is None:
        query = query.where(from_outside)
    else:
        query = query.where(or_(from_outside, Bureau.id == within), Bureau.id.in_(subtree_ids(within)))
    return [(level, account) for level, account in session.execute(query)]


def list_root_accounts(session: Session) -> Sequence[QuotaAccount]:
    """The accounts of bureaus that have no parent: their grants are the region's own."""
    query = select(QuotaAccount).join(Bureau, Bureau.id == QuotaAccount.bureau_id)
    return session.scalars(query.where(Bureau.parent_id.is_(None))).all()


def read_bureaus(session: Session) -> pd.DataFrame:
    """The tree as it is now, abolished units too: bureau_id, bureau_code, bureau, level, parent_id."""
    return _frame(
        session,
        select(
            Bureau.id.label("bureau_id"),
            Bureau.code.label("bureau_code"),
            Bureau.name.label("bureau"),
            Bureau.level,
            Bureau.parent_id,
        ),
    ).astype({"bureau_id": "int64", "parent_id": "Int64"})


def read_systems(session: Session) -> pd.DataFrame:
    """The information systems, retired ones too: system_id, system_code, system."""
    query = select(
        System.id.label("system_id"), System.code.label("system_code"), System.name.label("system")
    )
    return _frame(session, query).astype({"system_id": "int64"})


def _summed(key: str) -> ColumnElement[int]:
    amount = cast(type_coerce(Allocation.amounts, Document)[key].as_string(), BigInteger)
    return cast(func.coalesce(func.sum(amount), 0), BigInteger).label(key)


def _frame(session: Session, query: Select[*tuple[object, ...]]) -> pd.DataFrame:
    result = session.execute(query)
    return pd.DataFrame.from_records(result.all(), columns=list(result.keys()))
