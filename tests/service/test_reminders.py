"""Reminders come once each, however often or seldom the sweep runs; tasks do what the use cases do."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval import tasks
from approval.models import Case, Notice
from approval.queries import get_case, list_notices
from approval.service import (
    ask_supplement,
    decide,
    edit_case,
    list_to_remind,
    notify,
    read_notice,
    resume,
    send_reminders,
    suspend,
)
from approval.wording import word
from infra import jobs
from infra.clock import CITY_ZONE, Clock
from infra.database import transaction
from infra.errors import NotFound
from infra.installation import Installation
from infra.settings import Settings
from tests.factories import Hall, make_case, make_hall


class ClockAt(Clock):
    """A clock that a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = march(2)

    def now(self) -> datetime:
        return self.at


def march(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=CITY_ZONE)


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=march(1))


@pytest.fixture
def worker(database: Engine, settings: Settings) -> Iterator[ClockAt]:
    """This process has joined an installation whose clock the test sets."""
    clock = ClockAt()
    jobs.join(Installation(settings, clock, database))
    yield clock
    jobs.leave()


def made(database: Engine, hall: Hall, upto: str = "accept") -> Case:
    with transaction(database) as session:
        return make_case(session, hall, at=march(2), upto=upto)


def swept(database: Engine, *days: int) -> list[int]:
    counts = []
    for day in days:
        with transaction(database) as session:
            near = list_to_remind(session, at=march(day))
            counts.append(sum(send_reminders(session, case_id=one, at=march(day)) for one in near))
    return counts


def reminders(database: Engine) -> list[tuple[str, str, str | None]]:
    """(code, due date, role) of the reminders, in the order in which they came."""
    with transaction(database) as session:
        query = select(Notice).where(Notice.code.in_(("due_soon", "overdue"))).order_by(Notice.id)
        return [(each.code, each.facts["due_on"], each.role) for each in session.scalars(query)]


YELLOW = ("due_soon", "2026-03-05", "operator")
RED = ("overdue", "2026-03-05", "operator")


def test_daily_runs_send_each_reminder_once(database: Engine, hall: Hall) -> None:
    made(database, hall)
    assert swept(database, 3, 4, 4, 5, 6, 6, 7) == [0, 1, 0, 0, 1, 0, 0]
    assert reminders(database) == [YELLOW, RED]


def test_a_missed_run_loses_none(database: Engine, hall: Hall) -> None:
    made(database, hall)
    assert swept(database, 3, 18, 18) == [0, 2, 0]
    assert reminders(database) == [YELLOW, RED]


def test_a_new_due_date_after_a_procedure_is_reminded_of_anew(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    assert swept(database, 3) == [1]
    hand: dict[str, Any] = {"case_id": case.id, "person_id": hall.operators[0], "procedure": "hearing"}
    with transaction(database) as session:
        suspend(session, **hand, at=march(4), first_on=march(4).date(), reason="公开听证")
    assert swept(database, 4) == [0]
    with transaction(database) as session:
        resume(session, **hand, at=march(5), last_on=march(5).date())
    assert swept(database, 5, 6) == [1, 0]
    assert [due for _, due, _ in reminders(database)] == ["2026-03-04", "2026-03-06"]


def test_an_edit_before_acceptance_reminds_nobody_twice(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    assert swept(database, 4) == [1]
    with transaction(database) as session:
        edit_case(session, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=march(4))
    assert swept(database, 4) == [0]


def test_notices_reach_a_role_at_its_bureau_and_above(database: Engine, hall: Hall) -> None:
    made(database, hall)
    swept(database, 4)
    with transaction(database) as session:
        seen = list_notices(session, person_id=hall.operators[2], roles=[("operator", hall.city)])
        beside = list_notices(session, person_id=hall.steward, roles=[("operator", hall.provider)])
        none = list_notices(session, person_id=hall.steward)
        older = list_notices(
            session, person_id=hall.operators[2], roles=[("operator", hall.city)], before_id=seen[0].id
        )
    assert [notice.code for notice in seen] == ["due_soon", "step_waiting"]
    assert [notice.code for notice in older] == ["step_waiting"]
    assert (beside, none) == ([], [])
    assert word(seen[0].code, seen[0].facts, "en") == (
        "Yellow card: 'acceptance' of case BD-2026-000001 is due on 2026-03-05"
    )
    assert "受理" in word(seen[0].code, seen[0].facts, "zh")


def test_a_notice_is_left_once_and_read_once(database: Engine, hall: Hall) -> None:
    facts: dict[str, Any] = {
        "key": "lease:7:30", "code": "lease_ends", "facts": {"days": 30}, "subject_kind": "server",
        "subject_id": 7, "at": march(2), "person_id": hall.applicant,
    }  # fmt: skip
    with transaction(database) as session:
        assert [notify(session, **facts), notify(session, **facts)] == [True, False]
        notice = list_notices(session, person_id=hall.applicant)[0]
        for day in (3, 4):
            read_notice(session, notice_id=notice.id, person_id=hall.applicant, roles=(), at=march(day))
    with transaction(database) as session:
        assert list_notices(session, person_id=hall.applicant) == []
        read = list_notices(session, person_id=hall.applicant, unread_only=False)
        assert [each.read_at for each in read] == [march(3)]
        with pytest.raises(NotFound, match="notice 999"):
            read_notice(session, notice_id=999, person_id=hall.applicant, roles=(), at=march(3))


def test_a_notice_is_read_by_those_it_is_for_and_nobody_else(database: Engine, hall: Hall) -> None:
    made(database, hall)
    roles = [("operator", hall.city)]
    with transaction(database) as session:
        (notice,) = list_notices(session, person_id=hall.operators[0], roles=roles)
        for stranger, held in ((hall.applicant, ()), (hall.steward, [("operator", hall.provider)])):
            with pytest.raises(NotFound):
                read_notice(session, notice_id=notice.id, person_id=stranger, roles=held, at=march(3))
        read_notice(session, notice_id=notice.id, person_id=hall.operators[1], roles=roles, at=march(3))
        assert list_notices(session, person_id=hall.operators[0], roles=roles) == []


def test_a_returned_case_reminds_its_applicant_of_the_whole_limit(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    with transaction(database) as session:
        decide(
            session, case_id=case.id, step_key="review", person_id=hall.operators[0], decision="return",
            reason="缺少网络区域", revision_seen=1, at=march(3),
        )  # fmt: skip
    assert swept(database, 11) == [2]
    assert reminders(database) == [("due_soon", "2026-03-10", None), ("overdue", "2026-03-10", None)]
    with transaction(database) as session:
        told = [notice.code for notice in list_notices(session, person_id=hall.applicant)]
    assert told == ["overdue", "due_soon", "case_returned", "case_accepted"]


def test_the_beat_tasks_accept_by_silence_end_the_abandoned_and_remind(
    database: Engine, hall: Hall, worker: ClockAt
) -> None:
    silent, abandoned = made(database, hall), made(database, hall)
    with transaction(database) as session:
        ask_supplement(
            session,
            case_id=abandoned.id,
            person_id=hall.operators[0],
            missing="定级材料",
            revision_seen=1,
            at=march(3),
        )
    for day in (9, 25, 25):
        worker.at = march(day)
        for task in (tasks.accept_silent, tasks.end_abandoned, tasks.check_calendar, tasks.remind):
            task()
    with transaction(database) as session:
        states = [get_case(session, case.id).state for case in (silent, abandoned)]
    assert states == ["accepted", "abandoned"]
    assert [code for code, due, _ in reminders(database) if due == "2026-03-05"] == ["due_soon", "overdue"]
