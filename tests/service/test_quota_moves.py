"""Quota when units move, systems change hands and bureaus are abolished."""

from datetime import datetime

import pytest

from identity.errors import StillHolding
from identity.models import Bureau
from identity.service.tree import import_tree
from infra.database import reading, transaction
from portal.guards import TREE_GUARDS
from provisioning.errors import QuotaExceeded
from provisioning.quota import Limits, Resources
from provisioning.service import grants
from provisioning.service.tree import QuotaGuard
from tests.service.quota_city import City


@pytest.fixture(params=["database", "sqlite_database"])
def city(request: pytest.FixtureRequest, at: datetime) -> City:
    return City(request.getfixturevalue(request.param), at)


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


def reorganise(city: City, *, without: str = "", **parents: str) -> None:
    """Import the whole tree as it is, but for units that get another parent and one that is left out."""
    with reading(city.engine) as session:
        units = {name: session.get_one(Bureau, bureau_id) for name, bureau_id in city.ids.items()}
        above = {bureau.id: bureau for bureau in units.values()}
        rows = ["code,parent_code,level,name"]
        for name, bureau in units.items():
            parent = units[parents[name]] if name in parents else above.get(bureau.parent_id or 0)
            if name != without:
                rows.append(f"{bureau.code},{parent.code if parent else ''},{bureau.level},{bureau.name}")
    with transaction(city.engine) as session:
        import_tree(
            session, raw="\n".join(rows).encode(), at=city.at, actor="person:1", guards=TREE_GUARDS,
            encoding="utf-8", abolish_missing=True,
        )  # fmt: skip


def test_an_import_that_moves_a_unit_moves_its_quota_or_does_nothing(city: City) -> None:
    city.claim("town", 20)
    assert city.refused(reorganise, city, town="west") == [("west", 30, 0, 40)]
    assert (city.account("east").carved, city.account("west").carved) == (Limits.of(vcpus=40), Limits())
    city.grant("town", 30)
    reorganise(city, town="west")
    assert (city.account("east").carved, city.account("west").carved) == (Limits(), Limits.of(vcpus=30))
    assert city.refused(city.claim, "town", 11) == [("town", 30, 20, 11)]


def test_an_import_abolishes_nothing_that_holds_servers(city: City) -> None:
    city.claim("town", 20)
    with pytest.raises(StillHolding):
        reorganise(city, without="town")
    assert city.account("town").used == Resources.of(vcpus=20)
