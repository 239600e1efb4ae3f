"""The laws of quota with many processes at once on PostgreSQL: exact figures, full refusals, no error
escapes.
"""

import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from typing import Any

import pytest
from sqlalchemy import Engine, select

from infra.database import open_database, reading, transaction
from provisioning.errors import QuotaExceeded
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Resources
from provisioning.service.accounts import own_rooms
from provisioning.service.claims import claim
from provisioning.service.grants import grant_quota, set_mode, set_root_grant
from provisioning.service.recount import recount
from tests.factories import make_bureau, make_region, make_system
from tests.faults.claimers import ACTOR, REGION, Order, Outcome, claim_all, keep_recounting, live, reorganise

COUNTY_VCPUS, TOWN_VCPUS, CLAIM_VCPUS = 200, 120, 2
CLAIMS_PER_TOWN, PROCESSES = 100, 4


Job = tuple[Callable[..., list[Any]], *tuple[Any, ...]]


@dataclass(frozen=True)
class Place:
    """Bureau ids by name, system ids by bureau id."""

    ids: dict[str, int]
    systems: dict[int, int]


def build(engine: Engine, tree: dict[str, tuple[str | None, int]], shared: list[str], at: datetime) -> Place:
    """A tree of name → (parent, vCPU granted), parents first; those in `shared` share."""
    place = Place({}, {})
    bureaus: dict[str | None, Any] = {None: None}
    common: dict[str, Any] = {"region": REGION, "at": at, "actor": ACTOR}
    with transaction(engine) as session:
        make_region(session, name=REGION)
        for name, (parent, vcpus) in tree.items():
            bureau = bureaus[name] = make_bureau(session, parent=bureaus[parent], name=name)
            place.ids[name] = bureau.id
            place.systems[bureau.id] = make_system(session, bureau).id
            grant = set_root_grant if parent is None else grant_quota
            grant(session, bureau_id=bureau.id, limit=Limits.of(vcpus=vcpus), **common)
            if name in shared:
                set_mode(session, bureau_id=bureau.id, mode="shared", **common)
    return place


def side_by_side(*jobs: Job) -> list[list[Any]]:
    """Run (function, *arguments) each in a process of its own, all starting together; what they return."""
    spawn = get_context("spawn")
    with spawn.Manager() as manager, ProcessPoolExecutor(len(jobs), mp_context=spawn) as pool:
        start = manager.Barrier(len(jobs))
        futures = [pool.submit(job, *arguments, start) for job, *arguments in jobs]
        return [future.result(timeout=1800) for future in futures]


def storm(url: str, seed: int, at: datetime) -> None:
    """100 claims of 2 vCPU at each of two towns of 120 below a shared county of 200, from 4 processes."""
    engine, chance = open_database(url), random.Random(seed)
    tree: dict[str, tuple[str | None, int]] = {
        "city": (None, 1000),
        "county": ("city", COUNTY_VCPUS),
        "north": ("county", TOWN_VCPUS),
        "south": ("county", TOWN_VCPUS),
    }
    place = build(engine, tree, ["county"], at)
    county, towns = place.ids["county"], [place.ids["north"], place.ids["south"]]
    orders: list[Order] = [
        (town, place.systems[town], f"{town}:{n}") for n in range(CLAIMS_PER_TOWN) for town in towns
    ]
    hurry = chance.choice(towns)  # lets one town come to its ceiling in some storms
    chance.shuffle(orders)
    if seed % 2:
        orders.sort(key=lambda order: order[0] != hurry)
    shares = [orders[n::PROCESSES] for n in range(PROCESSES)]
    jobs = [(claim_all, url, share, CLAIM_VCPUS, at) for share in shares]
    outcomes = [outcome for share in side_by_side(*jobs) for outcome in share]

    granted = Counter(outcome.bureau_id for outcome in outcomes if outcome.refusal is None)
    assert len(outcomes) == len(orders)
    assert granted.total() == COUNTY_VCPUS // CLAIM_VCPUS
    assert max(granted.values()) <= TOWN_VCPUS // CLAIM_VCPUS
    refused = [outcome for outcome in outcomes if outcome.refusal is not None]
    for outcome in refused:
        assert isinstance(outcome.refusal, dict), outcome.refusal
        check_refusal(outcome.refusal, town=outcome.bureau_id, county=county)
    for full in (county, *towns):
        check_none_is_left_out(outcomes, full, below={county: towns}.get(full, [full]))
    check_last_words(engine, place, granted, at)
    with reading(engine) as session:
        assert recount(session) == []
        rows = session.scalars(select(QuotaAccount)).all()
        used = {row.bureau_id: (row.used["vcpus"], row.pooled_used["vcpus"]) for row in rows}
    assert used == {place.ids["city"]: (0, 0), county: (0, COUNTY_VCPUS)} | {
        town: (granted[town] * CLAIM_VCPUS, 0) for town in towns
    }
    engine.dispose()


def check_refusal(refusal: dict[str, Any], *, town: int, county: int) -> None:
    """It names the town, the county or both, town first, each with its limit, usage and what was asked."""
    limits = {town: TOWN_VCPUS, county: COUNTY_VCPUS}
    short = refusal["shortfalls"]
    assert refusal["code"] == "quota_exceeded"
    assert [one["bureau_id"] for one in short] in ([town], [county], [town, county])
    for one in short:
        assert (one["dimension"], one["limit"]) == ("vcpus", limits[one["bureau_id"]])
        assert (one["used"], one["asked"]) == (limits[one["bureau_id"]], CLAIM_VCPUS)


def check_none_is_left_out(outcomes: list[Outcome], full: int, *, below: list[int]) -> None:
    """Nothing is given back in a storm: once told that `full` is short, so are all begun later."""
    told = [outcome for outcome in outcomes if outcome.refusal and full in short_of(outcome)]
    since = min((outcome.ended for outcome in told), default=None)
    for outcome in outcomes:
        if since is not None and outcome.begun > since and outcome.bureau_id in below:
            assert outcome.refusal is not None
            assert full in short_of(outcome)


def short_of(outcome: Outcome) -> list[int]:
    return [one["bureau_id"] for one in outcome.refusal["shortfalls"]]


def check_last_words(engine: Engine, place: Place, granted: Counter[int], at: datetime) -> None:
    """With everything taken, one more claim is told of the county, and of its town only if full too."""
    for town in granted:
        with pytest.raises(QuotaExceeded) as refused, transaction(engine) as session:
            claim(
                session,
                region=REGION,
                bureau_id=town,
                system_id=place.systems[town],
                key=f"late:{town}",
                amounts=Resources.of(vcpus=CLAIM_VCPUS),
                at=at,
                actor=ACTOR,
            )
        is_full = granted[town] * CLAIM_VCPUS == TOWN_VCPUS
        expected = [town, place.ids["county"]] if is_full else [place.ids["county"]]
        assert [one["bureau_id"] for one in refused.value.facts["shortfalls"]] == expected


def reorganised_under_fire(url: str, seed: int, at: datetime, *, turns: int) -> None:
    """Claims of all sorts in four towns, while modes, freezes, grants and places change and counters are
    recounted.
    """
    engine = open_database(url)
    tree: dict[str, tuple[str | None, int]] = {
        "city": (None, 600),
        "east": ("city", 200),
        "west": ("city", 200),
    }
    tree |= {f"t{n}": ("east" if n < 2 else "west", 100) for n in range(4)}
    place = build(engine, tree, ["east"], at)
    towns = [place.ids[f"t{n}"] for n in range(4)]
    counties = [place.ids["east"], place.ids["west"]]

    def orders(process: int) -> list[Order]:
        return [(b, place.systems[b], f"{b}:{process}:{n}") for b in [*towns, *counties] for n in range(3)]

    shared_keys = orders(0)  # two processes fight for the same keys
    found = side_by_side(
        *((live, url, seed * 10 + n, shared_keys if n < 2 else orders(n), turns, at) for n in range(4)),
        (reorganise, url, seed, counties, towns, turns // 2, at),
        (reorganise, url, seed + 1, counties, towns, turns // 2, at),
        (keep_recounting, url, turns // 10),
    )
    assert found == [[]] * 7
    with reading(engine) as session:
        assert recount(session) == []
        for account in session.scalars(select(QuotaAccount)):
            if account.frozen is None:
                for room in own_rooms(account):
                    limit, used = room.limit["vcpus"], room.used["vcpus"]
                    assert limit is not None
                    assert used is not None
                    assert used <= limit
    engine.dispose()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_of_claims_grants_exactly_what_there_is(
    fresh_database: Callable[[], str], at: datetime, seed: int
) -> None:
    storm(fresh_database(), seed, at)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_twenty_storms_grant_exactly_what_there_is(
    fresh_database: Callable[[], str], at: datetime, seed: int
) -> None:
    storm(fresh_database(), seed, at)


def test_the_tree_reorganised_under_fire_breaks_no_law(
    fresh_database: Callable[[], str], at: datetime
) -> None:
    reorganised_under_fire(fresh_database(), 1, at, turns=120)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_the_tree_reorganised_under_long_fire_breaks_no_law(
    fresh_database: Callable[[], str], at: datetime, seed: int
) -> None:
    reorganised_under_fire(fresh_database(), seed, at, turns=600)
