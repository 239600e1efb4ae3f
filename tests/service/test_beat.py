"""Each slot is sent once, however many beats there are, and of missed slots only the present one."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select, text

from infra import beat, jobs
from infra.beat import BeatSlot, beating, schedule, send_due
from infra.clock import Clock
from infra.database import open_database, reading
from infra.installation import Installation
from infra.settings import Settings
from tests.waiting import wait_until

INTERVALS_S = {"infra.seal_journal": 60, "infra.sign_head": 3600}


@pytest.fixture(params=["database", "sqlite_database"])
def here(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Installation]:
    installation = Installation(settings, Clock(), request.getfixturevalue(request.param))
    jobs.join(installation)
    yield installation
    jobs.leave()


def messages(settings: Settings) -> list[str]:
    """The tasks of the messages that wait in the filesystem transport."""
    folder = settings.data_dir / "jobs" / "messages"
    return [json.loads(file.read_bytes())["headers"]["task"] for file in folder.iterdir()]


def slots(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(BeatSlot)) or 0


def test_a_slot_is_sent_once(here: Installation, at: datetime) -> None:
    assert send_due(here, at=at, intervals_s=INTERVALS_S) == list(INTERVALS_S)
    assert send_due(here, at=at, intervals_s=INTERVALS_S) == []
    assert send_due(here, at=at + timedelta(seconds=59), intervals_s=INTERVALS_S) == []
    assert send_due(here, at=at + timedelta(seconds=60), intervals_s=INTERVALS_S) == ["infra.seal_journal"]
    assert Counter(messages(here.settings)) == {"infra.seal_journal": 2, "infra.sign_head": 1}


def test_of_slots_that_nobody_was_up_for_only_the_present_one_is_sent(
    here: Installation, at: datetime
) -> None:
    send_due(here, at=at, intervals_s=INTERVALS_S)
    assert send_due(here, at=at + timedelta(hours=9.5), intervals_s=INTERVALS_S) == list(INTERVALS_S)
    assert Counter(messages(here.settings)) == dict.fromkeys(INTERVALS_S, 2)


def test_beats_that_meet_do_not_send_twice(here: Installation, at: datetime) -> None:
    times = [at + timedelta(minutes=minute) for minute in range(10)]
    with ThreadPoolExecutor(8) as beats:
        for minute in times:
            sent = beats.map(lambda _, at=minute: send_due(here, at=at, intervals_s=INTERVALS_S), range(8))
            assert sum(map(len, sent)) == (2 if minute == at else 1)
    assert Counter(messages(here.settings)) == {"infra.seal_journal": 10, "infra.sign_head": 1}


def test_a_beat_whose_clock_is_behind_sends_nothing_again(here: Installation, at: datetime) -> None:
    for seconds in (0, 61, 30, 90, 59):
        send_due(here, at=at + timedelta(seconds=seconds), intervals_s={"infra.seal_journal": 60})
    assert messages(here.settings) == ["infra.seal_journal"] * 2


def test_a_clock_that_was_ahead_stops_nothing(here: Installation, at: datetime) -> None:
    send_due(here, at=at + timedelta(days=40), intervals_s=INTERVALS_S)
    assert send_due(here, at=at, intervals_s=INTERVALS_S) == list(INTERVALS_S)


def test_slots_are_forgotten_after_a_week(here: Installation, at: datetime) -> None:
    for days in range(10):
        send_due(here, at=at + timedelta(days=days), intervals_s={"infra.sign_head": 3600})
    assert slots(here.engine) == 7 + 1


def test_a_message_that_nobody_takes_is_dropped_after_ten_slots(here: Installation, at: datetime) -> None:
    send_due(here, at=at, intervals_s={"infra.seal_journal": 60})
    [file] = (here.settings.data_dir / "jobs" / "messages").iterdir()
    expires = datetime.fromisoformat(json.loads(file.read_bytes())["headers"]["expires"])
    ahead = (expires - Clock().now()).total_seconds()
    assert 0 < ahead <= 600


def test_the_thread_sends_the_whole_schedule_and_ends_with_its_block(here: Installation) -> None:
    expected = set(schedule(here.settings))
    with beating(here):
        wait_until(lambda: slots(here.engine) >= len(expected))
    assert set(messages(here.settings)) == expected
    assert slots(here.engine) == len(messages(here.settings))


def test_a_beat_outlives_records_that_are_away(
    settings: Settings,
    sqlite_database: Engine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The table is not there at first: the beat says so, and goes on once it is."""
    engine = open_database(str(sqlite_database.url))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE beat_slots RENAME TO away"))
    monkeypatch.setattr(beat, "schedule", lambda _: {"infra.seal_journal": 1})
    here = Installation(settings, Clock(), engine)
    jobs.join(here)
    with caplog.at_level(logging.WARNING, logger="infra.beat"), beating(here):
        wait_until(lambda: bool(caplog.records))
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO beat_slots"))
        wait_until(lambda: slots(engine) > 0)
    assert "the beat cannot use the records" in caplog.text
    engine.dispose()
    jobs.leave()
