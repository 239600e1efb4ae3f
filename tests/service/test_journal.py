"""The journal is append-only, and its chain tells on whoever meddles with it."""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from infra.clock import CITY_ZONE
from infra.database import reading, transaction
from infra.journal import Break, JournalEntry, JournalSeal, Verification, append, seal, verify
from infra.journal.wording import breaks_of
from tests.service.journalling import Heads, meddle, write


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def heads(tmp_path: Path) -> Heads:
    return Heads(tmp_path)


def test_a_whole_journal(engine: Engine, at: datetime, heads: Heads) -> None:
    write(engine, at, 5)
    assert verify(engine) == Verification(0, 5, 0, None, None)
    assert seal(engine, at=at) == 5
    assert seal(engine, at=at) == 0
    heads.sign(engine, at)
    write(engine, at, 3, first=6)
    assert verify(engine, heads.read()) == Verification(5, 3, 1, None, None)
    assert seal(engine, at=at) == 3
    heads.sign(engine, at)
    found = verify(engine, heads.read())
    assert found == Verification(8, 0, 2, None, None)
    assert found.whole


def test_an_empty_journal_is_whole_and_has_no_head(engine: Engine, at: datetime, heads: Heads) -> None:
    assert seal(engine, at=at) == 0
    assert heads.sign(engine, at) is None
    assert verify(engine, heads.read()) == Verification(0, 0, 0, None, None)


def test_the_digest_is_sm3_over_canonical_json(engine: Engine, at: datetime) -> None:
    """Computed by hand from the published rule, so that another program can check the chain."""
    write(engine, at, 1)
    seal(engine, at=at)
    canonical = (
        '{"act":"quota.granted","actor":"person:12","after":{"vcpu":2,"说明":"增配"},'
        f'"at":"{at:%Y-%m-%d}T01:00:00.000000Z","before":{{"vcpu":1}},"bureau_id":1,"id":1,'
        '"personal":false,"subject":"bureau:1"}'
    )
    sm3 = hashlib.new("sm3", bytes(32) + canonical.encode())
    with reading(engine) as session:
        assert session.scalars(select(JournalSeal.digest)).all() == [sm3.hexdigest()]


def test_a_row_commits_or_vanishes_with_its_act(engine: Engine, at: datetime) -> None:
    def act_and_fail() -> None:
        with transaction(engine) as session:
            append(session, actor="person:1", act="a", subject="s", bureau_id=None, at=at)
            session.flush()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        act_and_fail()
    write(engine, at, 1)
    assert seal(engine, at=at) == 1
    assert verify(engine) == Verification(1, 0, 0, None, None)


class Level(StrEnum):
    county = "county"


def test_values_of_every_kind_can_be_journalled(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        append(
            session,
            actor="person:1",
            act="a",
            subject="s\0\ud800",
            bureau_id=None,
            at=at.astimezone(CITY_ZONE),
            before={
                "big": 2**70,
                "edge": 2**53,
                "float": 0.1,
                "huge": 1e300,
                "nan": float("nan"),
                "text": "\0\ud83d",
                "deep": [[1]],
            },
            after={
                "on": date(2026, 3, 1),
                "at": at,
                "price": Decimal("1.10"),
                "level": Level.county,
                "set": {2, 1},
            },
            personal=True,
        )
    assert seal(engine, at=at) == 1
    assert verify(engine).whole
    with reading(engine) as session:
        entry = session.scalars(select(JournalEntry)).one()
        assert entry.before is not None
        assert float(entry.before["huge"]) == 1e300
        assert {**entry.before, "huge": 0} == {
            "big": 2**70,
            "edge": 2**53,
            "float": 0.1,
            "huge": 0,
            "nan": "nan",
            "text": "\ufffd?",
            "deep": [[1]],
        }
        assert entry.after == {
            "on": "2026-03-01",
            "at": f"{at:%Y-%m-%d}T01:00:00+00:00",
            "price": "1.10",
            "level": "county",
            "set": [1, 2],
        }
        assert (entry.at, entry.subject, entry.personal) == (at, "s\ufffd?", True)


def test_an_entry_taken_out_of_the_queue_is_told(engine: Engine, at: datetime) -> None:
    """The sealer passes it by, and later seals do not cover it: it must not count as waiting for ever."""
    write(engine, at, 2)
    meddle(engine, "DELETE FROM journal_unsealed WHERE entry_id = 1")
    assert seal(engine, at=at) == 1
    found = verify(engine)
    assert found == Verification(1, 1, 0, Break("unqueued", None, 1), None)
    assert not found.whole
    ((zh, en),) = breaks_of(found)
    assert "记录 1 既未封存，也不在待封存队列中" in zh
    assert "entry 1 is neither sealed nor queued" in en


@pytest.mark.parametrize(
    ("statements", "broken"),
    [
        (["UPDATE journal_entries SET actor = 'person:13' WHERE id = 3"], Break("changed", 3, 3)),
        (["UPDATE journal_entries SET at = '2026-03-03 00:00:00' WHERE id = 3"], Break("changed", 3, 3)),
        (["UPDATE journal_entries SET bureau_id = NULL WHERE id = 3"], Break("changed", 3, 3)),
        (["UPDATE journal_entries SET before = NULL WHERE id = 3"], Break("changed", 3, 3)),
        (["""UPDATE journal_entries SET after = '{"vcpu": 7}' WHERE id = 3"""], Break("changed", 3, 3)),
        (
            ["""UPDATE journal_entries SET after = '{"vcpu": 99999999999999999999}' WHERE id = 3"""],
            Break("changed", 3, 3),
        ),
        (["DELETE FROM journal_entries WHERE id = 3"], Break("missing", 3, 3)),
        (
            ["DELETE FROM journal_entries WHERE id = 3", "DELETE FROM journal_seals WHERE seq = 3"],
            Break("missing", 3, None),
        ),
        (["UPDATE journal_seals SET digest = 'x' WHERE seq = 3"], Break("changed", 3, 3)),
        (
            [
                "UPDATE journal_entries SET id = 99 WHERE id = 3",
                "UPDATE journal_entries SET id = 3 WHERE id = 5",
                "UPDATE journal_entries SET id = 5 WHERE id = 99",
            ],
            Break("changed", 3, 3),
        ),
        (
            [
                "UPDATE journal_seals SET entry_id = 99 WHERE seq = 3",
                "UPDATE journal_seals SET entry_id = 3 WHERE seq = 5",
                "UPDATE journal_seals SET entry_id = 5 WHERE seq = 99 OR entry_id = 99",
            ],
            Break("changed", 3, 5),
        ),
        (["DELETE FROM journal_entries WHERE id = 8"], Break("missing", None, 8)),
    ],
    ids=[
        "actor",
        "instant",
        "bureau",
        "before",
        "after",
        "huge number",
        "entry deleted",
        "entry and seal deleted",
        "digest",
        "entries swapped",
        "seals swapped",
        "deleted before it was sealed",
    ],
)
def test_the_first_broken_row_is_named(
    engine: Engine, at: datetime, statements: list[str], broken: Break
) -> None:
    write(engine, at, 7)
    seal(engine, at=at)
    write(engine, at, 2, first=8)
    meddle(engine, *statements)
    assert verify(engine).broken == broken


def test_personal_marks_are_part_of_the_chain(engine: Engine, at: datetime) -> None:
    write(engine, at, 2)
    seal(engine, at=at)
    meddle(engine, "UPDATE journal_entries SET personal = true WHERE id = 2")
    assert verify(engine).broken == Break("changed", 2, 2)


@pytest.mark.parametrize("column", ["at", "before", "bureau_id"])
@pytest.mark.parametrize(
    "rubbish",
    ["'{rubbish'", "'\"\\ud800\"'", "hex(zeroblob(50000))", "replace(hex(zeroblob(50000)), '00', '[')"],
)
def test_rubbish_that_sqlite_would_store_breaks_no_reader(
    sqlite_database: Engine, at: datetime, column: str, rubbish: str
) -> None:
    forge = "UPDATE journal_entries SET {} = {} WHERE id = {}"
    write(sqlite_database, at, 3)
    seal(sqlite_database, at=at)
    meddle(sqlite_database, forge.format(column, rubbish, 2))
    assert verify(sqlite_database).broken == Break("changed", 2, 2)
    write(sqlite_database, at, 1, first=4)
    meddle(sqlite_database, forge.format(column, rubbish, 4))
    assert seal(sqlite_database, at=at) == 1
