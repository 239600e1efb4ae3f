"""What a cloud has and no record is removed by a case; what is recorded never is, whoever comes at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from approval.queries import get_case
from infra.database import reading, transaction
from infra.errors import SijiError
from infra.journal import JournalEntry
from provisioning.cloud.simulated import Fault
from provisioning.errors import BeingRemoved, RequestInvalid, RequestOutdated, StillRecorded
from provisioning.models import Finding, Server
from provisioning.pace import REFUSALS_BORNE, VISIT_LASTS
from provisioning.queries import find_removal_request, get_request
from provisioning.quota import Limits, Resources
from provisioning.service.asking import LineAsked
from provisioning.service.audits import audit_region
from provisioning.service.looking import look_at_request
from provisioning.service.removal_visit import Outcome
from provisioning.service.removals import settle_removal, take_removal, visit
from provisioning.service.requests import decide_request, submit_request
from tests.service.adopting import adoption, build
from tests.service.removing import ask_removal, audit, removal, removals, states, work_removals
from tests.waiting import held_up
from tests.yard import LINE, Yard, make_spring_yard


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path) -> Yard:
    return make_spring_yard(request.getfixturevalue(request.param), tmp_path)


@pytest.fixture
def postgres(database: Engine, tmp_path: Path) -> Yard:
    return make_spring_yard(database, tmp_path)


def address(yard: Yard, *, leads_to: str | None = None) -> str:
    project = yard.region.make_project(name="old-net")
    yard.cloud.set_quota(project, Limits.unlimited())
    made = yard.cloud.create_address(tag="x", project_id=project)
    with yard.region.store.writing() as db:
        db.execute("UPDATE addresses SET tag = NULL")
    if leads_to is not None:
        yard.cloud.associate_address(made.id, server_id=leads_to)
    return made.id


def own_server(yard: Yard) -> Server:
    """One that is recorded, with a volume."""
    asked = yard.ask(LineAsked(count=1, flavor=LINE.flavor, image=LINE.image, volume_gib=10))
    yard.work()
    return yard.server(asked)


class TestThings:
    def test_a_server_is_kept_as_a_snapshot_and_its_finding_is_settled(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        request_id = ask_removal(yard, one)
        assert states(yard) == ["checking"]
        work_removals(yard)
        assert (states(yard), yard.request(request_id).state) == (["removed"], "closed")
        assert yard.cloud.list_servers() == []
        [kept] = [image for image in yard.cloud.list_images() if image.tag]
        assert (kept.name, kept.tag) == ("stray-last", f"{removals(yard)[0].tag}-last")
        assert yard.told("request_done") == [(yard.hall.applicant, None)]
        with reading(yard.engine) as session:
            [finding] = session.scalars(select(Finding))
            assert finding.ended_at is not None
            acts = session.scalars(select(JournalEntry.act).order_by(JournalEntry.id)).all()
        assert [act for act in acts if act.startswith(("removal.", "finding."))] == [
            "finding.open",
            "removal.checking",
            "removal.deleting",
            "finding.end",
            "removal.removed",
        ]
        assert audit(yard) == {}

    def test_a_server_goes_with_its_volume_and_the_address_that_leads_to_it(self, yard: Yard) -> None:
        [one] = build(yard, "stray")
        [disk] = [volume.id for volume in yard.cloud.list_volumes()]
        where = address(yard, leads_to=one)
        ask_removal(yard, where, disk, one)
        work_removals(yard)
        assert states(yard) == ["removed"] * 3
        assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
        assert yard.cloud.list_addresses() == []
        assert audit(yard) == {}

    def test_a_server_in_error_goes_without_a_snapshot(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        with yard.region.store.writing() as db:
            db.execute("UPDATE servers SET status = 'ERROR', fault = 'the disk is gone'")
        ask_removal(yard, one)
        work_removals(yard)
        assert (states(yard), yard.cloud.list_servers()) == (["removed"], [])

    def test_one_that_somebody_deletes_meanwhile_is_settled_too(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        request_id = ask_removal(yard, one)
        yard.cloud.delete_server(one)
        work_removals(yard)
        assert (states(yard), yard.request(request_id).state) == (["removed"], "closed")

    def test_an_audit_whose_listing_is_older_finds_nothing_of_it(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        ask_removal(yard, one)
        shown = yard.cloud.list_servers()
        work_removals(yard)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(yard.cloud), "list_servers", lambda *_, **__: shown)
            assert audit_region(yard.engine, yard.cloud, scope="servers", at=yard.at) == []


class TestAsking:
    def test_a_volume_of_a_server_that_stays_is_refused(self, yard: Yard) -> None:
        build(yard, "stray")
        [disk] = [volume.id for volume in yard.cloud.list_volumes()]
        with pytest.raises(RequestInvalid, match="attached to server stray"):
            yard.submit(removal(yard, disk))

    def test_only_open_findings_of_what_is_unrecorded(self, yard: Yard) -> None:
        server = own_server(yard)
        yard.cloud.stop_server(server.cloud_id or "")
        [one] = build(yard, "stray", disks=0)
        findings = audit(yard)
        wanted: dict[str, Any] = {"kind": "removal", "system_id": None, "end_on": None}
        with pytest.raises(RequestInvalid, match="not of an unrecorded"):
            yard.draft(
                LineAsked(finding_id=findings[server.cloud_id or ""]), bureau_id=yard.hall.town, **wanted
            )
        with pytest.raises(RequestInvalid, match="of another region or bureau"):
            yard.draft(LineAsked(finding_id=findings[one]), bureau_id=yard.hall.town, **wanted)
        with pytest.raises(RequestInvalid, match="names a finding alone"):
            yard.draft(LineAsked(finding_id=findings[one], count=2), bureau_id=yard.hall.city, **wanted)
        with pytest.raises(RequestInvalid, match="names a finding alone"):
            yard.draft(LineAsked(), bureau_id=yard.hall.city, **wanted)
        with pytest.raises(RequestInvalid):
            yard.draft(LineAsked(finding_id=findings[one]), kind="release", end_on=None)
        yard.cloud.delete_server(one)
        audit(yard)
        with pytest.raises(RequestInvalid, match="is over"):
            yard.draft(LineAsked(finding_id=findings[one]), bureau_id=yard.hall.city, **wanted)

    def test_what_is_handed_in_already_is_not_asked_for_twice(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        first, second = removal(yard, one), removal(yard, one)
        third = adoption(yard, one)
        yard.submit(first)
        with reading(yard.engine) as session:
            named = find_removal_request(session, audit(yard)[one])
        assert named is not None
        for request_id in (second, third):
            with pytest.raises(RequestInvalid, match="being adopted or removed"):
                yard.submit(request_id)

    def test_nothing_is_decided_before_somebody_looked_nor_once_the_finding_is_over(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        request_id = yard.draft(
            LineAsked(finding_id=audit(yard)[one]),
            kind="removal",
            system_id=None,
            bureau_id=yard.hall.city,
            end_on=None,
        )
        yard.submit(request_id)
        with pytest.raises(RequestOutdated, match="has not been asked about"):
            yard.approve(request_id)
        look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
        yard.cloud.delete_server(one)
        audit(yard)
        with pytest.raises(RequestOutdated, match="is over"):
            yard.decide(request_id)


class TestNothingIsDone:
    """Where it is not as it was decided on, and its applicant is told."""

    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE servers SET name = 'renamed'",
            "UPDATE servers SET tag = 'mine'",
            "UPDATE servers SET flavor = 'yard-c4'",
        ],
    )
    def test_one_that_has_changed(self, yard: Yard, change: str) -> None:
        [one] = build(yard, "stray", disks=0)
        request_id = ask_removal(yard, one)
        with yard.region.store.writing() as db:
            db.execute(change)
        work_removals(yard)
        assert (states(yard), yard.request(request_id).state) == (["failed"], "failed")
        assert len(yard.cloud.list_servers()) == 1
        assert [image for image in yard.cloud.list_images() if image.tag] == []
        assert yard.told("thing_not_removed") == [(yard.hall.applicant, None)]
        work_removals(yard)

    def test_one_to_which_a_recorded_volume_was_attached(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        ask_removal(yard, one)
        own = own_server(yard)
        yard.cloud.detach_volume(yard.cloud.list_volumes()[0].id)
        yard.later(seconds=1)
        yard.cloud.list_volumes()
        with yard.region.store.writing() as db:
            db.execute("UPDATE volumes SET status = 'in-use', server_id = ?", (one,))
        work_removals(yard)
        assert states(yard) == ["failed"]
        [fault] = [found.fault for found in removals(yard)]
        assert fault is not None
        assert own.name in fault["en"]
        assert one in {server.id for server in yard.cloud.list_servers()}

    def test_an_address_that_leads_to_a_recorded_server_by_now(self, yard: Yard) -> None:
        where = address(yard)
        ask_removal(yard, where)
        yard.cloud.associate_address(where, server_id=own_server(yard).cloud_id)
        work_removals(yard)
        assert (states(yard), len(yard.cloud.list_addresses())) == (["failed"], 1)

    def test_snapshots_that_all_fail(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        yard.region.inject(Fault.ends_in_error, operation="snapshot_server", count=None)
        ask_removal(yard, one)
        work_removals(yard)
        assert (states(yard), len(yard.cloud.list_servers())) == (["failed"], 1)

    def test_a_refusal(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        yard.region.inject(Fault.refused, operation="snapshot_server")
        ask_removal(yard, one)
        work_removals(yard)
        assert states(yard) == ["failed"]
        ask_removal(yard, one)
        work_removals(yard)
        assert states(yard) == ["failed", "removed"]


class TestKilled:
    def test_a_worker_killed_in_any_visit_leaves_it_to_be_done(self, yard: Yard) -> None:
        [one] = build(yard, "stray")
        [disk] = [volume.id for volume in yard.cloud.list_volumes()]
        yard.region.inject(Fault.timed_out_but_done, operation="delete_server")
        yard.region.inject(Fault.timed_out_but_done, operation="snapshot_server")
        ask_removal(yard, one, disk)
        for number in range(12):
            for found in removals(yard):
                with transaction(yard.engine) as session:
                    work = take_removal(session, removal_id=found.id, at=yard.at)
                if work is None:
                    continue
                outcome = visit(yard.cloud, work)
                if number % 2:
                    with transaction(yard.engine) as session:
                        settle_removal(session, work, outcome, at=yard.at)
            yard.later(seconds=VISIT_LASTS.total_seconds() + 1)
        work_removals(yard)
        assert states(yard) == ["removed"] * 2
        assert (yard.cloud.list_servers(), yard.cloud.list_volumes()) == ([], [])
        assert len([image for image in yard.cloud.list_images() if image.tag]) == 1

    def test_a_visit_that_ends_after_another_settles_nothing(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        ask_removal(yard, one)
        [found] = removals(yard)
        with transaction(yard.engine) as session:
            late = take_removal(session, removal_id=found.id, at=yard.at)
        assert late is not None
        with yard.region.store.writing() as db:
            db.execute("UPDATE servers SET name = 'renamed'")
        yard.later(seconds=60)
        work_removals(yard)
        with transaction(yard.engine) as session:
            assert settle_removal(session, late, Outcome("done", now=late.decided), at=yard.at) is False
        assert states(yard) == ["failed"]

    def test_a_snapshot_that_takes_an_hour_is_waited_for(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        ask_removal(yard, one)
        yard.region.inject(Fault.slow, operation="snapshot_server", seconds=3600.0)
        work_removals(yard, rounds=200)
        assert (states(yard), yard.cloud.list_servers()) == (["removed"], [])

    def test_one_that_the_cloud_does_not_let_go_is_told_to_the_office_and_waits(self, yard: Yard) -> None:
        [one] = build(yard, "stray", disks=0)
        ask_removal(yard, one)
        yard.region.inject(Fault.refused, operation="delete_server", count=REFUSALS_BORNE + 3)
        work_removals(yard)
        assert yard.told("removal_stuck") == [("operator", yard.hall.city)]
        yard.work()
        work_removals(yard, rounds=200)
        assert (states(yard), yard.cloud.list_servers()) == (["removed"], [])


def both_submitted(yard: Yard, cloud_id: str) -> tuple[int, int]:
    """An adoption and a removal of the same server, handed in at once and reviewed; the last step waits."""
    ids = (adoption(yard, cloud_id), removal(yard, cloud_id))
    with transaction(yard.engine) as one, transaction(yard.engine) as other:
        for session, request_id in zip((one, other), ids, strict=True):
            submit_request(session, request_id=request_id, person_id=yard.hall.applicant, at=yard.at)
            session.flush()
    for request_id in ids:
        while yard.decide(request_id).next_step != "verify":
            pass
    return ids


def verify_in(session: Session, yard: Yard, request_id: int) -> None:
    """The last step, in a transaction of the caller's."""
    case = get_case(session, get_request(session, request_id).case_id or 0)
    decide_request(
        session,
        request_id=request_id,
        step_key="verify",
        person_id=yard.hall.operators[1],
        decision="approve",
        revision_seen=case.revision,
        at=yard.at,
    )


class TestRaces:
    """Adoption and removal of the same: one wins, and what is recorded is there."""

    @pytest.mark.parametrize("first", ["adoption", "removal"])
    def test_whoever_is_verified_first_has_it(self, postgres: Yard, first: str) -> None:
        yard = postgres
        [one] = build(yard, "stray")
        adopting, removing = both_submitted(yard, one)
        winner, loser = (adopting, removing) if first == "adoption" else (removing, adopting)
        yard.decide(winner)
        with pytest.raises((BeingRemoved, StillRecorded, RequestOutdated)):
            yard.decide(loser)
        yard.work()
        work_removals(yard)
        there = [server.id for server in yard.cloud.list_servers()]
        assert there == ([one] if first == "adoption" else [])

    def test_the_second_waits_for_the_first_and_sees_it(self, postgres: Yard) -> None:
        yard = postgres
        [one] = build(yard, "stray")
        adopting, removing = both_submitted(yard, one)
        told: list[SijiError] = []

        def decide(request_id: int) -> None:
            try:
                yard.decide(request_id)
            except SijiError as refusal:
                told.append(refusal)

        with held_up(yard.engine, lambda: decide(adopting)) as session:
            verify_in(session, yard, removing)
        assert [type(one) for one in told] == [BeingRemoved]
        yard.work()
        work_removals(yard)
        assert (states(yard), yard.cloud.list_servers()) == (["removed"], [])
        assert yard.held() == Resources()

    @pytest.mark.parametrize("number", range(6))
    def test_of_both_at_once_one_wins_and_nothing_recorded_is_gone(self, postgres: Yard, number: int) -> None:
        yard = postgres
        [one] = build(yard, "stray")
        both = both_submitted(yard, one)
        start = Barrier(4)

        def at_once(act: Callable[[], object]) -> bool:
            start.wait()
            try:
                act()
            except SijiError:
                return False
            return True

        acts: list[Callable[[], object]] = [
            lambda: yard.decide(both[number % 2]),
            lambda: yard.decide(both[1 - number % 2]),
            lambda: work_removals(yard, rounds=3),
            lambda: work_removals(yard, rounds=3),
        ]
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(at_once, acts))
        assert sorted(done[:2]) == [False, True]
        yard.work()
        work_removals(yard)
        there = {server.id for server in yard.cloud.list_servers()}
        with reading(yard.engine) as session:
            recorded = set(session.scalars(select(Server.cloud_id)))
        assert recorded == there
        assert (states(yard) == ["removed"]) == (there == set())
        yard.check()
