"""A system that changes hands takes its servers and open requests along, and leaves what has ended."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update

from approval.queries import get_case
from identity.models import Bureau, BureauVersion, System
from identity.service.reorganise import merge
from identity.service.systems import transfer_system
from infra.database import reading, transaction
from infra.journal import JournalEntry
from portal.guards import SYSTEM_GUARDS
from provisioning.cloud.simulated import Fault
from provisioning.models import Allocation, Server
from provisioning.queries import find_lease, list_servers
from provisioning.quota import Limits, Resources
from provisioning.service import visits
from provisioning.service.asking import LineAsked
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.grants import grant_quota
from provisioning.service.recount import Difference, recount
from provisioning.service.requests import confirm_request
from provisioning.service.servers import release_server, retry_server
from provisioning.service.visits import REBUILDS_AT_MOST
from tests.factories import LONG_AGO, make_bureau
from tests.yard import BIGGER, LINE, REGION, Yard, make_yard

ROOM = Limits.of(servers=10, vcpus=40, ram_mib=100_000, root_gib=1_000, volume_gib=2_000, volumes=10)
ONE = replace(LINE, count=1)


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Yard:
    engine: Engine = request.getfixturevalue(request.param)
    return make_yard(engine, tmp_path, at=at, room=ROOM)


def hand_over(yard: Yard, to: int) -> None:
    with transaction(yard.engine) as session:
        transfer_system(
            session,
            system_id=yard.system_id,
            bureau_id=to,
            at=yard.at,
            actor="person:1",
            guards=SYSTEM_GUARDS,
        )


def seen_by(yard: Yard, bureau_id: int) -> list[int]:
    with reading(yard.engine) as session:
        return [server.id for server in list_servers(session, bureau_ids=[bureau_id])]


def test_servers_and_open_requests_follow_and_go_on(yard: Yard) -> None:
    old, new = yard.hall.town, yard.hall.county
    done, asked, waiting = yard.ask(ONE), yard.ask(ONE), yard.draft(ONE)
    yard.submit(waiting)
    yard.work()
    with transaction(yard.engine) as session:
        confirm_request(session, request_id=done, person_id=yard.hall.applicant, at=yard.at)
    mine = [server.id for request in (done, asked) for server in yard.servers(request)]
    assert (seen_by(yard, old), seen_by(yard, new)) == (mine, [])
    hand_over(yard, new)
    assert (seen_by(yard, old), seen_by(yard, new)) == ([], mine)
    assert [yard.request(one).bureau_id for one in (done, asked, waiting)] == [old, new, new]
    with reading(yard.engine) as session:
        cases = [
            get_case(session, yard.request(one).case_id or 0).bureau_id for one in (done, asked, waiting)
        ]
        told = session.scalars(select(JournalEntry).where(JournalEntry.act == "server.transfer")).one()
        assert told.after == {"bureau_id": new, "request_ids": [asked, waiting], "server_ids": mine}
    assert cases == [old, old, new]
    yard.check()
    yard.approve(waiting)
    yard.work()
    yard.ask(LineAsked(volume_gib=5, target_id=mine[0]), kind="volumes")
    yard.work()
    yard.ask(LineAsked(flavor=BIGGER, target_id=mine[0]), kind="resize")
    yard.work()
    [first, second] = (server for request in (done, waiting) for server in yard.servers(request))
    assert [(one.state, one.flavor) for one in (first, second)] == [
        ("active", BIGGER),
        ("active", LINE.flavor),
    ]
    projects = {one.tag: one.project_id for one in yard.cloud.list_servers()}
    assert projects[first.tag] == yard.project_of(old)
    assert projects[second.tag] == yard.project_of(new)
    yard.check()
    with transaction(yard.engine) as session:
        release_server(session, server_id=first.id, at=yard.at, actor="person:1")
    yard.work()
    with reading(yard.engine) as session:
        lease = find_lease(session, first.id)
        assert lease is not None
        assert lease.ended_at is not None
    yard.check()


def test_what_stays_in_the_old_project_takes_no_room_of_its_bureau(yard: Yard) -> None:
    old, new = yard.hall.town, yard.hall.county
    yard.ask(replace(LINE, count=6))
    yard.work()
    hand_over(yard, new)
    with transaction(yard.engine) as session:
        fresh = System(
            code="SYS-2", name="门户", bureau_id=old, mlps_grade=2, zone="extranet", created_at=yard.at
        )
        session.add(fresh)
        session.flush()
        system_id = fresh.id
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [old]
    asked = yard.ask(replace(LINE, count=10), system_id=system_id)
    yard.work()
    assert {server.state for server in yard.servers(asked)} == {"active"}
    quota = yard.cloud.get_quota(yard.project_of(old))
    assert (quota["servers"], quota["volume_gib"]) == (16, 2_600)
    yard.check()


def test_a_system_handed_back_is_no_guest(yard: Yard) -> None:
    old, new = yard.hall.town, yard.hall.county
    asked = yard.ask(ONE)
    yard.work()
    hand_over(yard, new)
    assert [server.project_bureau_id for server in yard.servers(asked)] == [old]
    hand_over(yard, old)
    assert [server.project_bureau_id for server in yard.servers(asked)] == [None]
    push_quota(yard.engine, yard.cloud, bureau_id=old, at=yard.at)
    assert yard.cloud.get_quota(yard.project_of(old))["servers"] == ROOM["servers"]


def test_a_failed_server_is_built_anew_in_the_new_bureaus_project(yard: Yard) -> None:
    yard.region.inject(Fault.ends_in_error, operation="create_server", count=1 + REBUILDS_AT_MOST)
    failed = yard.server(yard.ask(ONE))
    yard.work()
    hand_over(yard, yard.hall.county)
    with transaction(yard.engine) as session:
        retry_server(session, server_id=failed.id, at=yard.at, actor="person:1")
    yard.work()
    [built] = yard.cloud.list_servers()
    assert built.project_id == yard.project_of(yard.hall.county)
    yard.check()


def test_a_server_that_is_cleaned_up_meanwhile_is_built_anew_in_the_new_bureaus_project(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "REBUILDS_AT_MOST", 0)
    yard.region.inject(Fault.ends_in_error, operation="create_server")
    yard.region.inject(Fault.down, operation="delete_server", count=2)
    asked = yard.ask(ONE)
    yard.work(rounds=2)
    assert yard.server(asked).state == "cleaning"
    hand_over(yard, yard.hall.county)
    assert yard.server(asked).fenced_by == yard.hall.town
    yard.work()
    failed = yard.server(asked)
    assert (failed.state, yard.cloud.list_servers(), yard.held()) == ("failed", [], Resources())
    with transaction(yard.engine) as session:
        retry_server(session, server_id=failed.id, at=yard.at, actor="person:1")
    yard.work()
    [built] = yard.cloud.list_servers()
    assert built.project_id == yard.project_of(yard.hall.county)
    yard.check()


def test_a_merger_takes_the_servers_to_the_successor(yard: Yard) -> None:
    with transaction(yard.engine) as session:
        town = session.get_one(Bureau, yard.hall.town)
        old = {name: getattr(town, name) for name in ("code", "name", "level", "parent_id")}
        session.add(BureauVersion(bureau_id=town.id, valid_from=LONG_AGO, **old))
        county = session.get_one(Bureau, yard.hall.county)
        heir = make_bureau(session, parent=county, code="H-1-2", level="county").id
        grant_quota(session, region=REGION, bureau_id=heir, limit=ROOM, at=yard.at, actor="person:1")
    asked, waiting = yard.ask(ONE), yard.draft(ONE)
    yard.submit(waiting)
    yard.work()
    with transaction(yard.engine) as session:
        merge(
            session,
            bureau_id=yard.hall.town,
            successor_id=heir,
            at=yard.at,
            actor="person:1",
            guards=[],
            system_guards=SYSTEM_GUARDS,
        )
    assert seen_by(yard, heir) == [server.id for server in yard.servers(asked)]
    assert [yard.request(one).bureau_id for one in (asked, waiting)] == [heir, heir]
    yard.approve(waiting)
    yard.work()
    assert [server.state for server in yard.servers(waiting)] == ["active"]
    yard.check()


def test_a_recount_names_a_server_that_another_bureau_pays_for(yard: Yard) -> None:
    server = yard.server(yard.ask(ONE))
    with transaction(yard.engine) as session:
        session.execute(update(Server).values(bureau_id=yard.hall.city))
    with reading(yard.engine) as session:
        assert recount(session) == [
            Difference(REGION, yard.hall.city, f"server:{server.id}", yard.hall.city, yard.hall.town)
        ]


def test_a_recount_names_a_server_of_which_another_bureau_pays_for_a_volume(yard: Yard) -> None:
    server = yard.server(yard.ask(ONE))
    of_volumes = Allocation.key.startswith("volume:")
    with transaction(yard.engine) as session:
        session.execute(update(Allocation).where(of_volumes).values(bureau_id=yard.hall.city))
    astray = Difference(REGION, yard.hall.town, f"server:{server.id}", yard.hall.town, yard.hall.city)
    with reading(yard.engine) as session:
        assert [one for one in recount(session) if one.counter == astray.counter] == [astray]


def test_a_recount_names_a_server_that_is_not_of_the_size_settled_for_it(yard: Yard) -> None:
    server = yard.server(yard.ask(ONE))
    other = server.amounts + Resources.of(vcpus=2)
    with transaction(yard.engine) as session:
        session.execute(update(Server).values(amounts=other))
    with reading(yard.engine) as session:
        assert recount(session) == []
    yard.work()
    with transaction(yard.engine) as session:
        session.execute(update(Server).values(amounts=other))
    with reading(yard.engine) as session:
        assert recount(session) == [
            Difference(
                REGION,
                yard.hall.town,
                f"server:{server.id}.amounts",
                other.document(),
                server.amounts.document(),
            )
        ]
