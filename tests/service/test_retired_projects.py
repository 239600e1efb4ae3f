"""Projects of abolished bureaus: retired, kept while a server stands there, revived if they come back."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from identity.models import Bureau
from identity.service.reorganise import abolish
from infra import jobs
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from provisioning import tasks
from provisioning.cloud.simulated import Fault
from provisioning.models import Server
from provisioning.quota import Limits
from provisioning.service.fences import find_fenced_project, list_stale_fences, push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.retiring import list_projects_to_retire, retire_projects
from provisioning.service.servers import release_server
from provisioning.service.tree import QuotaGuard
from tests.factories import make_bureau
from tests.yard import LINE, REGION, Yard, make_yard

ACTOR = "person:1"


@pytest.fixture(params=["database", "sqlite_database"])
def yard(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    at: datetime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Yard]:
    """A worker's yard, on both engines in turn."""
    engine: Engine = request.getfixturevalue(request.param)
    yard = make_yard(engine, tmp_path, at=at)
    monkeypatch.setattr(tasks, "_cloud", lambda *_: yard.cloud)
    monkeypatch.setattr(Clock, "now", lambda _self: yard.at)
    jobs.join(Installation(settings, Clock(), engine))
    yield yard
    jobs.leave()


@pytest.fixture
def village(yard: Yard) -> int:
    """A bureau below the town that was granted something, has a project, and then holds nothing any more."""
    with transaction(yard.engine) as session:
        town = session.get_one(Bureau, yard.hall.town)
        bureau_id = make_bureau(session, parent=town, name="village").id
    for limit in (Limits.of(servers=1), Limits()):
        grant(yard, bureau_id, limit)
        push_quota(yard.engine, yard.cloud, bureau_id=bureau_id, at=yard.at)
    return bureau_id


def grant(yard: Yard, bureau_id: int, limit: Limits) -> None:
    with transaction(yard.engine) as session:
        grant_quota(session, region=REGION, bureau_id=bureau_id, limit=limit, at=yard.at, actor=ACTOR)


def end(yard: Yard, bureau_id: int) -> None:
    with transaction(yard.engine) as session:
        abolish(session, bureau_id=bureau_id, at=yard.at, actor=ACTOR, guards=[QuotaGuard()])


def come_back(yard: Yard, bureau_id: int) -> None:
    """As an import of the tree restores it."""
    with transaction(yard.engine) as session:
        session.get_one(Bureau, bureau_id).abolished_at = None


def retired(yard: Yard) -> dict[str, bool]:
    return {project.id: project.retired for project in yard.cloud.list_projects()}


def acts(yard: Yard) -> list[str]:
    with reading(yard.engine) as session:
        query = select(JournalEntry.act).where(JournalEntry.act.startswith("project."))
        return list(session.scalars(query.order_by(JournalEntry.id)))


def test_an_abolished_bureaus_project_is_retired_and_revived_when_it_comes_back(
    yard: Yard, village: int
) -> None:
    project_id = yard.project_of(village)
    tasks.retire_projects()
    assert retired(yard) == {project_id: False}
    end(yard, village)
    for _ in range(2):
        tasks.retire_projects()
    assert retired(yard) == {project_id: True}
    come_back(yard, village)
    with reading(yard.engine) as session:
        assert find_fenced_project(session, region=REGION, bureau_id=village) is None
        assert list_stale_fences(session, region=REGION) == [village]
    tasks.push_quotas()
    tasks.retire_projects()
    assert retired(yard) == {project_id: False}
    assert acts(yard) == ["project.retire", "project.revive"]
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == []


@pytest.mark.parametrize("fault", [Fault.down, Fault.timed_out_but_done])
def test_a_call_without_an_answer_is_made_good_at_the_next_time_and_journalled_once(
    yard: Yard, village: int, fault: Fault
) -> None:
    end(yard, village)
    yard.region.inject(fault, operation="retire_project")
    with pytest.raises(ExceptionGroup):
        tasks.retire_projects()
    tasks.retire_projects()
    assert retired(yard) == {yard.project_of(village): True}
    come_back(yard, village)
    yard.region.inject(fault, operation="revive_project")
    with pytest.raises(ExceptionGroup):
        tasks.push_quotas()
    tasks.push_quotas()
    assert retired(yard) == {yard.project_of(village): False}
    assert acts(yard) == ["project.retire", "project.revive"]


def test_a_bureau_that_comes_back_while_its_project_is_being_retired_finds_it_alive(
    yard: Yard, village: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(yard, village)
    retire = yard.cloud.retire_project

    def overtaken(project_id: str) -> None:
        come_back(yard, village)
        push_quota(yard.engine, yard.cloud, bureau_id=village, at=yard.at)
        retire(project_id)

    monkeypatch.setattr(yard.cloud, "retire_project", overtaken)
    retire_projects(yard.engine, yard.cloud, at=yard.at)
    assert retired(yard) == {yard.project_of(village): False}


def test_a_project_stays_as_long_as_a_server_stands_there(yard: Yard, village: int) -> None:
    """As one does that a merged bureau's system took along to the successor."""
    asked = yard.ask(LINE)
    yard.work()
    with transaction(yard.engine) as session:
        session.get_one(Bureau, village).abolished_at = yard.at
        for server in session.scalars(select(Server)):
            server.project_bureau_id = village
    with reading(yard.engine) as session:
        assert list_projects_to_retire(session, region=REGION) == []
    for server in yard.servers(asked):
        with transaction(yard.engine) as session:
            release_server(session, server_id=server.id, at=yard.at, actor=ACTOR)
    yard.work()
    retire_projects(yard.engine, yard.cloud, at=yard.at)
    assert retired(yard)[yard.project_of(village)]
