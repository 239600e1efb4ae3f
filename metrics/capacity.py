"""The capacity report: what is there, granted, used and left, by region, level, bureau or system.

Whole numbers only, but for the over-commit ratio (Float64). Every other figure is an Int64; a missing one
(NA) is unlimited, or, in the inventory of a dimension that no provider holds, not counted. It is never zero.
How it is shown is in export.py, what each figure means in notes.py.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd
from sqlalchemy.orm import Session

from identity.levels import LEVELS
from identity.queries import subtree_ids
from metrics.queries import (
    DIMENSION_KEYS,
    list_accounts,
    list_outermost_accounts,
    list_region_names,
    list_root_accounts,
    read_bureaus,
    read_inventory,
    read_systems,
    read_usage,
)
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Room, total_of
from provisioning.service.accounts import below_of, effective_limit, own_rooms
from provisioning.service.regions import capacity_of

Breakdown = Literal["region", "level", "bureau", "system"]
STORAGE = "storage"
STORAGE_PARTS = ("root_gib", "volume_gib")
SHOWN_DIMENSIONS = [*DIMENSION_KEYS, STORAGE]


def report_capacity(session: Session, *, by: Breakdown = "region", within: int | None = None) -> pd.DataFrame:
    """A row for each key and each of SHOWN_DIMENSIONS, in order; give it a `reading` session.

    `region`: total, reserved; ratio, by which providers over-commit the rest, on average (two decimals);
    capacity = that rest so stretched, less the reserve for the largest host where set; granted to the tops;
    used, in_flight (part of used: claimed, not yet settled); headroom = capacity − used.
    `level`: granted from outside the level; used and in_flight by bureaus of the level itself; below = used
    by those of other levels below them; headroom = those grants (or the freezes on them) − used − below.
    `bureau`: its grant; used and in_flight by itself; below = carved out for those below it, or in shared
    mode used by them; headroom = granted − used − below, or less by a freeze.
    `system`: used and in_flight; a system has no grant.
    A headroom below zero is an excess, as after a freeze or a lost host.
    `within` (a bureau's id) keeps a report to its subtree. By region it then has granted (to the bureau),
    used, in_flight and headroom (of that grant, or the freeze on it), since a cloud is the whole city's; by
    level, the levels that occur there, and the grant of the bureau itself counts as from outside.
    """
    if by == "region":
        return _by_region(session) if within is None else _by_region_within(session, within)
    if by == "level":
        return _by_level(session, within)
    return _by_bureau(session, within) if by == "bureau" else _by_system(session, within)


def _by_region(session: Session) -> pd.DataFrame:
    regions = list_region_names(session)
    keys = ["region"]
    capacities = [((name,), capacity_of(session, region=name)) for name in regions]
    roots = list_root_accounts(session)
    granted = [((name,), total_of(a.limit for a in roots if a.region == name)) for name in regions]
    inventory = read_inventory(session).astype({"total": "Int64", "reserved": "Int64"})
    told = inventory[[*keys, "dimension", "total", "reserved"]]
    report = _long(capacities, keys, "capacity")
    report = report.merge(told, how="left", on=[*keys, "dimension"])
    report = report.merge(_long(granted, keys, "granted"), on=[*keys, "dimension"])
    report = _with_usage(report, read_usage(session, by=keys), keys)
    report = _with_storage(report, keys)
    report = report.merge(_ratios(inventory), how="left", on=[*keys, "dimension"])
    report["headroom"] = report["capacity"] - report["used"]
    measures = ["total", "reserved", "ratio", "capacity", "granted", "used", "in_flight", "headroom"]
    return _ordered(report, keys, [*keys, "dimension", *measures])


def _by_region_within(session: Session, within: int) -> pd.DataFrame:
    keys = ["region"]
    tops = {a.region: a for a in list_accounts(session, within=within) if a.bureau_id == within}
    places = [(name, tops.get(name)) for name in list_region_names(session)]
    granted = [((name,), Limits() if top is None else top.limit) for name, top in places]
    bounds = [((name,), Limits() if top is None else effective_limit(top)) for name, top in places]
    report = _long(granted, keys, "granted").merge(_long(bounds, keys, "bound"), on=[*keys, "dimension"])
    report = _with_storage(_with_usage(report, read_usage(session, by=keys, within=within), keys), keys)
    report["headroom"] = report["bound"] - report["used"]
    return _ordered(report, keys, [*keys, "dimension", "granted", "used", "in_flight", "headroom"])


def _by_level(session: Session, within: int | None) -> pd.DataFrame:
    keys = ["region", "level"]
    bureaus = read_bureaus(session)
    levels = LEVELS if within is None else _levels_in(session, bureaus, within)
    places = [(name, level) for name in list_region_names(session) for level in levels]
    outermost = [
        ((account.region, level), account)
        for level, account in list_outermost_accounts(session, within=within)
    ]
    granted = [(place, total_of(a.limit for at, a in outermost if at == place)) for place in places]
    bounds = [(place, total_of(effective_limit(a) for at, a in outermost if at == place)) for place in places]
    usage = read_usage(session, by=["region", "bureau_id"], within=within)
    report = _long(granted, keys, "granted").merge(_long(bounds, keys, "bound"), on=[*keys, "dimension"])
    at_level = usage.merge(bureaus[["bureau_id", "level"]], on="bureau_id")
    report = _with_usage(report, at_level, keys)
    held_within = usage.merge(
        _levels_above(bureaus, usage["bureau_id"].unique().tolist(), up_to=within), on="bureau_id"
    )
    total = _melted(held_within, keys).groupby([*keys, "dimension"], as_index=False)[["used"]].sum()
    report = report.merge(total.rename(columns={"used": "below"}), how="left", on=[*keys, "dimension"])
    report["below"] = report["below"].fillna(0) - report["used"]
    report = _with_storage(report, keys)
    report["headroom"] = report["bound"] - report["used"] - report["below"]
    report["rank"] = report["level"].map(LEVELS.index)
    columns = [*keys, "dimension", "granted", "used", "in_flight", "below", "headroom"]
    return _ordered(report, ["region", "rank"], columns)


def _by_bureau(session: Session, within: int | None) -> pd.DataFrame:
    keys = ["region", "bureau_id"]
    accounts = list_accounts(session, within=within)
    limits = [((a.region, a.bureau_id), a.limit) for a in accounts]
    report = _long(limits, keys, "granted")
    report["below"] = _integers(below_of(account)[key] for account in accounts for key in DIMENSION_KEYS)
    report["headroom"] = _integers(_left(account, key) for account in accounts for key in DIMENSION_KEYS)
    report = _with_usage(report, read_usage(session, by=keys, within=within), keys)
    report = _with_storage(report, keys)
    report = report.merge(read_bureaus(session), on="bureau_id")
    columns = ["region", "level", "bureau_code", "bureau", "dimension"]
    measures = ["granted", "used", "in_flight", "below", "headroom"]
    return _ordered(report, ["region", "bureau_code"], [*columns, *measures])


def _by_system(session: Session, within: int | None) -> pd.DataFrame:
    keys = ["region", "bureau_id", "system_id"]
    usage = read_usage(session, by=keys, within=within)
    report = usage[keys].drop_duplicates().merge(pd.DataFrame({"dimension": DIMENSION_KEYS}), how="cross")
    report = _with_storage(_with_usage(report, usage, keys), keys)
    report = report.merge(read_bureaus(session), on="bureau_id").merge(read_systems(session), on="system_id")
    columns = ["region", "bureau_code", "bureau", "system_code", "system", "dimension", "used", "in_flight"]
    return _ordered(report, ["region", "bureau_code", "system_code"], columns)


def _left(account: QuotaAccount, key: str) -> int | None:
    return min(
        (left for room in own_rooms(account) if (left := _left_in(room, key)) is not None), default=None
    )


def _left_in(room: Room, key: str) -> int | None:
    limit, used = room.limit[key], room.used[key]
    if limit is None:
        return None
    return 0 if used is None else limit - used


def _levels_in(session: Session, bureaus: pd.DataFrame, within: int) -> list[str]:
    """The levels that occur in the bureau's subtree, from the top."""
    ids = session.scalars(subtree_ids(within)).all()
    found = set(bureaus[bureaus["bureau_id"].isin(ids)]["level"].tolist())
    return [level for level in LEVELS if level in found]


def _levels_above(bureaus: pd.DataFrame, of: list[int], *, up_to: int | None) -> pd.DataFrame:
    """Pairs of a bureau and each level that it or a bureau above it is of; not above the bureau `up_to`."""
    ids = bureaus["bureau_id"].tolist()
    levels = dict(zip(ids, bureaus["level"].tolist(), strict=True))
    parents = {
        bureau_id: None if pd.isna(parent) or bureau_id == up_to else int(parent)
        for bureau_id, parent in zip(ids, bureaus["parent_id"].tolist(), strict=True)
    }
    pairs: list[tuple[int, str]] = []
    for bureau_id in of:
        found: set[str] = set()
        above: int | None = bureau_id
        while above is not None:
            found.add(levels[above])
            above = parents[above]
        pairs.extend((bureau_id, level) for level in sorted(found))
    frame = pd.DataFrame.from_records(pairs, columns=["bureau_id", "level"])
    return frame.astype({"bureau_id": "int64"})


def _with_usage(report: pd.DataFrame, usage: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    by = [*keys, "dimension"]
    held = _melted(usage, keys)
    used = held.groupby(by, as_index=False)[["used"]].sum()
    flying = held[held["is_in_flight"]].groupby(by, as_index=False)[["used"]].sum()
    report = report.merge(used, how="left", on=by)
    report = report.merge(flying.rename(columns={"used": "in_flight"}), how="left", on=by)
    report[["used", "in_flight"]] = report[["used", "in_flight"]].fillna(0)
    return report


def _melted(usage: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    long = usage.melt([*keys, "is_in_flight"], DIMENSION_KEYS, var_name="dimension", value_name="used")
    return long.astype({"used": "Int64", "dimension": "str"})


def _with_storage(report: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """With a row of root disks and volumes together; the sum with an unlimited part is unlimited."""
    measures = [name for name in report.columns if name not in (*keys, "dimension")]
    parts = report[report["dimension"].isin(STORAGE_PARTS)]
    storage = parts.groupby(keys, as_index=False)[measures].sum(min_count=len(STORAGE_PARTS))
    storage["dimension"] = STORAGE
    return pd.concat([report, storage[report.columns]], ignore_index=True).astype(
        dict.fromkeys(measures, "Int64")
    )


def _ratios(inventory: pd.DataFrame) -> pd.DataFrame:
    """region, dimension and ratio: how far, on average, what is not reserved is over-committed."""
    keys = ["region"]
    sums = inventory.assign(rest=inventory["total"] - inventory["reserved"])
    parts = sums[sums["dimension"].isin(STORAGE_PARTS)].groupby(keys, as_index=False)
    storage = parts[["rest", "stretched"]].sum(min_count=len(STORAGE_PARTS)).assign(dimension=STORAGE)
    columns = [*keys, "dimension", "rest", "stretched"]
    ratios = pd.concat([sums[columns], storage[columns]], ignore_index=True)
    rest = ratios["rest"].where(ratios["rest"] > 0)
    ratios["ratio"] = (ratios["stretched"].astype("Float64") / rest).round(2)
    return ratios[[*keys, "dimension", "ratio"]]


def _ordered(report: pd.DataFrame, by: list[str], columns: Sequence[str]) -> pd.DataFrame:
    report["position"] = report["dimension"].map(SHOWN_DIMENSIONS.index)
    return report.sort_values([*by, "position"], ignore_index=True)[list(columns)]


def _long(rows: Iterable[tuple[tuple[object, ...], Limits]], keys: list[str], measure: str) -> pd.DataFrame:
    held = list(rows)
    data = [(*key, dimension) for key, _ in held for dimension in DIMENSION_KEYS]
    frame = pd.DataFrame.from_records(data, columns=[*keys, "dimension"])
    frame = frame.astype({key: "int64" if key.endswith("_id") else "str" for key in frame.columns})
    frame[measure] = _integers(limits[dimension] for _, limits in held for dimension in DIMENSION_KEYS)
    return frame


def _integers(values: Iterable[int | None]) -> "pd.Series[int]":
    """As Int64 without a detour over floats, which would round above 2⁵³."""
    return pd.Series(pd.array(list(values), dtype="Int64"))
