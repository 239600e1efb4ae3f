"""Leases: due and not yet sent, the last day included, nothing deleted on a rest day."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.work_calendar import built_in_calendar
from provisioning.lease import NOTICE_DAYS, is_over, may_delete, may_go_without_snapshot, notices_due
from provisioning.pace import LONGEST_BACKOFF_S, backoff, is_lost, is_stuck, poll, takes_too_long

END = date(2026, 3, 31)
START = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("on", "sent", "due"),
    [
        (date(2026, 2, 28), [], ()),
        (date(2026, 3, 1), [], (30,)),
        (date(2026, 3, 2), [30], ()),
        (date(2026, 3, 25), [], (30, 7)),
        (date(2026, 3, 30), [30, 7], (1,)),
        (date(2026, 3, 31), [30, 7, 1], ()),
        (date(2026, 3, 31), [30], (7, 1)),
        (date(2026, 4, 1), [], ()),
    ],
)
def test_notices_are_those_due_and_not_yet_sent(on: date, sent: list[int], due: tuple[int, ...]) -> None:
    assert notices_due(END, on=on, sent=sent) == due


@given(st.lists(st.integers(0, 60), unique=True).map(sorted))
def test_missed_runs_lose_and_double_no_notice(runs: list[int]) -> None:
    sent: list[int] = []
    for day in runs:
        sent += notices_due(END, on=END - timedelta(days=60 - day), sent=sent)
    latest = max(runs, default=0)
    assert sorted(sent) == sorted(days for days in NOTICE_DAYS if 60 - latest <= days)


def test_the_end_date_is_included() -> None:
    assert not is_over(END, on=END)
    assert is_over(END, on=END + timedelta(days=1))


@pytest.mark.parametrize(
    ("on", "may"),
    [
        (date(2026, 4, 15), False),
        (date(2026, 4, 16), True),
        (date(2026, 4, 18), False),
        (date(2026, 5, 1), False),
        (date(2026, 5, 9), True),
    ],
    ids=["last day of grace", "first day after it", "a Saturday", "a holiday", "a Saturday that is worked"],
)
def test_deletion_waits_for_a_work_day_after_the_grace(on: date, may: bool) -> None:
    assert may_delete(END, on=on, calendar=built_in_calendar()) is may


def test_nothing_is_deleted_in_a_year_without_a_calendar() -> None:
    assert not may_delete(END, on=date(2099, 3, 2), calendar=built_in_calendar())


@given(st.integers(1, 100), st.text(min_size=1))
def test_backoff_grows_to_its_bound_and_is_the_same_each_time(attempts: int, tag: str) -> None:
    wait = backoff(attempts, tag=tag)
    whole = min(LONGEST_BACKOFF_S, 2.0**attempts)
    assert wait == backoff(attempts, tag=tag)
    assert whole / 2 <= wait.total_seconds() <= whole


def test_backoff_is_spread_over_tags() -> None:
    assert len({backoff(3, tag=str(number)) for number in range(100)}) > 90


def test_polls_are_a_quarter_of_the_age_within_bounds() -> None:
    assert [poll(START, START + timedelta(seconds=age)).total_seconds() for age in (0, 20, 4000)] == [
        1,
        5,
        30,
    ]
    assert not is_lost(START, START + timedelta(minutes=5))
    assert is_lost(START, START + timedelta(minutes=5, seconds=1))
    assert not takes_too_long(START, START + timedelta(minutes=30))
    assert takes_too_long(START, START + timedelta(minutes=30, seconds=1))


@pytest.mark.parametrize(
    ("on", "may"),
    [
        (date(2026, 4, 28), False),
        (date(2026, 4, 30), False),
        (date(2026, 5, 1), False),
        (date(2026, 5, 6), True),
        (date(2031, 5, 6), False),
    ],
)
def test_a_snapshot_is_sought_for_three_days_and_given_up_on_a_work_day_only(on: date, may: bool) -> None:
    sought_since = date(2026, 4, 28)
    assert may_go_without_snapshot(sought_since, on=on, calendar=built_in_calendar()) is may


def test_somebody_is_to_look_after_ten_refusals_or_six_hours() -> None:
    assert [is_stuck(START, START, refusals=refusals) for refusals in (0, 9, 10)] == [False, False, True]
    hours = (timedelta(hours=6), timedelta(hours=6, seconds=1))
    assert [is_stuck(START, START + late, refusals=0) for late in hours] == [False, True]
