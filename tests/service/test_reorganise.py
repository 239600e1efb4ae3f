"""Rename, recode, move, merge, abolish: laws of the tree, history, and whoever else has a word."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.errors import BureauAbolished, BureauFault, CodeTaken, MoveCycle, OutOfOrder, StillHolding
from identity.models import Bureau, Person, RoleAssignment, System
from identity.queries import (
    find_unit_at,
    get_bureau,
    is_within,
    list_ancestor_ids,
    list_ancestors,
    list_bureaus,
    list_children,
    list_descendant_ids,
    list_descendants,
    list_system_owners,
    list_tops,
    list_versions,
)
from identity.service.reorganise import abolish, merge, move, recode, rename
from identity.service.systems import register_system
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import NotFound, SijiError, Stale
from infra.journal import JournalEntry
from tests.factories import LONG_AGO, make_bureau, make_person, make_role, make_system

DAY = timedelta(days=1)


@pytest.fixture
def ids(database: Engine) -> dict[str, int]:
    """A city; two counties, a with a town and its village, b; an office beside the city. Code → id."""
    with transaction(database) as session:
        city = make_bureau(session, code="13", name="甲市")
        a = make_bureau(session, parent=city, code="1301", name="乙县")
        b = make_bureau(session, parent=city, code="1302", name="丙县")
        town = make_bureau(session, parent=a, code="130101", name="丁镇")
        village = make_bureau(session, parent=town, code="13010101", name="戊村")
        office = make_bureau(session, parent=city, code="13-zhb", name="智慧办", level="city")
        return {unit.code: unit.id for unit in (city, a, b, town, village, office)}


def test_reads_of_the_tree(database: Engine, ids: dict[str, int]) -> None:
    with reading(database) as session:
        assert [unit.code for unit in list_tops(session)] == ["13"]
        assert [unit.code for unit in list_children(session, bureau_id=ids["13"])] == [
            "13-zhb",
            "1301",
            "1302",
        ]
        assert [u.code for u in list_ancestors(session, bureau_id=ids["13010101"])] == [
            "130101",
            "1301",
            "13",
        ]
        assert list(list_ancestor_ids(session, ids["13010101"])) == [ids["130101"], ids["1301"], ids["13"]]
        assert [u.code for u in list_descendants(session, bureau_id=ids["1301"])] == ["130101", "13010101"]
        assert set(list_descendant_ids(session, ids["13"])) == set(ids.values()) - {ids["13"]}
        assert is_within(session, bureau_id=ids["13010101"], top_id=ids["1301"])
        assert is_within(session, bureau_id=ids["1301"], top_id=ids["1301"])
        assert not is_within(session, bureau_id=ids["1301"], top_id=ids["130101"])
        assert not is_within(session, bureau_id=ids["13010101"], top_id=ids["1302"])
        page = list_bureaus(session, within=ids["13"], after_code="1301", limit=2)
        assert [unit.code for unit in page] == ["130101", "13010101"]
        assert [unit.code for unit in list_bureaus(session, level="county", name_part="丙")] == ["1302"]
        assert list_bureaus(session, name_part="%") == []
        with pytest.raises(NotFound, match="99"):
            get_bureau(session, code="99")


def test_rename_keeps_history_and_writes_the_journal(
    database: Engine, ids: dict[str, int], at: datetime
) -> None:
    with transaction(database) as session:
        town = rename(session, bureau_id=ids["130101"], name=" 丁街道 ", at=at, actor="person:7", revision=1)
        assert (town.name, town.revision) == ("丁街道", 2)
        assert rename(session, bureau_id=town.id, name="丁街道", at=at + DAY, actor="person:7").revision == 2
    with reading(database) as session:
        versions = list_versions(session, bureau_id=ids["130101"])
        assert [(v.name, v.valid_from, v.valid_to) for v in versions] == [
            ("丁镇", LONG_AGO, at),
            ("丁街道", at, None),
        ]
        entry = session.scalars(select(JournalEntry)).one()
        assert (entry.act, entry.subject, entry.actor) == (
            "bureau.rename",
            f"bureau:{ids['130101']}",
            "person:7",
        )


def test_recode_keeps_the_id(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        assert recode(session, bureau_id=ids["1302"], code="1399", at=at, actor="p").id == ids["1302"]
        for taken in ("1301", "13"):
            with pytest.raises(CodeTaken, match=taken):
                recode(session, bureau_id=ids["1302"], code=taken, at=at, actor="p")
        for bad in ("13-x", "1 3", "", "=1"):
            with pytest.raises(BureauFault):
                recode(session, bureau_id=ids["1302"], code=bad, at=at, actor="p")
    with reading(database) as session:
        then = find_unit_at(session, bureau_id=ids["1302"], at=at - DAY)
        assert then is not None
        assert then.code == "1302"
        assert get_bureau(session, code="1399").id == ids["1302"]


@pytest.mark.parametrize("name", ["", "  ", "丙县", "丙\u202e县", "村" * 256, "丙县\u200b"])
def test_a_name_that_may_not_be_is_refused(
    database: Engine, ids: dict[str, int], at: datetime, name: str
) -> None:
    with pytest.raises(BureauFault), transaction(database) as session:
        rename(session, bureau_id=ids["1301"], name=name, at=at, actor="p")


def test_move_takes_the_subtree_along_and_back_again(
    database: Engine, ids: dict[str, int], at: datetime
) -> None:
    with transaction(database) as session:
        move(session, bureau_id=ids["130101"], parent_id=ids["1302"], at=at, actor="p")
    with reading(database) as session:
        assert is_within(session, bureau_id=ids["13010101"], top_id=ids["1302"])
        then = find_unit_at(session, bureau_id=ids["130101"], at=at - DAY)
        assert then is not None
        assert then.parent_id == ids["1301"]
    with transaction(database) as session:
        move(session, bureau_id=ids["130101"], parent_id=ids["1301"], at=at, actor="p")
        parents = [v.parent_id for v in list_versions(session, bureau_id=ids["130101"])]
        assert parents == [ids["1301"], ids["1301"]]


def test_no_unit_goes_below_itself(database: Engine, ids: dict[str, int], at: datetime) -> None:
    for target in ("1301", "130101", "13010101"):
        with pytest.raises(MoveCycle), transaction(database) as session:
            move(session, bureau_id=ids["1301"], parent_id=ids[target], level="village", at=at, actor="p")
        with pytest.raises(MoveCycle), transaction(database) as session:
            merge(session, bureau_id=ids["1301"], successor_id=ids[target], at=at, actor="p")


def test_levels_hold_after_a_move(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        for bureau, parent, level in (
            ("1302", "1301", None),
            ("1302", "13-zhb", None),
            ("130101", "1302", "village"),
            ("1302", "1301", "hamlet"),
        ):
            with pytest.raises(BureauFault):
                move(session, bureau_id=ids[bureau], parent_id=ids[parent], level=level, at=at, actor="p")
        assert move(session, bureau_id=ids["1302"], parent_id=ids["1301"], level="township", at=at, actor="p")
        office = move(session, bureau_id=ids["13-zhb"], parent_id=ids["1301"], at=at, actor="p")
        assert office.level == "county"


def test_a_twin_is_refused_where_it_would_arrive(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        make_bureau(session, parent=get_bureau(session, code="1302"), name="丁镇")
    with pytest.raises(BureauFault, match="丁镇"), transaction(database) as session:
        move(session, bureau_id=ids["130101"], parent_id=ids["1302"], at=at, actor="p")


def test_merge_hands_over_and_abolishes(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        old = get_bureau(session, code="1301")
        clerk, gone = make_person(session, old), make_person(session, old, departed_at=LONG_AGO)
        system, retired = make_system(session, old), make_system(session, old, retired_at=LONG_AGO)
        role = make_role(session, clerk, role="bureau_admin", bureau=old)
    with transaction(database) as session:
        merge(session, bureau_id=ids["1301"], successor_id=ids["1302"], at=at, actor="p", revision=1)
    with reading(database) as session:
        old = get_bureau(session, code="1301")
        assert (old.abolished_at, old.revision) == (at, 2)
        assert session.get_one(Person, clerk.id).bureau_id == ids["1302"]
        assert session.get_one(Person, gone.id).bureau_id == ids["1301"]
        assert session.get_one(System, system.id).bureau_id == ids["1302"]
        assert session.get_one(System, retired.id).bureau_id == ids["1302"]
        owners = list_system_owners(session, system_id=system.id)
        assert [(owner.bureau_id, owner.valid_to) for owner in owners] == [
            (ids["1301"], at),
            (ids["1302"], None),
        ]
        assert session.get_one(RoleAssignment, role.id).valid_to == at
        assert get_bureau(session, code="130101").parent_id == ids["1302"]
        assert find_unit_at(session, bureau_id=ids["1301"], at=at) is None
        acts = session.scalars(select(JournalEntry.act).order_by(JournalEntry.id)).all()
        assert acts == [
            "bureau.move",
            "system.transfer",
            "system.transfer",
            "bureau.merge",
            "bureau.abolish",
        ]


def test_abolish_only_what_holds_nothing(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with pytest.raises(StillHolding) as refusal, transaction(database) as session:
        abolish(session, bureau_id=ids["1301"], at=at, actor="p")
    assert refusal.value.facts["held"] == {"1301": ["children"]}
    assert "1301（下级单位）" in refusal.value.message("zh")
    assert "1301 (units below it)" in refusal.value.message("en")
    with transaction(database) as session:
        abolish(session, bureau_id=ids["13010101"], at=at, actor="p")
    acts: list[Callable[[Session], object]] = [
        lambda session: rename(session, bureau_id=ids["13010101"], name="庚村", at=at, actor="p"),
        lambda session: abolish(session, bureau_id=ids["13010101"], at=at, actor="p"),
        lambda session: move(session, bureau_id=ids["1302"], parent_id=ids["13010101"], at=at, actor="p"),
        lambda session: merge(session, bureau_id=ids["1302"], successor_id=ids["13010101"], at=at, actor="p"),
    ]
    for act in acts:
        with pytest.raises(BureauAbolished) as gone, transaction(database) as session:
            act(session)
        assert f"已于 {city_date(at)} 撤销" in gone.value.message("zh")
        assert f"was abolished on {city_date(at)}:" in gone.value.message("en")
    with transaction(database) as session:
        abolish(session, bureau_id=ids["130101"], at=at, actor="p")


def test_what_was_not_seen_is_not_changed(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        rename(session, bureau_id=ids["1301"], name="新县", at=at, actor="p", revision=1)
    acts: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (rename, {"name": "又县"}),
        (recode, {"code": "77"}),
        (move, {"parent_id": ids["13"]}),
        (merge, {"successor_id": ids["1302"]}),
        (abolish, {}),
    ]
    for act, wanted in acts:
        with pytest.raises(Stale), transaction(database) as session:
            act(session, bureau_id=ids["1301"], at=at, actor="p", revision=1, **wanted)


def test_history_is_not_rewritten(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        rename(session, bureau_id=ids["1301"], name="新县", at=at, actor="p")
    acts: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (rename, {"name": "旧县"}),
        (merge, {"successor_id": ids["1302"]}),
    ]
    for act, wanted in acts:
        with pytest.raises(OutOfOrder), transaction(database) as session:
            act(session, bureau_id=ids["1301"], at=at - DAY, actor="p", **wanted)


def test_opposite_moves_at_once_make_no_cycle(database: Engine, ids: dict[str, int], at: datetime) -> None:
    with transaction(database) as session:
        city = get_bureau(session, code="13")
        one = make_bureau(session, parent=city, code="13-one", level="city").id
        two = make_bureau(session, parent=city, code="13-two", level="city").id
    start = Barrier(2)

    def run(bureau_id: int, parent_id: int) -> str:
        start.wait()
        try:
            with transaction(database) as session:
                move(session, bureau_id=bureau_id, parent_id=parent_id, at=at, actor="p")
        except SijiError as refusal:
            return refusal.code
        return "moved"

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            ends = [future.result() for future in [pool.submit(run, one, two), pool.submit(run, two, one)]]
        assert sorted(ends) == ["move_cycle", "moved"]
        with transaction(database) as session:
            for bureau_id in (one, two):
                move(session, bureau_id=bureau_id, parent_id=ids["13"], at=at, actor="p")


def test_a_system_registered_meanwhile_is_not_orphaned(
    database: Engine, ids: dict[str, int], at: datetime
) -> None:
    start = Barrier(2)

    def end() -> bool:
        start.wait()
        try:
            with transaction(database) as session:
                abolish(session, bureau_id=ids["1302"], at=at, actor="p")
        except StillHolding:
            return False
        return True

    def begin() -> bool:
        from_bureau = ids["1302"]
        start.wait()
        try:
            with transaction(database) as session:
                register_system(
                    session,
                    bureau_id=from_bureau,
                    code="s",
                    name="系统",
                    mlps_grade=1,
                    zone="extranet",
                    at=at,
                    actor="p",
                )
        except BureauAbolished:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        ended, begun = pool.submit(end), pool.submit(begin)
    assert ended.result() != begun.result()
    with reading(database) as session:
        assert (session.get_one(Bureau, ids["1302"]).abolished_at is not None) == ended.result()
