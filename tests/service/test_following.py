"""Requests and subscriptions follow their cases where an act on the case alone ended it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from approval import tasks as approval_tasks
from approval.queries import get_case
from approval.service import ask_supplement, withdraw
from exchange.broker.connect import connect_broker
from exchange.models import Subscription
from exchange.service.subscriptions import request_subscription
from exchange.service.sweep import sweep as sweep_exchange
from exchange.tasks import follow_case_of_subscription
from infra import jobs
from infra.clock import Clock, city_date
from infra.database import transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from provisioning import tasks as provisioning_tasks
from provisioning.service.following import follow_cases
from tests.factories import make_dataset, make_exchange
from tests.service.casework import announce_years
from tests.yard import LINE, Yard, make_yard


class ClockAt(Clock):
    """A clock that a test sets."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def worker(database: Engine, settings: Settings, at: datetime) -> Iterator[ClockAt]:
    """This process has joined an installation whose clock the test sets."""
    clock = ClockAt()
    clock.at = at
    jobs.join(Installation(settings, clock, database))
    yield clock
    jobs.leave()


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


def unanswered(yard: Yard) -> int:
    """The id of a request whose supplement was asked for."""
    asked = yard.draft(LINE)
    yard.submit(asked)
    case_id = yard.request(asked).case_id
    assert case_id is not None
    with transaction(yard.engine) as session:
        ask_supplement(
            session, case_id=case_id, person_id=yard.hall.operators[0], missing="定级材料",
            revision_seen=1, at=yard.at,
        )  # fmt: skip
    return asked


@pytest.mark.parametrize("by", ["nudge", "sweep"])
def test_a_request_whose_supplement_never_came_ends_with_its_case(
    yard: Yard, worker: ClockAt, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    asked, other = unanswered(yard), yard.draft(LINE)
    sent: list[tuple[str, tuple[object, ...]]] = []
    monkeypatch.setattr(jobs, "_send", lambda task, ids, _: sent.append((task, ids)))
    worker.at += timedelta(days=40)
    announce_years(yard.engine, at=yard.at, until=worker.at)
    approval_tasks.end_abandoned()
    case_id = yard.request(asked).case_id
    assert sent == [("request.follow_case", (case_id,))]
    assert yard.request(asked).state == "submitted"
    for _ in range(2):
        if by == "nudge":
            provisioning_tasks.follow_case(case_id)
        else:
            provisioning_tasks.sweep()
    ended = yard.request(asked)
    assert (ended.state, ended.ended_at) == ("withdrawn", worker.at)
    assert yard.request(other).state == "draft"
    with transaction(yard.engine) as session:
        told = select(JournalEntry.actor).where(JournalEntry.act == "request.follow_case")
        assert session.scalars(told).all() == ["installation"]


def test_a_request_that_was_withdrawn_itself_is_left_alone(yard: Yard) -> None:
    asked = unanswered(yard)
    with transaction(yard.engine) as session:
        withdraw(session, case_id=yard.request(asked).case_id or 0, person_id=yard.hall.applicant, at=yard.at)
    assert follow_cases(yard.engine, at=yard.at, case_id=-1) == []
    assert follow_cases(yard.engine, at=yard.at) == [asked]
    assert follow_cases(yard.engine, at=yard.at) == []


@pytest.mark.parametrize("by", ["nudge", "sweep"])
def test_a_subscription_ends_with_its_case(
    database: Engine, worker: ClockAt, settings: Settings, at: datetime, by: str
) -> None:
    with transaction(database) as session:
        place = make_exchange(session, at=at)
        dataset = make_dataset(
            session, place, at=at, share_type="conditional", share_condition="用于核对", legal_basis="条例"
        )
        asked = request_subscription(
            session, dataset_id=dataset.id, system_id=place.subscriber_id, person_id=place.hall.applicant,
            items=["name"], purpose="核对人员", basis="条例第七条", until_on=city_date(at), at=at,
        )  # fmt: skip
        case_id = asked.case_id or 0
    with transaction(database) as session:
        withdraw(session, case_id=case_id, person_id=place.hall.applicant, at=at)
    broker = connect_broker(settings)
    for _ in range(2):
        if by == "nudge":
            follow_case_of_subscription(case_id)
        else:
            sweep_exchange(database, broker, at=worker.at)
    broker.close()
    with transaction(database) as session:
        assert get_case(session, case_id).state == "withdrawn"
        ended = session.get_one(Subscription, asked.id)
        assert (ended.state, ended.revision) == ("withdrawn", 2)
