"""Requests from draft to confirmation: who decides, what is claimed when, what is refused and why."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Delete, Engine, Update, delete, select, update

from approval.errors import SamePerson
from approval.models import Notice
from identity.models import System
from identity.service.systems import transfer_system
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import Stale
from infra.journal import JournalEntry
from provisioning.errors import (
    NotTheApplicant,
    QuotaExceeded,
    RequestInvalid,
    RequestOutdated,
    RequestState,
)
from provisioning.models import RegionFlavor, RegionImage, Server
from provisioning.queries import find_lease, get_request
from provisioning.quota import Limits, Resources
from provisioning.service.accounts import find_account
from provisioning.service.asking import LineAsked
from provisioning.service.requests import (
    confirm_request,
    decide_request,
    draft_request,
    edit_request,
    withdraw_request,
)
from tests.factories import LONG_AGO
from tests.statements import statements
from tests.waiting import held_up
from tests.yard import BIGGER, LINE, REGION, ROOM, Yard, make_yard

TWO = Resources.of(servers=2, vcpus=4, ram_mib=8192, root_gib=80, volumes=2, volume_gib=200)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


def test_a_draft_is_for_the_bureau_whose_the_system_is_once_the_tree_stands_still(yard: Yard) -> None:
    with transaction(yard.engine) as session:
        system = session.get_one(System, yard.system_id)
        assert system.bureau_id == yard.hall.town
        with transaction(yard.engine) as meanwhile:
            transfer_system(
                meanwhile,
                system_id=yard.system_id,
                bureau_id=yard.hall.county,
                at=yard.at,
                actor="person:1",
                guards=[],
            )
        drafted = draft_request(
            session,
            kind="servers",
            applicant_id=yard.hall.applicant,
            region=REGION,
            purpose="统一预约挂号",
            at=yard.at,
            system_id=yard.system_id,
            end_on=yard.end_on,
            lines=[LINE],
        )
        assert (drafted.bureau_id, system.bureau_id) == (yard.hall.county, yard.hall.county)


def test_a_draft_waits_for_a_transfer_of_its_system(yard: Yard) -> None:
    drafted: list[int] = []
    with held_up(yard.engine, lambda: drafted.append(yard.draft(LINE))) as session:
        transfer_system(
            session,
            system_id=yard.system_id,
            bureau_id=yard.hall.county,
            at=yard.at,
            actor="person:1",
            guards=[],
        )
    with reading(yard.engine) as session:
        assert get_request(session, drafted[0]).bureau_id == yard.hall.county


@pytest.mark.parametrize("engine", ["database", "sqlite_database"])
def test_the_whole_way_of_a_request(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, at: datetime
) -> None:
    yard = make_yard(request.getfixturevalue(engine), tmp_path, at=at)
    asked = yard.draft(LINE, kind="new_system")
    assert yard.submit(asked) == []
    assert yard.held() == Resources()
    assert yard.approve(asked) == ["accept", "first_review", "review", "verify"]
    assert yard.held() == TWO
    assert yard.cloud.list_servers() == []
    yard.work()
    assert yard.request(asked).state == "confirming"
    built = {server.tag: server for server in yard.cloud.list_servers()}
    rows = yard.servers(asked)
    assert [row.state for row in rows] == ["active", "active"]
    assert {row.tag: row.cloud_id for row in rows} == {tag: server.id for tag, server in built.items()}
    assert {server.zone for server in built.values()} == {"extranet"}
    attached = [(volume.size_gib, volume.status) for volume in yard.cloud.list_volumes()]
    assert attached == [(100, "in-use")] * 2
    with transaction(yard.engine) as session:
        assert confirm_request(
            session, request_id=asked, person_id=yard.hall.applicant, at=yard.at
        ).state == ("active")
        lease = find_lease(session, rows[0].id)
        assert lease is not None
        assert lease.end_on == yard.end_on
    assert yard.held() == TWO
    yard.check()
    with reading(yard.engine) as session:
        acts = set(session.scalars(select(JournalEntry.act)))
        told = set(session.scalars(select(Notice.code)))
    assert {"request.draft", "request.submit", "request.decide", "server.active", "request.confirm"} <= acts
    assert "request_to_confirm" in told


def test_a_unit_under_no_county_has_no_first_review(yard: Yard) -> None:
    with transaction(yard.engine) as session:
        session.get_one(System, yard.system_id).bureau_id = yard.hall.city
    asked = yard.draft(LINE)
    yard.submit(asked)
    assert yard.approve(asked) == ["accept", "review", "verify"]


def test_missing_quota_warns_at_submission_and_refuses_at_verification(
    database: Engine, tmp_path: Path, at: datetime
) -> None:
    room = Limits.parse({**ROOM.document(), "vcpus": 3, "volumes": 1})
    yard = make_yard(database, tmp_path, at=at, room=room)
    asked = yard.draft(LINE)
    assert [(one["dimension"], one["limit"], one["asked"]) for one in yard.submit(asked)] == [
        ("vcpus", 3, 4),
        ("volumes", 1, 2),
    ]
    with pytest.raises(QuotaExceeded) as refused:
        yard.approve(asked)
    assert [one["dimension"] for one in refused.value.facts["shortfalls"]] == ["vcpus", "volumes"]
    assert yard.request(asked).state == "submitted"
    assert yard.servers(asked) == []
    assert yard.held() == Resources()
    yard.check()


def test_the_reviewer_cannot_verify_and_the_applicant_alone_confirms(yard: Yard) -> None:
    asked = yard.draft(LINE)
    yard.submit(asked)
    for _ in ("accept", "first_review", "review"):
        yard.decide(asked)
    with pytest.raises(SamePerson), transaction(yard.engine) as session:
        decide_request(
            session,
            request_id=asked,
            step_key="verify",
            person_id=yard.hall.operators[0],
            decision="approve",
            revision_seen=1,
            at=yard.at,
        )
    yard.decide(asked)
    with pytest.raises(RequestState), transaction(yard.engine) as session:
        confirm_request(session, request_id=asked, person_id=yard.hall.applicant, at=yard.at)
    with pytest.raises(NotTheApplicant), transaction(yard.engine) as session:
        confirm_request(session, request_id=asked, person_id=yard.hall.operators[0], at=yard.at)


def test_an_edit_voids_approvals_and_an_old_revision_is_stale(yard: Yard) -> None:
    asked = yard.draft(LINE)
    yard.submit(asked)
    yard.decide(asked)
    yard.decide(asked)
    with transaction(yard.engine) as session:
        outcome = edit_request(
            session,
            request_id=asked,
            person_id=yard.hall.applicant,
            revision_seen=1,
            at=yard.at,
            lines=[replace(LINE, count=1)],
        )
    assert (outcome.revision, outcome.next_step) == (2, "first_review")
    with pytest.raises(Stale), transaction(yard.engine) as session:
        decide_request(
            session,
            request_id=asked,
            step_key="first_review",
            person_id=yard.hall.county_reviewer,
            decision="approve",
            revision_seen=1,
            at=yard.at,
        )
    yard.approve(asked)
    assert len(yard.servers(asked)) == 1


def test_a_refused_and_a_withdrawn_request_hold_nothing(yard: Yard) -> None:
    refused, withdrawn = yard.draft(LINE), yard.draft(LINE)
    yard.submit(refused)
    yard.submit(withdrawn)
    yard.decide(refused, "refuse", "用途不明")
    with transaction(yard.engine) as session:
        withdraw_request(session, request_id=withdrawn, person_id=yard.hall.applicant, at=yard.at)
    assert [yard.request(one).state for one in (refused, withdrawn)] == ["refused", "withdrawn"]
    assert yard.held() == Resources()


@pytest.mark.parametrize(
    ("line", "wishes", "why"),
    [
        (replace(LINE, flavor="none"), {}, "no flavor none"),
        (replace(LINE, count=0), {}, "count or volume size of line 1"),
        (LINE, {"zone": "internet"}, "network zone is not extranet"),
        (LINE, {"purpose": " "}, "purpose"),
        (LINE, {"kind": "gift"}, "no kind gift"),
        (LineAsked(), {"kind": "release"}, "does not name one server"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(
    yard: Yard, line: LineAsked, wishes: dict[str, Any], why: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        yard.draft(line, **wishes)
    assert why in refused.value.message("en")


def test_an_end_that_is_past_is_refused(yard: Yard) -> None:
    with pytest.raises(RequestInvalid) as refused:
        yard.draft(LINE, end_on=city_date(yard.at) - timedelta(days=1))
    assert "end date" in refused.value.message("en")


def test_a_lease_that_is_over_is_not_verified_and_the_case_can_be_returned(yard: Yard) -> None:
    soon, later = city_date(yard.at) + timedelta(days=1), city_date(yard.at) + timedelta(days=90)
    asked = yard.draft(replace(LINE, count=1), end_on=soon)
    yard.submit(asked)
    for _ in ("accept", "first_review", "review"):
        yard.decide(asked)
    yard.later(days=39)
    with pytest.raises(RequestOutdated) as refused:
        yard.decide(asked)
    assert f"截止日期 {soon} 已过" in refused.value.message("zh")
    assert f"its end date {soon} is past" in refused.value.message("en")
    assert (yard.request(asked).state, yard.servers(asked)) == ("submitted", [])
    yard.decide(asked, "return", "截止日期已过")
    with transaction(yard.engine) as session:
        edit_request(
            session,
            request_id=asked,
            person_id=yard.hall.applicant,
            revision_seen=1,
            at=yard.at,
            end_on=later,
        )
    yard.approve(asked)
    assert yard.request(asked).state == "provisioning"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (update(System).values(retired_at=LONG_AGO), "is retired"),
        (update(System).values(zone="internet"), "network zone"),
        (update(RegionImage).values(min_ram_mib=1_000_000), "smaller than image"),
        (delete(RegionFlavor), "no flavor"),
    ],
)
def test_what_changed_since_the_submission_is_refused_at_the_verification(
    yard: Yard, change: Update | Delete, why: str
) -> None:
    asked = yard.draft(LINE)
    yard.submit(asked)
    for _ in ("accept", "first_review", "review"):
        yard.decide(asked)
    with transaction(yard.engine) as session:
        session.execute(change)
    with pytest.raises(RequestOutdated, match=why):
        yard.decide(asked)
    assert yard.decide(asked, "refuse", "不再符合要求").outcome == "refused"
    assert yard.held() == Resources()


def test_a_verification_costs_the_same_however_many_servers_it_builds(yard: Yard) -> None:
    costs = []
    for count in (2, 60):
        asked = yard.draft(replace(LINE, count=count), replace(LINE, count=count))
        yard.submit(asked)
        for _ in ("accept", "first_review", "review"):
            yard.decide(asked)
        with statements(yard.engine) as said:
            yard.decide(asked)
        costs.append(len(said))
        assert len(yard.servers(asked)) == 2 * count
    assert costs[0] == costs[1]
    yard.check()


def test_a_quota_change_is_granted_by_the_verification(yard: Yard) -> None:
    less = Limits.of(servers=5, vcpus=10)
    asked = yard.ask(kind="quota_change", limit=less, system_id=None, bureau_id=yard.hall.town)
    assert yard.request(asked).state == "closed"
    with reading(yard.engine) as session:
        account = find_account(session, region=REGION, bureau_id=yard.hall.town)
        assert account is not None
        assert account.limit == less


def test_a_resize_holds_the_larger_size_until_the_cloud_has_it(yard: Yard) -> None:
    built = yard.ask(replace(LINE, count=1))
    yard.work()
    server = yard.server(built)
    asked = yard.ask(LineAsked(target_id=server.id, flavor=BIGGER), kind="resize")
    assert yard.held()["vcpus"] == 4
    yard.work()
    server = yard.server(built)
    assert (server.state, server.flavor, server.amounts["vcpus"]) == ("active", BIGGER, 4)
    assert yard.cloud.list_servers()[0].flavor == BIGGER
    assert yard.request(asked).state == "confirming"
    smaller = yard.ask(LineAsked(target_id=server.id, flavor="yard-c2"), kind="resize")
    assert yard.held()["vcpus"] == 4
    yard.work()
    assert yard.held()["vcpus"] == 2
    assert yard.request(smaller).state == "confirming"
    yard.check()


def test_more_volumes_extension_and_release(yard: Yard) -> None:
    built = yard.ask(replace(LINE, count=1))
    yard.work()
    server = yard.server(built)
    more = yard.ask(LineAsked(target_id=server.id, volume_gib=50), kind="volumes")
    yard.work()
    assert yard.request(more).state == "confirming"
    assert sorted(volume.size_gib for volume in yard.cloud.list_volumes()) == [50, 100]
    longer = yard.end_on + timedelta(days=365)
    extended = yard.ask(LineAsked(target_id=server.id), kind="extension", end_on=longer)
    assert yard.request(extended).state == "closed"
    with reading(yard.engine) as session:
        lease = find_lease(session, server.id)
        assert lease is not None
        assert lease.end_on == longer
    released = yard.ask(LineAsked(target_id=server.id), kind="release", end_on=None)
    assert yard.held() == Resources.of(
        servers=1, vcpus=2, ram_mib=4096, root_gib=40, volumes=2, volume_gib=150
    )
    yard.work()
    assert yard.request(released).state == "closed"
    assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
    assert yard.held() == Resources()
    with reading(yard.engine) as session:
        assert session.get_one(Server, server.id).state == "released"
    yard.check()
