"""Grants: carved out or shared, never below what is held, frozen and moved with all that hangs on them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.service.systems import transfer_system
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
from provisioning.service.claims import claim
from provisioning.service.recount import Difference, recount
from provisioning.service.regions import capacity_of, open_region, record_inventory
from provisioning.service.tree import QuotaGuard
from tests.factories import make_bureau, make_region, make_system

REGION = "baoding"


class City:
    """A city of 100 vCPU with counties east (60) and west (30) and a town of 40 in the east, all by name."""

    def __init__(self, engine: Engine, at: datetime) -> None:
        self.engine, self.at = engine, at
        self.ids: dict[str, int] = {}
        self.systems: dict[str, int] = {}
        with transaction(engine) as session:
            make_region(session, name=REGION, holds=Limits.of(vcpus=100))
            self._add(session, "city", None)
            self._add(session, "east", "city")
            self._add(session, "west", "city")
            self._add(session, "town", "east")
        self.do(grants.set_root_grant, "city", limit=Limits.of(vcpus=100))
        self.grant("east", 60)
        self.grant("west", 30)
        self.grant("town", 40)

    def _add(self, session: Session, name: str, parent: str | None) -> None:
        above = None if parent is None else session.get(Bureau, self.ids[parent])
        bureau = make_bureau(session, parent=above, name=name)
        self.ids[name], self.systems[name] = bureau.id, make_system(session, bureau).id

    def do(self, act: Callable[..., Any], name: str, **how: Any) -> Any:
        with transaction(self.engine) as session:
            return act(session, region=REGION, bureau_id=self.ids[name], at=self.at, actor="person:1", **how)

    def grant(self, name: str, vcpus: int | None) -> None:
        self.do(grants.grant_quota, name, limit=Limits.of(vcpus=vcpus))

    def claim(self, name: str, vcpus: int) -> None:
        amounts = Resources.of(vcpus=vcpus)
        self.do(claim, name, system_id=self.systems[name], key=f"{name}:{vcpus}", amounts=amounts)

    def move(self, name: str, to: str) -> None:
        """As a territorial unit: its level is its own business here."""
        with transaction(self.engine) as session:
            bureau = session.get_one(Bureau, self.ids[name])
            old, bureau.parent_id = bureau.parent_id, self.ids[to]
            QuotaGuard().on_move(
                session,
                bureau_id=bureau.id,
                old_parent_id=old,
                new_parent_id=bureau.parent_id,
                at=self.at,
                actor="person:1",
            )

    def transfer(self, system: str, to: str) -> None:
        with transaction(self.engine) as session:
            transfer_system(
                session,
                system_id=self.systems[system],
                bureau_id=self.ids[to],
                at=self.at,
                actor="person:1",
                guards=[QuotaGuard()],
            )

    def account(self, name: str) -> QuotaAccount:
        with reading(self.engine) as session:
            assert recount(session) == []
            query = select(QuotaAccount).where(QuotaAccount.bureau_id == self.ids[name])
            account = session.scalars(query).one()
            session.expunge(account)
            return account

    def refused(self, act: Callable[..., Any], *how: Any, **named: Any) -> list[tuple[str, Any, Any, Any]]:
        """(bureau, limit, used, asked) of every shortfall, all of them vCPU."""
        with pytest.raises(QuotaExceeded) as refusal:
            act(*how, **named)
        shortfalls = refusal.value.facts["shortfalls"]
        assert {one["dimension"] for one in shortfalls} == {"vcpus"}
        return [(one["bureau"], one["limit"], one["used"], one["asked"]) for one in shortfalls]


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


def test_a_move_takes_grant_and_usage_along(city: City) -> None:
    city.do(grants.set_mode, "west", mode="shared")
    city.grant("town", 30)
    city.claim("town", 20)
    city.claim("west", 10)
    city.move("town", "west")
    assert city.account("east").carved == Limits()
    assert city.account("west").pooled_used == Resources.of(vcpus=30)
    assert city.refused(city.claim, "town", 1) == [("west", 30, 30, 1)]
    city.move("town", "east")
    assert (city.account("east").carved, city.account("west").pooled_used) == (
        Limits.of(vcpus=30),
        Resources.of(vcpus=10),
    )
    city.move("town", "east")
    city.grant("town", 10 + 10)
    city.grant("east", 20)
    city.move("town", "city")
    assert (city.account("east").carved, city.account("city").carved) == (Limits(), Limits.of(vcpus=70))


def test_a_move_is_refused_where_it_does_not_fit(city: City) -> None:
    assert city.refused(city.move, "town", "west") == [("west", 30, 0, 40)]
    city.do(grants.set_mode, "west", mode="shared")
    city.grant("town", 30)
    city.claim("town", 20)
    city.claim("west", 11)
    assert city.refused(city.move, "town", "west") == [("west", 30, 11, 20)]
    assert city.account("town").used == Resources.of(vcpus=20)
    with transaction(city.engine) as session:
        city._add(session, "bare", "city")
    assert city.refused(city.move, "town", "bare") == [("bare", 0, 0, 30)]


def test_units_moved_together_in_one_transaction_are_counted_where_they_end(city: City) -> None:
    city.claim("town", 10)
    city.claim("east", 5)
    for name in ("east", "west"):
        city.do(grants.freeze, name, limit=Limits.unlimited(), reason="清查")
    with transaction(city.engine) as session:
        town, east = (session.get_one(Bureau, city.ids[name]) for name in ("town", "east"))
        town.parent_id, east.parent_id = city.ids["city"], city.ids["west"]
        with pytest.raises(QuotaExceeded):
            QuotaGuard().on_move(
                session,
                bureau_id=east.id,
                old_parent_id=city.ids["city"],
                new_parent_id=city.ids["west"],
                at=city.at,
                actor="a",
            )
        session.rollback()
    city.grant("town", 10)
    city.grant("east", 20)
    with transaction(city.engine) as session:
        town, east = (session.get_one(Bureau, city.ids[name]) for name in ("town", "east"))
        town.parent_id, east.parent_id = city.ids["city"], city.ids["west"]
        moves = [(east.id, city.ids["city"], city.ids["west"]), (town.id, east.id, city.ids["city"])]
        for bureau_id, old, new in moves:
            QuotaGuard().on_move(
                session, bureau_id=bureau_id, old_parent_id=old, new_parent_id=new, at=city.at, actor="a"
            )
    assert city.account("west").pooled_used == city.account("east").pooled_used == Resources.of(vcpus=5)
    assert city.account("city").carved == Limits.of(vcpus=40)


def test_a_system_takes_its_usage_to_its_new_bureau(city: City) -> None:
    city.do(grants.set_mode, "east", mode="shared")
    city.claim("town", 20)
    city.transfer("town", "east")
    assert (city.account("town").used, city.account("east").used) == (Resources(), Resources.of(vcpus=20))
    assert city.account("east").pooled_used == Resources.of(vcpus=20)
    city.claim("west", 11)
    assert city.refused(city.transfer, "town", "west") == [("west", 30, 11, 20)]
    city.transfer("town", "town")
    city.do(grants.set_mode, "east", mode="reserved")
    city.transfer("west", "east")
    assert (city.account("west").used, city.account("east").used) == (Resources(), Resources.of(vcpus=11))
    with transaction(city.engine) as session:
        city._add(session, "bare", "city")
    assert city.refused(city.transfer, "west", "bare") == [("bare", 0, 0, 11)]


def test_holdings_are_told_by_kind(city: City) -> None:
    city.claim("town", 20)
    with transaction(city.engine) as session:
        city._add(session, "bare", "city")
    ids = city.ids
    with transaction(city.engine) as session:
        assert QuotaGuard().holdings(session, bureau_ids=[ids["town"], ids["west"], ids["bare"]]) == {
            ids["town"]: ["grants", "allocations"],
            ids["west"]: ["grants"],
        }
        systems = [city.systems["town"], city.systems["west"]]
        assert QuotaGuard().system_holdings(session, system_ids=systems) == {
            city.systems["town"]: ["allocations"]
        }


def test_a_region_is_opened_once(city: City) -> None:
    with transaction(city.engine) as session:
        assert open_region(session, name=REGION, at=city.at, actor="a").reserve_largest_host is False
        assert open_region(session, name=REGION, at=city.at, actor="a", reserve_largest_host=True)
        assert capacity_of(session, region=REGION)["vcpus"] == 0


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
