"""Grants down the tree: carving, sharing, freezing, overcommitment, history."""

from datetime import datetime

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from identity.models import Bureau
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from provisioning.errors import (
    CapacityExceeded,
    NoGrant,
    NoSuchRegion,
    NotBelow,
    NotFrozen,
    QuotaExceeded,
    ReasonMissing,
)
from provisioning.models import Grant, QuotaAccount
from provisioning.quota import Inventory, Limits, Resources, find_excess
from provisioning.service import grants
from provisioning.service.accounts import own_rooms
from provisioning.service.recount import Difference, recount
from provisioning.service.regions import capacity_of, open_region, record_inventory
from tests.service.quota_city import REGION, City
from tests.waiting import held_up


@pytest.fixture(params=["database", "sqlite_database"])
def city(request: pytest.FixtureRequest, at: datetime) -> City:
    return City(request.getfixturevalue(request.param), at)


def test_a_reserved_parent_carves_its_childrens_grants_out(city: City) -> None:
    assert city.account("city").carved == Limits.of(vcpus=90)
    assert city.refused(city.grant, "west", 41) == [("city", 100, 60, 41)]
    city.grant("west", 40)
    assert city.account("city").carved == Limits.of(vcpus=100)
    assert city.refused(city.claim, "city", 1) == [("city", 100, 100, 1)]
    city.grant("east", 50)
    city.claim("city", 10)
    assert city.refused(city.grant, "east", 51) == [("city", 100, 50, 51)]


def test_a_grant_falls_no_lower_than_what_is_used_and_carved_out(city: City) -> None:
    city.claim("east", 5)
    assert city.refused(city.grant, "east", 44) == [("east", 44, 45, 0)]
    city.grant("east", 45)
    assert city.refused(city.grant, "town", 41) == [("east", 45, 5, 41)]


def test_an_unlimited_grant_needs_an_unlimited_parent(city: City) -> None:
    assert city.refused(city.grant, "west", None) == [("city", 100, 60, None)]
    city.do(grants.set_root_grant, "city", limit=Limits.of(vcpus=None), overcommit=True, reason="试运行")
    city.grant("west", None)
    assert city.account("city").carved == Limits.of(vcpus=None)
    city.grant("west", 7)
    assert city.account("city").carved == Limits.of(vcpus=67)


def test_below_a_shared_parent_a_grant_is_a_ceiling(city: City) -> None:
    city.do(grants.set_mode, "east", mode="shared")
    assert city.account("east").carved == Limits()
    assert city.refused(city.grant, "town", 61) == [("east", 60, 0, 61)]
    city.grant("town", 60)
    city.claim("east", 20)
    city.claim("town", 40)
    assert city.account("east").pooled_used == Resources.of(vcpus=60)
    assert city.refused(city.claim, "town", 1) == [("east", 60, 60, 1)]
    assert city.refused(city.claim, "east", 1) == [("east", 60, 60, 1)]
    assert city.refused(city.grant, "east", 59) == [("east", 59, 60, 0), ("east", 59, 60, 0)]


def test_a_grant_below_its_childrens_ceilings_names_the_children(city: City) -> None:
    city.do(grants.set_mode, "east", mode="shared")
    city.grant("town", 50)
    city.claim("east", 30)
    with pytest.raises(QuotaExceeded) as refusal:
        city.grant("east", 20)
    with reading(city.engine) as session:
        code = session.get_one(Bureau, city.ids["town"]).code
    assert [one["child"] for one in refusal.value.facts["shortfalls"]] == [
        None,
        {"code": code, "name": "town"},
    ]
    assert f"east的vCPU限额 20，已用 30，本次 0；east的vCPU限额 20，低于下级town（{code}）的上限 50" in (
        refusal.value.message("zh")
    )
    assert f"east: vCPU limit 20, below the ceiling 50 of town ({code})" in refusal.value.message("en")


def test_sharing_ends_only_where_grants_and_usage_fit_in_the_grant(city: City) -> None:
    city.do(grants.set_mode, "east", mode="shared")
    city.grant("town", 50)
    city.claim("east", 11)
    assert city.refused(city.do, grants.set_mode, "east", mode="reserved") == [("east", 60, 61, 0)]
    city.grant("town", 49)
    city.do(grants.set_mode, "east", mode="reserved")
    assert (city.account("east").carved, city.account("east").pooled_used) == (
        Limits.of(vcpus=49),
        Resources(),
    )
    city.do(grants.set_mode, "east", mode="reserved")


def test_a_freeze_stops_growth_in_the_whole_subtree_and_shows_the_excess(city: City) -> None:
    city.claim("town", 30)
    city.do(grants.freeze, "east", limit=Limits.of(vcpus=20), reason="长期闲置")
    frozen = city.account("east")
    assert frozen.pooled_used == Resources.of(vcpus=30)
    [excess] = find_excess(own_rooms(frozen))
    assert (excess.limit, excess.used) == (20, 30)
    assert city.refused(city.claim, "town", 1) == [("east", 20, 30, 1)]
    assert city.refused(city.claim, "east", 1) == [("east", 20, 30, 1)]
    city.claim("west", 30)
    city.do(grants.unfreeze, "east")
    city.claim("town", 1)
    with pytest.raises(NotFrozen):
        city.do(grants.unfreeze, "east")


def test_a_frozen_grant_may_shrink_below_what_is_held_but_its_parent_regains_only_what_is_free(
    city: City,
) -> None:
    city.claim("east", 15)
    city.do(grants.freeze, "east", limit=Limits.of(vcpus=5), reason="长期闲置")
    city.grant("east", 5)
    assert (city.account("east").limit, city.account("east").charged) == (
        Limits.of(vcpus=5),
        Limits.of(vcpus=55),
    )
    assert city.account("city").carved == Limits.of(vcpus=85)
    assert city.refused(city.claim, "city", 16) == [("city", 100, 85, 16)]
    assert city.refused(city.do, grants.unfreeze, "east") == [("east", 5, 55, 0)]
    city.grant("town", 0)
    assert city.refused(city.do, grants.unfreeze, "east") == [("east", 5, 15, 0)]
    city.grant("east", 15)
    city.do(grants.unfreeze, "east")
    assert city.account("city").carved == Limits.of(vcpus=45)


def test_acts_that_need_a_reason_say_so(city: City) -> None:
    with pytest.raises(ReasonMissing):
        city.do(grants.freeze, "east", limit=Limits(), reason=" ")
    with pytest.raises(ReasonMissing):
        city.do(grants.set_root_grant, "city", limit=Limits.of(vcpus=101), overcommit=True)


def test_root_grants_together_stay_within_the_capacity_unless_an_overcommit_is_recorded(city: City) -> None:
    with transaction(city.engine) as session:
        city._add(session, "second root", None)
    with pytest.raises(CapacityExceeded) as refused:
        city.do(grants.set_root_grant, "second root", limit=Limits.of(vcpus=1))
    [short] = refused.value.facts["shortfalls"]
    assert (short["limit"], short["used"], short["asked"]) == (100, 100, 1)
    city.do(
        grants.set_root_grant, "second root", limit=Limits.of(vcpus=1), overcommit=True, reason="扩容在途"
    )
    with reading(city.engine) as session:
        grant = session.scalars(select(Grant).where(Grant.is_overcommit)).one()
        assert (grant.bureau_id, grant.reason, grant.limit["vcpus"]) == (
            city.ids["second root"],
            "扩容在途",
            1,
        )
    with transaction(city.engine) as session:
        record_inventory(
            session, region=REGION, inventories=[Inventory("vcpus", "h", 50, 0, 1.0)], at=city.at
        )
        assert capacity_of(session, region=REGION)["vcpus"] == 50
    city.do(grants.set_root_grant, "city", limit=Limits.of(vcpus=95))


def test_a_root_is_granted_by_the_office_and_all_others_by_their_parents(city: City) -> None:
    with pytest.raises(NotBelow):
        city.grant("city", 1)
    with pytest.raises(NotBelow):
        city.do(grants.set_root_grant, "east", limit=Limits())


def test_what_is_not_there_is_said_so(city: City) -> None:
    with transaction(city.engine) as session:
        city._add(session, "new", "west")
    with pytest.raises(NoGrant):
        city.do(grants.set_mode, "new", mode="shared")
    assert city.refused(lambda: city.do(grants.grant_quota, "new", limit=Limits.of(vcpus=31))) == [
        ("west", 30, 0, 31)
    ]
    with transaction(city.engine) as session:
        session.get_one(Bureau, city.ids["new"]).abolished_at = city.at
    with pytest.raises(NotFound):
        city.grant("new", 1)
    with pytest.raises(NoSuchRegion), transaction(city.engine) as session:
        grants.grant_quota(
            session, region="nowhere", bureau_id=city.ids["east"], limit=Limits(), at=city.at, actor="a"
        )
    with pytest.raises(NoSuchRegion), reading(city.engine) as session:
        capacity_of(session, region="nowhere")


def test_grants_are_intervals_and_acts_are_journalled(city: City) -> None:
    city.grant("west", 20)
    city.grant("west", 20)
    city.do(grants.set_mode, "west", mode="shared", reason="统筹使用")
    with reading(city.engine) as session:
        rows = session.scalars(
            select(Grant).where(Grant.bureau_id == city.ids["west"]).order_by(Grant.id)
        ).all()
        assert [(row.limit["vcpus"], row.mode, row.valid_to is None) for row in rows] == [
            (0, "reserved", False),
            (30, "reserved", False),
            (20, "reserved", False),
            (20, "shared", True),
        ]
        query = (
            select(JournalEntry).where(JournalEntry.bureau_id == city.ids["west"]).order_by(JournalEntry.id)
        )
        entries = session.scalars(query).all()
        session.expunge_all()
    assert [entry.act for entry in entries] == ["quota.grant", "quota.grant", "quota.mode"]
    assert entries[1].before == {"limit": {"vcpus": 30}, "mode": "reserved", "frozen": None}
    assert entries[2].after is not None
    assert (entries[2].after["mode"], entries[2].after["reason"]) == ("shared", "统筹使用")


def test_a_region_is_opened_once(city: City) -> None:
    with transaction(city.engine) as session:
        assert open_region(session, name=REGION, at=city.at, actor="a").reserve_largest_host is False
        assert open_region(session, name=REGION, at=city.at, actor="a", reserve_largest_host=True)
        assert open_region(session, name=REGION, at=city.at, actor="a").reserve_largest_host is True
        assert capacity_of(session, region=REGION)["vcpus"] == 0


def test_a_region_that_two_open_at_once_is_one(database: Engine, at: datetime) -> None:
    def opened(session: Session) -> None:
        open_region(session, name=REGION, at=at, actor="a")

    def too() -> None:
        with transaction(database) as session:
            opened(session)

    with held_up(database, too) as session:
        opened(session)
    with reading(database) as session:
        acts = select(JournalEntry.act).where(JournalEntry.subject == f"region:{REGION}")
        assert session.scalars(acts).all() == ["region.open"]


def test_a_recount_names_what_was_tampered_with(city: City) -> None:
    city.claim("town", 20)
    with transaction(city.engine) as session:
        wrong = {"used": Resources.of(vcpus=19), "carved": Limits.of(vcpus=1)}
        session.execute(update(QuotaAccount).where(QuotaAccount.bureau_id == city.ids["town"]).values(wrong))
    with reading(city.engine) as session:
        assert recount(session, region=REGION) == [
            Difference(REGION, city.ids["town"], "used", {"vcpus": 19}, {"vcpus": 20}),
            Difference(REGION, city.ids["town"], "carved", {"vcpus": 1}, {}),
        ]
        assert recount(session, region="elsewhere") == []
