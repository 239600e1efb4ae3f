"""A quota that not every service of the cloud took: shown, no new claims there, and healed by itself."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.models import Notice
from infra import jobs
from infra.clock import Clock
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from infra.settings import Settings
from provisioning import tasks
from provisioning.cloud.simulated import Fault
from provisioning.errors import QuotaInconsistent
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Resources
from provisioning.service import claims
from provisioning.service.accounts import find_account
from provisioning.service.asking import LineAsked
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.servers import release_server
from tests.yard import BIGGER, FLAVOR, LINE, REGION, ROOM, Yard, make_yard

ONE = replace(LINE, count=1)
LESS = Limits.of(servers=50, vcpus=500, ram_mib=2_000_000, root_gib=20_000, volume_gib=90_000, volumes=90)
ACTOR = "person:1"


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both engines in turn."""
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def yard(
    engine: Engine, tmp_path: Path, at: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    """A worker's yard, whose time is the worker's too."""
    yard = make_yard(engine, tmp_path, at=at)
    monkeypatch.setattr(tasks, "_cloud", lambda *_: yard.cloud)
    monkeypatch.setattr(Clock, "now", lambda _self: yard.at)
    jobs.join(Installation(settings, Clock(), engine))
    yield yard
    jobs.leave()


def account_of(yard: Yard) -> QuotaAccount:
    with reading(yard.engine) as session:
        found = find_account(session, region=REGION, bureau_id=yard.hall.town)
    assert found is not None
    return found


def grant(yard: Yard, limit: Limits, bureau_id: int | None = None) -> None:
    with transaction(yard.engine) as session:
        grant_quota(
            session,
            region=REGION,
            bureau_id=bureau_id or yard.hall.town,
            limit=limit,
            at=yard.at,
            actor=ACTOR,
        )


def break_cinder(yard: Yard, *, fault: Fault = Fault.down) -> QuotaInconsistent:
    """Nova takes a new quota of the town's and Cinder does not; what the worker was told."""
    grant(yard, LESS)
    yard.region.inject(fault, operation="set_quota.cinder")
    with pytest.raises(ExceptionGroup) as caught:
        tasks.push_quotas()
    [told] = caught.value.exceptions
    assert isinstance(told, QuotaInconsistent)
    return told


def in_town(yard: Yard, act: Callable[..., Any], **how: Any) -> Any:
    with transaction(yard.engine) as session:
        return act(session, at=yard.at, actor=ACTOR, **how)


def claim(yard: Yard, key: str, vcpus: int = 1) -> None:
    in_town(
        yard,
        claims.claim,
        region=REGION,
        bureau_id=yard.hall.town,
        system_id=yard.system_id,
        key=key,
        amounts=Resources.of(vcpus=vcpus),
    )


def test_new_claims_are_refused_until_every_service_holds_the_quota(yard: Yard) -> None:
    yard.ask(ONE)
    yard.work()
    told = break_cinder(yard)
    project_id = yard.project_of(yard.hall.town)
    held = yard.cloud.get_quota(project_id)
    assert (held["vcpus"], held["volumes"]) == (LESS["vcpus"], ROOM["volumes"])
    account = account_of(yard)
    assert (account.inconsistent_at, set(account.service_faults or {})) == (yard.at, {"cinder"})
    with pytest.raises(QuotaInconsistent) as refused:
        yard.ask(ONE)
    assert refused.value.facts == told.facts
    for text in (refused.value.message("zh"), refused.value.message("en")):
        assert all(
            name in text for name in (told.facts["bureau"], told.facts["code"], REGION, "Cinder", "503")
        )
    yard.later(minutes=1)
    tasks.push_quotas()
    assert (account_of(yard).inconsistent_at, account_of(yard).service_faults) == (None, None)
    assert yard.cloud.get_quota(project_id)["volumes"] == LESS["volumes"]
    asked = yard.ask(ONE)
    yard.work()
    assert yard.server(asked).state == "active"
    yard.check()


def test_its_beginning_and_end_are_journalled_and_the_office_is_told_once(yard: Yard) -> None:
    yard.ask(ONE)
    yard.work()
    break_cinder(yard)
    yard.region.inject(Fault.refused, operation="set_quota.cinder")
    with pytest.raises(ExceptionGroup):
        tasks.push_quotas()
    tasks.push_quotas()
    with reading(yard.engine) as session:
        acts = JournalEntry.act.in_(("quota.inconsistent", "quota.consistent"))
        rows = session.scalars(select(JournalEntry).where(acts).order_by(JournalEntry.id)).all()
        [notice] = session.scalars(select(Notice).where(Notice.code == "quota_inconsistent"))
    assert [(one.act, one.bureau_id) for one in rows] == [
        ("quota.inconsistent", yard.hall.town),
        ("quota.consistent", yard.hall.town),
    ]
    assert (notice.role, notice.bureau_id) == ("operator", yard.hall.city)
    assert "Cinder" in notice.facts["list_zh"]


def test_releasing_and_shrinking_work_meanwhile_and_growing_does_not(yard: Yard) -> None:
    released, shrunk = yard.ask(ONE), yard.ask(replace(ONE, flavor=BIGGER))
    yard.work()
    break_cinder(yard)
    grown = yard.server(released)
    with pytest.raises(QuotaInconsistent):
        yard.ask(LineAsked(count=1, target_id=grown.id, flavor=BIGGER), kind="resize")
    yard.region.inject(Fault.refused, operation="set_quota.cinder", count=None)
    yard.ask(LineAsked(count=1, target_id=yard.server(shrunk).id, flavor=FLAVOR), kind="resize")
    in_town(yard, release_server, server_id=grown.id)
    yard.work()
    assert yard.server(released).state == "released"
    assert (yard.server(shrunk).state, yard.server(shrunk).flavor) == ("active", FLAVOR)
    assert account_of(yard).inconsistent_at is not None
    yard.check()


def test_a_server_whose_push_fails_in_part_waits_unbuilt_and_is_built_later(yard: Yard) -> None:
    yard.region.inject(Fault.refused, operation="set_quota.neutron", count=2)
    asked = yard.ask(ONE)
    with pytest.raises(QuotaInconsistent):
        push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    yard.work(rounds=1)
    waits = yard.server(asked)
    assert (waits.state, yard.cloud.list_servers()) == ("pending", [])
    assert "Neutron" in (waits.fault or {})["zh"]
    assert yard.region.pending() == 1, "the visit left alone what was pushed just now"
    yard.work()
    assert (yard.server(asked).state, yard.server(asked).fault) == ("active", None)
    assert account_of(yard).inconsistent_at is None
    yard.check()


def test_a_bureau_without_a_project_yet_claims(yard: Yard) -> None:
    yard.region.inject(Fault.down, operation="ensure_project")
    claim(yard, "first")
    with pytest.raises(Exception, match="ensure_project"):
        push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    assert account_of(yard).inconsistent_at is None
    claim(yard, "second")


def test_one_that_is_granted_what_the_cloud_still_holds_heals_too(yard: Yard) -> None:
    yard.ask(ONE)
    yard.work()
    break_cinder(yard, fault=Fault.refused)
    grant(
        yard, Limits.parse({**LESS.document(), "volumes": ROOM["volumes"], "volume_gib": ROOM["volume_gib"]})
    )
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [yard.hall.town]
    tasks.push_quotas()
    claim(yard, "again")


@pytest.mark.parametrize(("fault", "pushed"), [(Fault.refused, True), (Fault.down, False)])
def test_a_service_that_says_no_to_one_bureau_starves_no_other(
    yard: Yard, fault: Fault, pushed: bool
) -> None:
    """One that does not answer would cost each bureau a time-out: the others wait for the next push."""
    for bureau_id in (yard.hall.county, yard.hall.town):
        push_quota(yard.engine, yard.cloud, bureau_id=bureau_id, at=yard.at)
    grant(yard, LESS)
    grant(yard, LESS, yard.hall.county)
    yard.region.inject(fault, operation="set_quota.cinder")
    with pytest.raises(ExceptionGroup, match="1 of "):
        tasks.push_quotas()
    town = yard.cloud.get_quota(yard.project_of(yard.hall.town))
    assert (town["volumes"] == LESS["volumes"]) is pushed
    tasks.push_quotas()
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == []
