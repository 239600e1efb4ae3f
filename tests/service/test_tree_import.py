"""Imports of the tree into real records: all or nothing, history, and two at once."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from identity.data import DIVISIONS
from identity.errors import ImportRefused, OutOfOrder, StillHolding, TooManyRows
from identity.models import Bureau, BureauVersion
from identity.queries import count_by_level, find_unit_at, get_bureau, list_chain, list_tree_at, list_versions
from identity.service.tree import ImportReport, import_tree, rehearse_import
from infra.database import reading, transaction
from infra.errors import SijiError
from infra.journal import JournalEntry
from infra.textfile import EncodingUndecided
from tests.factories import make_person, make_role, make_system

HEADER = "code,parent_code,level,name\n"
SMALL = (
    HEADER
    + "13,,city,甲市\n1301,13,county,乙县\n1302,13,county,丙县\n"
    + "130101,1301,township,丁镇\n13010101,130101,village,戊村\n"
)
DAY = timedelta(days=1)


@dataclass
class Watcher:
    """A guard that notes moves, refuses those to `forbidden`, and says that `holders` hold grants."""

    holders: set[int] = field(default_factory=set)
    forbidden: int | None = None
    moves: list[tuple[int, int | None, int | None]] = field(default_factory=list)
    ended: set[int] = field(default_factory=set)

    def holdings(self, session: Session, *, bureau_ids: Collection[int]) -> dict[int, list[str]]:
        """As told."""
        return {bureau_id: ["grants"] for bureau_id in bureau_ids if bureau_id in self.holders}

    def on_move(
        self,
        session: Session,
        *,
        bureau_id: int,
        old_parent_id: int | None,
        new_parent_id: int | None,
        at: datetime,
        actor: str,
    ) -> None:
        """Note it, or refuse."""
        written = session.scalar(select(Bureau.parent_id).where(Bureau.id == bureau_id))
        assert written == new_parent_id
        if new_parent_id == self.forbidden:
            raise SijiError()
        self.moves.append((bureau_id, old_parent_id, new_parent_id))

    def on_merge(
        self, session: Session, *, bureau_id: int, successor_id: int, at: datetime, actor: str
    ) -> None:
        """An import merges nobody."""
        raise AssertionError

    def on_abolish(self, session: Session, *, bureau_ids: Collection[int], at: datetime, actor: str) -> None:
        """Note who ends; they hold nothing."""
        assert not self.holders & set(bureau_ids)
        self.ended.update(bureau_ids)


def load(engine: Engine, text: str | bytes, at: datetime, **options: Any) -> ImportReport:
    raw = text if isinstance(text, bytes) else text.encode()
    with transaction(engine) as session:
        return import_tree(session, raw=raw, at=at, actor="person:1", **options)


def shape(engine: Engine) -> list[tuple[str, str, str, str | None, bool]]:
    """Every unit with its parent's code and whether it is abolished."""
    with reading(engine) as session:
        units = session.scalars(select(Bureau).order_by(Bureau.code)).all()
        codes = {unit.id: unit.code for unit in units}
        return [
            (u.code, u.name, u.level, codes.get(u.parent_id or 0), u.abolished_at is not None) for u in units
        ]


def test_the_whole_city_and_a_second_time_nothing(database: Engine, at: datetime) -> None:
    raw = DIVISIONS.read_bytes()
    report = load(database, raw, at)
    assert (report.rows, report.created, report.unchanged, report.is_noop) == (7285, 7285, 0, False)
    again = load(database, raw, at + DAY)
    assert (again.created, again.unchanged, again.is_noop) == (0, 7285, True)
    with reading(database) as session:
        assert count_by_level(session) == {"city": 1, "county": 26, "township": 359, "village": 6899}
        assert session.scalar(select(func.count()).select_from(BureauVersion)) == 7285
        village = get_bureau(session, code="130602001002")
        chain = [unit.code for unit in list_chain(session, bureau_id=village.id)]
        assert chain == ["130602001002", "130602001", "130602", "1306"]
        entries = session.scalars(select(JournalEntry)).all()
        assert [(entry.act, entry.actor, entry.at) for entry in entries] == [("tree.import", "person:1", at)]
        assert entries[0].after is not None
        assert (entries[0].after["created"], entries[0].after["sm3"]) == (7285, report.digest)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_encoding_gives_the_same_tree(database: Engine, at: datetime, encoding: str) -> None:
    load(database, SMALL.replace("戊村", "𠮷䌷村").encode(encoding), at)
    assert ("13010101", "𠮷䌷村", "village", "130101", False) in shape(database)


def test_an_encoding_that_cannot_be_told_is_refused(database: Engine, at: datetime) -> None:
    raw = (HEADER + "13,,city,模\n").encode("gb18030")
    with pytest.raises(EncodingUndecided):
        load(database, raw, at)
    load(database, raw, at, encoding="gb18030")
    assert shape(database) == [("13", "模", "city", None, False)]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.permutations(SMALL.splitlines(keepends=True)[1:]))
def test_the_order_of_rows_is_without_effect(sqlite_database: Engine, at: datetime, rows: list[str]) -> None:
    for _ in range(2):
        load(sqlite_database, HEADER + "".join(rows), at)
    with reading(sqlite_database) as session:
        units = {unit.code: unit.id for unit in list_units(session)}
    assert units == {"13": 1, "1301": 2, "1302": 3, "130101": 4, "13010101": 5}


def list_units(session: Session) -> list[Bureau]:
    return list(session.scalars(select(Bureau)))


def test_one_fault_and_nothing_is_written(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    before = shape(database)
    bad = SMALL.replace("乙县", "己县") + "1303,13,county,丙县\n1304,99,county,庚县\n"
    with pytest.raises(ImportRefused) as refusal:
        load(database, bad, at + DAY)
    assert shape(database) == before
    assert [(fault["row"], fault["reason"]) for fault in refusal.value.facts["problems"]] == [
        (7, "twin"),
        (8, "unknown_parent"),
    ]
    assert refusal.value.message("en").endswith(
        "2 faults, the first is Row 7: Name “丙县” equals “丙县” of 1302 below the same parent (under NFKC)"
    )
    assert "共有 2 处问题" in refusal.value.message("zh")


def test_of_many_faults_the_total_is_told_and_some_are_shown(database: Engine, at: datetime) -> None:
    with pytest.raises(ImportRefused) as refusal:
        load(database, HEADER + "".join(f"{n},99,county,县{n}\n" for n in range(1000)), at)
    assert (refusal.value.facts["total"], len(refusal.value.facts["problems"])) == (1000, 50)


def test_too_many_rows_are_refused(database: Engine, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("identity.divisions", "identity.service.tree"):
        monkeypatch.setattr(f"{module}.MAX_ROWS", 4)
    with pytest.raises(TooManyRows, match="more than 4 rows"):
        load(database, SMALL, at)
    assert shape(database) == []


def test_a_reorganisation_keeps_history(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    watcher = Watcher()
    changed = SMALL.replace("130101,1301,township,丁镇", "130101,1302,township,丁街道")
    report = load(database, changed, at + DAY, guards=[watcher])
    assert (report.reorganised, report.moved, report.created, report.unchanged) == (1, 1, 0, 4)
    with reading(database) as session:
        town = get_bureau(session, code="130101")
        old, new = get_bureau(session, code="1301"), get_bureau(session, code="1302")
        assert (town.name, town.parent_id, town.revision) == ("丁街道", new.id, 2)
        assert watcher.moves == [(town.id, old.id, new.id)]
        then = find_unit_at(session, bureau_id=town.id, at=at + DAY / 2)
        assert then is not None
        assert (then.name, then.parent_id) == ("丁镇", old.id)
        assert [(v.valid_from, v.valid_to) for v in list_versions(session, bureau_id=town.id)] == [
            (at, at + DAY),
            (at + DAY, None),
        ]
        below_old = [unit.code for unit in list_tree_at(session, at=at, top_id=old.id)]
        assert below_old == ["1301", "130101", "13010101"]
        assert [unit.code for unit in list_tree_at(session, at=at + DAY, top_id=old.id)] == ["1301"]
        assert list_tree_at(session, at=at - DAY) == []
        entry = session.scalars(select(JournalEntry).where(JournalEntry.act == "bureau.reorganise")).one()
        assert (entry.before or {})["parent_id"] == old.id
        assert (entry.after or {})["name"] == "丁街道"


def test_levels_may_be_turned_upside_down_in_one_file(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    turned = HEADER + "130101,13,county,丁县\n1301,130101,township,乙镇\n13010101,1301,village,戊村\n"
    watcher = Watcher()
    report = load(database, turned, at + DAY, guards=[watcher])
    assert report.moved == 3
    assert [unit[:4] for unit in shape(database)] == [
        ("13", "甲市", "city", None),
        ("1301", "乙镇", "township", "130101"),
        ("130101", "丁县", "county", "13"),
        ("13010101", "戊村", "village", "1301"),
        ("1302", "丙县", "county", "13"),
    ]


def test_a_guard_that_refuses_a_move_refuses_the_import(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    before = shape(database)
    with reading(database) as session:
        target = get_bureau(session, code="1302").id
    moved = SMALL.replace("130101,1301,", "130101,1302,").replace("甲市", "新市")
    with pytest.raises(SijiError):
        load(database, moved, at + DAY, guards=[Watcher(forbidden=target)])
    assert shape(database) == before


def test_absent_units_stay_unless_told_otherwise_and_come_back(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    without = "".join(line for line in SMALL.splitlines(keepends=True) if "1301" not in line)
    assert load(database, without, at + DAY).is_noop
    watcher = Watcher()
    report = load(database, without, at + DAY, abolish_missing=True, guards=[watcher])
    assert (report.abolished, report.unchanged) == (3, 2)
    assert {unit[0] for unit in shape(database) if unit[4]} == {"1301", "130101", "13010101"}
    with reading(database) as session:
        assert [unit.code for unit in list_tree_at(session, at=at + DAY)] == ["13", "1302"]
        village_id = get_bureau(session, code="13010101").id
        gone = {get_bureau(session, code=code).id for code in ("1301", "130101")}
        assert watcher.ended == gone | {village_id}
    back = load(database, SMALL, at + 2 * DAY)
    assert (back.restored, back.created) == (3, 0)
    with reading(database) as session:
        assert get_bureau(session, code="13010101").id == village_id
        history = [(v.valid_from, v.valid_to) for v in list_versions(session, bureau_id=village_id)]
        assert history == [(at, at + DAY), (at + 2 * DAY, None)]
    assert not any(unit[4] for unit in shape(database))


def test_a_unit_is_not_restored_from_before_its_abolition_on(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    without_village = HEADER + "130101,1301,township,丁镇\n"
    assert load(database, without_village, at + 2 * DAY, abolish_missing=True).abolished == 1
    with pytest.raises(OutOfOrder):
        load(database, SMALL, at + DAY)
    assert load(database, SMALL, at + 2 * DAY).restored == 1


@pytest.mark.parametrize("what", ["persons", "systems", "grants"])
def test_whoever_holds_anything_is_never_abolished(database: Engine, at: datetime, what: str) -> None:
    load(database, SMALL, at)
    watcher = Watcher()
    with transaction(database) as session:
        village = get_bureau(session, code="13010101")
        match what:
            case "persons":
                make_person(session, village)
            case "systems":
                make_system(session, village)
            case _:
                watcher.holders = {village.id}
    before = shape(database)
    with pytest.raises(StillHolding) as refusal:
        load(database, HEADER + "13,,city,改名市\n", at + DAY, abolish_missing=True, guards=[watcher])
    assert refusal.value.facts["held"] == {"13010101": [what]}
    assert shape(database) == before


def test_departed_people_and_roles_from_elsewhere_do_not_hold(database: Engine, at: datetime) -> None:
    load(database, SMALL, at)
    with transaction(database) as session:
        village = get_bureau(session, code="13010101")
        make_person(session, village, departed_at=at)
        make_system(session, village, retired_at=at)
        clerk = make_person(session, get_bureau(session, code="13"))
        role = make_role(session, clerk, role="bureau_member", bureau=village)
    report = load(database, HEADER + "130101,1301,township,丁镇\n", at + DAY, abolish_missing=True)
    assert report.abolished == 1
    with transaction(database) as session:
        session.add(role)
        session.refresh(role)
        assert role.valid_to == at + DAY


def test_a_rehearsal_tells_and_writes_nothing(database: Engine, at: datetime) -> None:
    report = rehearse_import(database, raw=SMALL.encode(), at=at, actor="person:1")
    assert report.created == 5
    assert shape(database) == []
    with pytest.raises(ImportRefused):
        rehearse_import(database, raw=b"code\n", at=at, actor="person:1")


def test_two_at_once_end_in_one_tree(database: Engine, at: datetime) -> None:
    raw, start = DIVISIONS.read_bytes(), Barrier(2)

    def run() -> ImportReport:
        start.wait()
        return load(database, raw, at)

    with ThreadPoolExecutor(2) as pool:
        reports = [future.result() for future in [pool.submit(run), pool.submit(run)]]
    assert sorted(report.created for report in reports) == [0, 7285]
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(Bureau)) == 7285
        assert session.scalar(select(func.count()).select_from(BureauVersion)) == 7285


def test_all_levels_but_villages_renamed_at_once(database: Engine, at: datetime) -> None:
    text = DIVISIONS.read_text(encoding="utf-8")
    load(database, text, at)
    header, *rows = (row for row in text.splitlines(keepends=True) if ",village," not in row)
    renamed = header + "".join(row.rstrip("\n") + "（新）\n" for row in reversed(rows))
    report = load(database, renamed, at + DAY)
    assert (report.reorganised, report.moved) == (386, 0)
    with reading(database) as session:
        open_versions = (
            select(func.count()).select_from(BureauVersion).where(BureauVersion.valid_to.is_(None))
        )
        assert session.scalar(open_versions) == 7285
        assert len(list_tree_at(session, at=at)) == len(list_tree_at(session, at=at + DAY)) == 7285


def test_sqlite_does_the_same(sqlite_database: Engine, at: datetime) -> None:
    assert load(sqlite_database, DIVISIONS.read_bytes(), at).created == 7285
    assert load(sqlite_database, DIVISIONS.read_bytes(), at).is_noop
    moved = HEADER + "130602001,130606,township,先锋街道\n"
    assert load(sqlite_database, moved, at + DAY).moved == 1
    with reading(sqlite_database) as session:
        town = get_bureau(session, code="130602001")
        assert [unit.code for unit in list_chain(session, bureau_id=town.id)] == [
            "130602001",
            "130606",
            "1306",
        ]
        then = find_unit_at(session, bureau_id=town.id, at=at)
        assert then is not None
        assert then.parent_id == get_bureau(session, code="130602").id
