"""Tasks over many bureaus, regions, servers or cases: one that fails starves nobody behind it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from approval import tasks as approval_tasks
from approval.models import Case, Notice
from approval.queries import get_case
from approval.service import ask_supplement, send_reminders, withdraw
from infra import database as records
from infra import jobs
from infra.clock import Clock, city_date
from infra.database import open_database, reading, transaction
from infra.installation import Installation
from infra.settings import Settings
from provisioning import tasks
from provisioning.cloud.simulated import Fault, SimulatedCloud
from provisioning.models import Region
from provisioning.queries import get_request, get_server
from provisioning.quota import Limits
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.offers import learn_region
from tests.factories import make_case, make_hall
from tests.service.casework import announce_years
from tests.yard import LINE, REGION, Yard, make_yard

LESS, LEAST = (Limits.of(servers=many, vcpus=10 * many) for many in (6, 5))


@pytest.fixture
def impatient(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The database for a worker that soon gives up waiting for a lock."""
    monkeypatch.setattr(records, "LOCK_TIMEOUT_MS", 200)
    engine = open_database(database.url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()


@contextmanager
def working(
    engine: Engine, settings: Settings, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """This process is a worker, and it is `at`."""
    monkeypatch.setattr(Clock, "now", lambda _self: at)
    jobs.join(Installation(settings, Clock(), engine))
    try:
        yield
    finally:
        jobs.leave()


@pytest.fixture
def yard(
    database: Engine, tmp_path: Path, at: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """A worker's yard; a region beside it has a cloud of its own."""
    yard = make_yard(database, tmp_path, at=at)

    def connected(_settings: Settings, region: str, _clock: Clock) -> SimulatedCloud:
        return SimulatedCloud(yard.region.store, region=region, now=lambda: yard.at)

    monkeypatch.setattr(tasks, "_cloud", connected)
    with working(database, settings, at, monkeypatch):
        yield yard


def shrink(yard: Yard) -> None:
    """County and town have projects, and then less than the cloud knows."""
    for bureau_id in (yard.hall.county, yard.hall.town):
        push_quota(yard.engine, yard.cloud, bureau_id=bureau_id, at=yard.at)
    for bureau_id, limit in ((yard.hall.town, LEAST), (yard.hall.county, LESS)):
        with transaction(yard.engine) as session:
            grant_quota(
                session, region=REGION, bureau_id=bureau_id, limit=limit, at=yard.at, actor="person:1"
            )


def test_a_bureau_whose_quota_is_refused_starves_no_other(yard: Yard) -> None:
    shrink(yard)
    county, town = yard.hall.county, yard.hall.town
    yard.region.inject(Fault.refused, operation="set_quota")
    with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: the quota of bureau {county} in region yard"):
        tasks.push_quotas()
    assert yard.cloud.get_quota(yard.project_of(town))["servers"] == LEAST["servers"]
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [county]
    tasks.push_quotas()
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == []


def test_a_region_that_does_not_answer_is_left_and_the_next_is_served(yard: Yard) -> None:
    shrink(yard)
    county, town = yard.hall.county, yard.hall.town
    beyond = SimulatedCloud(yard.region.store, region="zone", now=lambda: yard.at)
    with transaction(yard.engine) as session:
        session.add(Region(name="zone", opened_at=yard.at))
    learn_region(yard.engine, beyond, at=yard.at)
    for limit in (LESS, LEAST):
        with transaction(yard.engine) as session:
            set_root_grant(
                session, region="zone", bureau_id=yard.hall.city, limit=limit, at=yard.at, actor="person:1"
            )
        if limit == LESS:
            push_quota(yard.engine, beyond, bureau_id=yard.hall.city, at=yard.at)
    yard.region.inject(Fault.down, operation="set_quota")
    with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: the quota of bureau {county} in region yard"):
        tasks.push_quotas()
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [county, town]
        assert list_stale_fences(session, region="zone") == []


def test_a_project_that_the_cloud_has_lost_is_made_anew(yard: Yard) -> None:
    shrink(yard)
    lost = yard.project_of(yard.hall.county)
    with yard.region.store.writing() as db:
        db.execute("DELETE FROM projects WHERE id = ?", (lost,))
    tasks.push_quotas()
    made = yard.project_of(yard.hall.county)
    assert made != lost
    assert yard.cloud.get_quota(made)["servers"] == LESS["servers"]
    assert yard.cloud.get_quota(yard.project_of(yard.hall.town))["servers"] == LEAST["servers"]


def test_a_region_that_does_not_answer_starves_no_other(yard: Yard) -> None:
    with transaction(yard.engine) as session:
        session.add(Region(name="beyond", opened_at=yard.at))
    yard.later(days=1)
    yard.region.inject(Fault.down, operation="inventory")
    with pytest.raises(ExceptionGroup, match="1 of 2 failed: region beyond"):
        tasks.learn_regions()
    with reading(yard.engine) as session:
        seen = {region.name: region.inventory_seen_at for region in session.scalars(select(Region))}
    assert seen["beyond"] is None
    assert seen[REGION] is not None


def test_a_lease_that_cannot_be_tended_starves_no_other(
    yard: Yard, impatient: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = city_date(yard.at) + timedelta(days=38)
    built = [yard.ask(replace(LINE, count=1), end_on=ends) for _ in range(2)]
    yard.work()
    [first], [second] = (yard.servers(one) for one in built)
    after = yard.at + timedelta(days=60)
    with working(impatient, settings, after, monkeypatch), transaction(yard.engine) as holder:
        get_request(holder, built[0], lock=True)
        with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: the lease of server {first.id}"):
            tasks.tend_leases()
    with reading(yard.engine) as session:
        states = [get_server(session, server.id).state for server in (first, second)]
    assert states == ["active", "stopping"]


def test_a_request_that_is_locked_starves_no_other_that_follows_its_case(
    yard: Yard, impatient: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [yard.draft(LINE) for _ in range(2)]
    for one in left:
        case_id = yard.request(one).case_id or 0
        with transaction(yard.engine) as session:
            withdraw(session, case_id=case_id, person_id=yard.hall.applicant, at=yard.at)
    with working(impatient, settings, yard.at, monkeypatch):
        with transaction(yard.engine) as holder:
            get_request(holder, left[0], lock=True)
            with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: request {left[0]}"):
                tasks.sweep()
        assert [yard.request(one).state for one in left] == ["draft", "withdrawn"]
        tasks.sweep()
    assert [yard.request(one).state for one in left] == ["withdrawn", "withdrawn"]


def supplement(engine: Engine, case: Case, person_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        ask_supplement(
            session, case_id=case.id, person_id=person_id, missing="定级材料", revision_seen=1, at=at
        )


@pytest.mark.parametrize(
    ("task", "state"),
    [(approval_tasks.accept_silent, "accepted"), (approval_tasks.end_abandoned, "abandoned")],
)
def test_a_case_that_is_locked_starves_no_other(
    database: Engine,
    impatient: Engine,
    settings: Settings,
    at: datetime,
    monkeypatch: pytest.MonkeyPatch,
    task: Callable[[], None],
    state: str,
) -> None:
    with transaction(database) as session:
        hall = make_hall(session, at=at)
        cases = [make_case(session, hall, at=at) for _ in range(2)]
    if state == "abandoned":
        for case in cases:
            supplement(database, case, hall.operators[0], at)
    late = at + timedelta(days=60)
    announce_years(database, at=at, until=late)
    with working(impatient, settings, late, monkeypatch), transaction(database) as holder:
        get_case(holder, cases[0].id, lock=True)
        with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: case {cases[0].id}"):
            task()
    with reading(database) as session:
        assert get_case(session, cases[0].id).state != state
        assert get_case(session, cases[1].id).state == state


def test_a_case_that_cannot_be_reminded_of_starves_no_other(
    database: Engine, impatient: Engine, settings: Settings, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with transaction(database) as session:
        hall = make_hall(session, at=at)
        cases = [make_case(session, hall, at=at) for _ in range(2)]
    late = at + timedelta(days=60)
    announce_years(database, at=at, until=late)
    with working(impatient, settings, late, monkeypatch):
        with transaction(database) as holder:
            send_reminders(holder, at=late, case_id=cases[0].id)
            with pytest.raises(ExceptionGroup, match=f"1 of 2 failed: case {cases[0].id}"):
                approval_tasks.remind()
            holder.rollback()
        with reading(database) as session:
            told = select(Notice.subject_id).where(Notice.code == "overdue")
            assert session.scalars(told).all() == [cases[1].id]
        approval_tasks.remind()
        with reading(database) as session:
            assert sorted(session.scalars(told)) == [case.id for case in cases]
