"""Claims: held from the claim to the confirmed release, refused with every bureau that falls short."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from identity.models import System
from infra.database import reading, transaction
from infra.journal import JournalEntry
from provisioning.errors import (
    AllocationBusy,
    KeyTaken,
    NoSuchAllocation,
    NothingAsked,
    NotItsSystem,
    QuotaExceeded,
)
from provisioning.models import Allocation, QuotaAccount
from provisioning.quota import Limits, Resources
from provisioning.service.claims import (
    begin_release_all,
    claim,
    claim_all,
    find_shortfalls,
    release,
    resize,
    revert,
    settle,
)
from provisioning.service.grants import freeze, grant_quota, set_mode, set_root_grant
from provisioning.service.recount import recount
from tests.factories import make_bureau, make_region, make_system
from tests.statements import statements

REGION = "baoding"
ACTOR = "person:1"


@dataclass(frozen=True)
class County:
    """A city of 300 vCPU, a county of 200 in it, two towns below the county, and a system of each town."""

    city: int
    county: int
    towns: tuple[int, int]
    systems: tuple[int, int]


def build_county(engine: Engine, *, mode: Any, town_vcpus: int, at: datetime) -> County:
    with transaction(engine) as session:
        make_region(session, name=REGION)
        city = make_bureau(session, name="市")
        county = make_bureau(session, parent=city, name="县")
        towns = [
            make_bureau(session, parent=county, name=name, level="township") for name in ("甲镇", "乙镇")
        ]
        systems = [make_system(session, town) for town in towns]
        common: dict[str, Any] = {"region": REGION, "at": at, "actor": ACTOR}
        set_root_grant(session, bureau_id=city.id, limit=Limits.of(vcpus=300, servers=None), **common)
        grant_quota(session, bureau_id=county.id, limit=Limits.of(vcpus=200, servers=None), **common)
        set_mode(session, bureau_id=county.id, mode=mode, **common)
        for town in towns:
            grant_quota(session, bureau_id=town.id, limit=Limits.of(vcpus=town_vcpus, servers=100), **common)
        return County(city.id, county.id, (towns[0].id, towns[1].id), (systems[0].id, systems[1].id))


def claim_at(session: Any, place: County, town: int, key: str, at: datetime, **amounts: int) -> Allocation:
    return claim(
        session,
        region=REGION,
        bureau_id=place.towns[town],
        system_id=place.systems[town],
        key=key,
        amounts=Resources.of(**amounts),
        at=at,
        actor=ACTOR,
    )


def used(engine: Engine, bureau_id: int) -> tuple[Resources, Resources]:
    with reading(engine) as session:
        assert recount(session) == []
        account = session.scalars(select(QuotaAccount).where(QuotaAccount.bureau_id == bureau_id)).one()
        return account.used, account.pooled_used


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]  # the fixture's own type is lost


@pytest.fixture
def shared(engine: Engine, at: datetime) -> County:
    return build_county(engine, mode="shared", town_vcpus=120, at=at)


@pytest.fixture
def reserved(engine: Engine, at: datetime) -> County:
    return build_county(engine, mode="reserved", town_vcpus=100, at=at)


def test_a_claim_counts_at_the_bureau_and_in_every_pool_above(
    engine: Engine, shared: County, at: datetime
) -> None:
    with transaction(engine) as session:
        held = claim_at(session, shared, 0, "server:1", at, vcpus=4, servers=1)
    assert (held.state, held.bureau_id, held.valid_from) == ("claimed", shared.towns[0], at)
    four = Resources.of(vcpus=4, servers=1)
    assert used(engine, shared.towns[0]) == (four, Resources())
    assert used(engine, shared.county) == (Resources(), four)
    assert used(engine, shared.city) == (Resources(), Resources())


def test_the_same_key_again_is_the_same_allocation(engine: Engine, shared: County, at: datetime) -> None:
    ids = set()
    for _ in range(2):
        with transaction(engine) as session:
            ids.add(claim_at(session, shared, 0, "server:1", at, vcpus=4).id)
    assert len(ids) == 1
    assert used(engine, shared.towns[0])[0] == Resources.of(vcpus=4)


def test_a_key_stands_for_one_claim_only(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=4)
    with pytest.raises(KeyTaken), transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=5)
    with pytest.raises(KeyTaken), transaction(engine) as session:
        claim_at(session, shared, 1, "server:1", at, vcpus=4)


def test_a_refusal_names_every_bureau_that_falls_short(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, shared, 0, "a", at, vcpus=119, servers=1)
        claim_at(session, shared, 1, "b", at, vcpus=80, servers=1)
    with pytest.raises(QuotaExceeded) as both, transaction(engine) as session:
        claim_at(session, shared, 0, "c", at, vcpus=2, servers=100)
    told = [
        (one["bureau_id"], one["dimension"], one["limit"], one["used"], one["asked"])
        for one in both.value.facts["shortfalls"]
    ]
    assert told == [
        (shared.towns[0], "servers", 100, 1, 100),
        (shared.towns[0], "vcpus", 120, 119, 2),
        (shared.county, "vcpus", 200, 199, 2),
    ]
    assert "甲镇的vCPU限额 120，已用 119，本次 2；县的vCPU限额 200，已用 199，本次 2" in both.value.message(
        "zh"
    )
    assert "县: vCPU limit 200, used 199, asked 2" in both.value.message("en")
    with pytest.raises(QuotaExceeded) as county_only, transaction(engine) as session:
        claim_at(session, shared, 1, "d", at, vcpus=2)
    assert [one["bureau_id"] for one in county_only.value.facts["shortfalls"]] == [shared.county]
    assert used(engine, shared.county)[1] == Resources.of(vcpus=199, servers=2)


def test_the_warning_says_what_the_decision_would(engine: Engine, shared: County, at: datetime) -> None:
    asked = Resources.of(vcpus=201)
    with reading(engine) as session:
        warned = find_shortfalls(session, region=REGION, bureau_id=shared.towns[0], asked=asked)
        assert (
            find_shortfalls(session, region=REGION, bureau_id=shared.towns[0], asked=Resources.of(vcpus=9))
            == []
        )
    with pytest.raises(QuotaExceeded) as refused, transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=201)
    assert warned == refused.value.facts["shortfalls"]
    assert [one["bureau"] for one in warned] == ["甲镇", "县"]


def test_a_bureau_without_a_grant_has_nothing(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        bureau = make_bureau(session, name="无配额")
        system = make_system(session, bureau)
    with pytest.raises(QuotaExceeded) as refused, transaction(engine) as session:
        claim(
            session,
            region=REGION,
            bureau_id=bureau.id,
            system_id=system.id,
            key="k",
            amounts=Resources.of(servers=1),
            at=at,
            actor=ACTOR,
        )
    [short] = refused.value.facts["shortfalls"]
    assert (short["bureau"], short["limit"], short["used"], short["asked"]) == ("无配额", 0, 0, 1)


def test_resources_belong_to_a_system_of_the_bureau(engine: Engine, shared: County, at: datetime) -> None:
    crossed = County(shared.city, shared.county, shared.towns, shared.systems[::-1])
    with pytest.raises(NotItsSystem), transaction(engine) as session:
        claim_at(session, crossed, 0, "server:1", at, vcpus=4)
    with transaction(engine) as session:
        session.get_one(System, shared.systems[0]).retired_at = at
    with pytest.raises(NotItsSystem), transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=4)


def test_many_claims_are_decided_as_one(engine: Engine, shared: County, at: datetime) -> None:
    town, beside = shared.towns
    by: dict[str, Any] = {"region": REGION, "bureau_id": town, "system_id": shared.systems[0]}

    def together(*vcpus: int) -> list[int]:
        amounts = {f"server:{n}": Resources.of(vcpus=asked) for n, asked in enumerate(vcpus)}
        with transaction(engine) as session:
            return [one.id for one in claim_all(session, **by, amounts=amounts, at=at, actor="person:1")]

    before = used(engine, town)[0]
    with pytest.raises(QuotaExceeded) as refused:
        together(1, 1_000_000)
    assert {one["asked"] for one in refused.value.facts["shortfalls"]} == {1_000_001}
    with pytest.raises(NothingAsked):
        together(1, 0)
    assert used(engine, town)[0] == before
    [first, second] = together(1, 2)
    assert together(1, 2, 3)[:2] == [first, second]
    assert used(engine, town)[0] == before + Resources.of(vcpus=6)
    with pytest.raises(KeyTaken):
        together(1, 3, 3)
    assert together() == []
    assert used(engine, beside)[0] == Resources()


def test_a_claim_of_nothing_is_refused(engine: Engine, shared: County, at: datetime) -> None:
    with pytest.raises(NothingAsked), transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=0)


def test_claim_then_release_is_the_identity(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=4)
        settle(session, key="server:1", at=at, actor=ACTOR)
        begin_release_all(session, keys=["server:1"], at=at, actor=ACTOR)
    assert used(engine, shared.county)[1] == Resources.of(vcpus=4)
    for _ in range(2):
        with transaction(engine) as session:
            release(session, key="server:1", at=at + timedelta(hours=1), actor=ACTOR)
    assert used(engine, shared.county)[1] == Resources()
    with reading(engine) as session:
        [row] = session.scalars(select(Allocation))
        assert (row.amounts, row.valid_to) == (Resources.of(vcpus=4), at + timedelta(hours=1))


def test_a_resize_holds_the_larger_until_settled_and_keeps_its_history(
    engine: Engine, reserved: County, at: datetime
) -> None:
    hour = timedelta(hours=1)
    with transaction(engine) as session:
        claim_at(session, reserved, 0, "server:1", at, vcpus=8, ram_mib=0, servers=1)
        settle(session, key="server:1", at=at, actor=ACTOR)
        resize(session, key="server:1", amounts=Resources.of(vcpus=2, servers=3), at=at + hour, actor=ACTOR)
    assert used(engine, reserved.towns[0])[0] == Resources.of(vcpus=8, servers=3)
    with transaction(engine) as session:
        settle(session, key="server:1", at=at + 2 * hour, actor=ACTOR)
    assert used(engine, reserved.towns[0])[0] == Resources.of(vcpus=2, servers=3)
    with reading(engine) as session:
        rows = session.scalars(select(Allocation).order_by(Allocation.id)).all()
        assert [
            (row.amounts["vcpus"], row.amounts["servers"], row.valid_from, row.valid_to) for row in rows
        ] == [
            (8, 1, at, at + hour),
            (8, 3, at + hour, at + 2 * hour),
            (2, 3, at + 2 * hour, None),
        ]


def test_a_resize_that_the_cloud_refused_holds_what_was_before(
    engine: Engine, reserved: County, at: datetime
) -> None:
    with transaction(engine) as session:
        claim_at(session, reserved, 0, "server:1", at, vcpus=8)
        settle(session, key="server:1", at=at, actor=ACTOR)
        resize(session, key="server:1", amounts=Resources.of(vcpus=20), at=at, actor=ACTOR)
        resize(session, key="server:1", amounts=Resources.of(vcpus=20), at=at, actor=ACTOR)
        reverted = revert(session, key="server:1", at=at, actor=ACTOR)
        assert revert(session, key="server:1", at=at, actor=ACTOR).id == reverted.id
    assert (reverted.state, used(engine, reserved.towns[0])[0]) == ("settled", Resources.of(vcpus=8))


def test_a_resize_waits_for_the_cloud_and_its_growth_is_decided(
    engine: Engine, reserved: County, at: datetime
) -> None:
    with transaction(engine) as session:
        claim_at(session, reserved, 0, "server:1", at, vcpus=90, servers=1)
    with pytest.raises(AllocationBusy), transaction(engine) as session:
        resize(session, key="server:1", amounts=Resources.of(vcpus=1), at=at, actor=ACTOR)
    with transaction(engine) as session:
        settle(session, key="server:1", at=at, actor=ACTOR)
    with pytest.raises(QuotaExceeded) as refused, transaction(engine) as session:
        resize(session, key="server:1", amounts=Resources.of(vcpus=101), at=at, actor=ACTOR)
    [short] = refused.value.facts["shortfalls"]
    assert (short["bureau_id"], short["limit"], short["used"], short["asked"]) == (
        reserved.towns[0],
        100,
        90,
        11,
    )
    assert used(engine, reserved.towns[0])[0] == Resources.of(vcpus=90, servers=1)


def test_shrinking_is_allowed_even_far_above_a_freeze(engine: Engine, reserved: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, reserved, 0, "server:1", at, vcpus=90, servers=1)
        settle(session, key="server:1", at=at, actor=ACTOR)
        freeze(
            session,
            region=REGION,
            bureau_id=reserved.county,
            limit=Limits(),
            at=at,
            actor=ACTOR,
            reason="整改",
        )
    with transaction(engine) as session:
        resize(session, key="server:1", amounts=Resources.of(vcpus=60, servers=1), at=at, actor=ACTOR)
        settle(session, key="server:1", at=at, actor=ACTOR)
    assert used(engine, reserved.county)[1] == Resources.of(vcpus=60, servers=1)
    with pytest.raises(QuotaExceeded) as refused, transaction(engine) as session:
        claim_at(session, reserved, 1, "server:2", at, vcpus=1)
    [short] = refused.value.facts["shortfalls"]
    assert (short["bureau"], short["limit"], short["used"], short["asked"]) == ("县", 0, 60, 1)


@pytest.mark.parametrize("act", [settle, revert, release])
def test_what_was_never_claimed_is_not_found(engine: Engine, shared: County, at: datetime, act: Any) -> None:
    with pytest.raises(NoSuchAllocation), transaction(engine) as session:
        act(session, key="never", at=at, actor=ACTOR)


def test_a_release_of_many_begins_for_all_or_none(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=4)
    with pytest.raises(NoSuchAllocation, match="never"), transaction(engine) as session:
        begin_release_all(session, keys=["server:1", "never"], at=at, actor=ACTOR)
    with reading(engine) as session:
        assert session.scalars(select(Allocation.state)).all() == ["claimed"]


def test_an_allocation_never_ends_before_it_began(engine: Engine, shared: County, at: datetime) -> None:
    with transaction(engine) as session:
        claim_at(session, shared, 0, "server:1", at, vcpus=4)
        release(session, key="server:1", at=at - timedelta(seconds=5), actor=ACTOR)
        assert session.scalars(select(Allocation)).one().valid_to == at


def test_every_act_is_journalled_with_its_before_and_after(
    engine: Engine, reserved: County, at: datetime
) -> None:
    with transaction(engine) as session:
        claim_at(session, reserved, 0, "server:1", at, vcpus=4)
        settle(session, key="server:1", at=at, actor=ACTOR)
        resize(session, key="server:1", amounts=Resources.of(vcpus=6), at=at, actor=ACTOR)
        release(session, key="server:1", at=at, actor=ACTOR)
    with reading(engine) as session:
        query = (
            select(JournalEntry)
            .where(JournalEntry.subject == "allocation:server:1")
            .order_by(JournalEntry.id)
        )
        told = [(row.act, row.actor, row.before, row.after) for row in session.scalars(query)]
    assert told == [
        ("quota.claim", ACTOR, None, {"vcpus": 4}),
        ("quota.settle", ACTOR, {"vcpus": 4}, {"vcpus": 4}),
        ("quota.resize", ACTOR, {"vcpus": 4}, {"vcpus": 6}),
        ("quota.release", ACTOR, {"vcpus": 6}, None),
    ]


def test_a_claim_in_a_reserved_chain_locks_and_writes_its_own_row_only(
    database: Engine, at: datetime
) -> None:
    place = build_county(database, mode="reserved", town_vcpus=100, at=at)
    with transaction(database) as held:
        for bureau_id in (place.city, place.county, place.towns[1]):
            account = select(QuotaAccount).where(QuotaAccount.bureau_id == bureau_id)
            assert held.scalars(account.with_for_update()).one()
        with statements(database) as said, transaction(database) as session:
            claim_at(session, place, 0, "server:1", at, vcpus=4)
    assert sum("quota_accounts SET" in one for one in said) == 1
    assert len(said) == 7, said
