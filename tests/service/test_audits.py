"""Audits: what somebody did in the cloud past Siji is found, once, with its owner, and nothing is touched."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from infra.database import reading, transaction
from infra.journal import JournalEntry
from provisioning.cloud.driver import Retryable
from provisioning.cloud.observed import ServerStatus
from provisioning.cloud.simulated import Fault
from provisioning.comparison import Difference, Kind
from provisioning.errors import FindingOver, ReasonMissing
from provisioning.models import Allocation, Audit, Finding, PushedQuota, Server
from provisioning.queries import list_findings
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.audits import audit_region
from provisioning.service.fences import list_stale_fences, push_quota
from provisioning.service.findings import acknowledge_finding
from provisioning.service.servers import stop_server
from tests.yard import BIGGER, FLAVOR, IMAGE, REGION, Yard, make_yard


@pytest.fixture(params=["database", "sqlite_database"])
def yard(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Yard:
    engine: Engine = request.getfixturevalue(request.param)
    return make_yard(engine, tmp_path, at=at)


def audit(yard: Yard, scope: str = "servers") -> list[Difference]:
    found = audit_region(yard.engine, yard.cloud, scope=scope, at=yard.at)
    assert found is not None
    return found


def kinds(found: Sequence[Difference]) -> list[tuple[Kind, str]]:
    return sorted((one.kind, one.name) for one in found)


def findings(yard: Yard, **which: Any) -> Sequence[Finding]:
    with reading(yard.engine) as session:
        return list_findings(session, limit=None, **which)


def change(yard: Yard, statement: str, *values: object) -> None:
    """What no driver does: change the simulated region's own store."""
    with closing(sqlite3.connect(yard.region.store.path)) as db, db:
        db.execute(statement, values)


def built(yard: Yard, count: int = 3) -> list[Server]:
    asked = yard.ask(LineAsked(count=count, flavor=FLAVOR, image=IMAGE, volume_gib=10))
    yard.work()
    assert audit(yard) == []
    return list(yard.servers(asked))


def by_hand(yard: Yard, name: str = "by-hand", tag: str = "x") -> str:
    """A server that somebody made in the bureau's project; its id."""
    made = yard.cloud.create_server(
        tag=tag,
        project_id=yard.project_of(yard.hall.town),
        name=name,
        flavor=FLAVOR,
        image=IMAGE,
        zone="extranet",
    )
    change(yard, "UPDATE servers SET tag = ? WHERE id = ?", None if tag == "x" else tag, made)
    return made


def raise_quota(yard: Yard) -> None:
    yard.cloud.set_quota(yard.project_of(yard.hall.town), Limits.unlimited())


def test_everything_at_once(yard: Yard) -> None:
    one, two, three, four, five, six = built(yard, 6)
    raise_quota(yard)
    yard.later(minutes=5)
    made = by_hand(yard)
    yard.cloud.delete_server(one.cloud_id or "")
    yard.cloud.resize_server(two.cloud_id or "", flavor=BIGGER)
    yard.cloud.get_server(two.cloud_id or "")
    yard.cloud.confirm_resize(two.cloud_id or "")
    yard.cloud.resize_server(three.cloud_id or "", flavor=BIGGER)
    change(yard, "UPDATE servers SET status = 'SHELVED_OFFLOADED' WHERE id = ?", four.cloud_id)
    change(yard, "UPDATE servers SET tag = NULL WHERE id = ?", five.cloud_id)
    yard.cloud.stop_server(six.cloud_id or "")
    held = yard.held()
    found = audit(yard)
    assert kinds(found) == sorted(
        [
            (Kind.server_unrecorded, "by-hand"),
            (Kind.server_missing, one.name),
            (Kind.server_resized, two.name),
            (Kind.server_status, three.name),
            (Kind.server_status, four.name),
            (Kind.server_untagged, five.name),
            (Kind.server_status, six.name),
        ]
    )
    told = {one.name: one for one in found}
    assert told["by-hand"].cloud_id == made
    assert told[three.name].facts == {"recorded": "ACTIVE", "found": "VERIFY_RESIZE"}
    assert told[four.name].facts == {"recorded": "ACTIVE", "found": "SHELVED_OFFLOADED"}
    assert told[two.name].facts["found_vcpus"] == 4
    assert {one.bureau_id for one in found} == {yard.hall.town}
    assert yard.held() == held
    assert {one.id for one in yard.cloud.list_servers()} >= {made, five.cloud_id}
    assert yard.told("unrecorded_found") == [("operator", yard.hall.city)]


def test_a_finding_is_told_once_ages_and_ends(yard: Yard) -> None:
    [server] = built(yard, 1)
    yard.cloud.stop_server(server.cloud_id or "")
    first = yard.at
    audit(yard)
    yard.later(hours=2)
    audit(yard)
    [found] = findings(yard)
    assert (found.first_seen_at, found.last_seen_at) == (first, yard.at)
    assert len(yard.told("findings")) == 1
    yard.cloud.start_server(server.cloud_id or "")
    yard.later(hours=1)
    assert audit(yard) == []
    assert findings(yard) == []
    [over] = findings(yard, is_open=False)
    assert over.ended_at == yard.at
    with reading(yard.engine) as session:
        acts = session.scalars(
            select(JournalEntry.act).where(JournalEntry.subject == f"finding:{found.id}")
        ).all()
    assert sorted(acts) == ["finding.end", "finding.open"]
    with pytest.raises(FindingOver), transaction(yard.engine) as session:
        acknowledge_finding(session, finding_id=over.id, reason="known", at=yard.at, actor="person:1")


def test_an_acknowledgement_lapses_when_the_finding_changes(yard: Yard) -> None:
    [server] = built(yard, 1)
    yard.cloud.stop_server(server.cloud_id or "")
    audit(yard)
    [found] = findings(yard)
    with pytest.raises(ReasonMissing), transaction(yard.engine) as session:
        acknowledge_finding(session, finding_id=found.id, reason=" ", at=yard.at, actor="person:1")
    with transaction(yard.engine) as session:
        acknowledge_finding(session, finding_id=found.id, reason="维护", at=yard.at, actor="person:1")
    audit(yard)
    assert [one.reason for one in findings(yard, is_acknowledged=True)] == ["维护"]
    change(yard, "UPDATE servers SET status = 'SHELVED_OFFLOADED' WHERE id = ?", server.cloud_id)
    audit(yard)
    [changed] = findings(yard, is_acknowledged=False)
    assert (changed.id, changed.reason) == (found.id, "")


def test_a_page_that_fails_finds_nothing_and_ends_nothing(yard: Yard) -> None:
    one, two = built(yard, 2)
    yard.cloud.stop_server(one.cloud_id or "")
    audit(yard)
    change(yard, "DELETE FROM servers WHERE id = ?", two.cloud_id)
    yard.cloud.start_server(one.cloud_id or "")
    yard.region.inject(Fault.down, operation="list_servers")
    yard.later(minutes=5)
    with pytest.raises(Retryable):
        audit(yard)
    [found] = findings(yard)
    assert found.server_id == one.id
    with reading(yard.engine) as session:
        [row] = session.scalars(select(Audit))
    assert row.failed_at == yard.at
    assert row.began_at is not None
    assert row.began_at < yard.at
    assert "list_servers" in str(row.fault)
    assert kinds(audit(yard)) == [(Kind.server_missing, two.name)]
    with reading(yard.engine) as session:
        [row] = session.scalars(select(Audit))
    assert (row.failed_at, row.fault) == (None, None)


def test_what_a_listing_misses_is_asked_for_once_more(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    built(yard, 2)
    monkeypatch.setattr(yard.cloud, "list_servers", list)
    monkeypatch.setattr(yard.cloud, "list_volumes", list)
    assert audit(yard) == []


def test_what_changes_meanwhile_is_no_finding(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = built(yard, 2)
    listed = yard.cloud.list_servers

    def while_people_work() -> list[Any]:
        with transaction(yard.engine) as session:
            stop_server(session, server_id=one.id, at=yard.at, actor="person:1")
        found = listed()
        yard.work()
        return found

    monkeypatch.setattr(yard.cloud, "list_servers", while_people_work)
    assert audit(yard) == []
    monkeypatch.undo()
    assert audit(yard) == []
    assert yard.cloud.get_server(one.cloud_id or "").status == ServerStatus.shutoff
    assert yard.cloud.get_server(two.cloud_id or "").status == ServerStatus.active


def test_an_older_audit_does_not_undo_a_later_one(yard: Yard) -> None:
    [server] = built(yard, 1)
    yard.later(minutes=1)
    yard.cloud.stop_server(server.cloud_id or "")
    audit(yard)
    yard.cloud.start_server(server.cloud_id or "")
    early = yard.at - timedelta(minutes=1)
    assert audit_region(yard.engine, yard.cloud, scope="servers", at=early) is None
    assert len(findings(yard)) == 1


def test_what_was_let_go_of_and_is_still_there_is_left_over(yard: Yard) -> None:
    [server] = built(yard, 1)
    raise_quota(yard)
    again = by_hand(yard, name="late", tag=server.tag)
    assert kinds(audit(yard)) == [(Kind.server_doubled, "late")]
    with transaction(yard.engine) as session:
        row = session.get_one(Server, server.id)
        row.state, row.next_try_at = "released", None
    found = {one.cloud_id: one.kind for one in audit(yard) if one.kind != Kind.allocation_orphaned}
    assert found[again] == Kind.server_left_over
    assert found[server.cloud_id] == Kind.server_left_over


def test_quota_that_nothing_holds_is_found(yard: Yard) -> None:
    [server] = built(yard, 1)
    with transaction(yard.engine) as session:
        session.add(
            Allocation(
                key="stray",
                bureau_id=yard.hall.town,
                region=REGION,
                system_id=yard.system_id,
                amounts=server.amounts,
                state="settled",
                valid_from=yard.at,
            )
        )
    [found] = audit(yard)
    assert (found.kind, found.name) == (Kind.allocation_orphaned, "stray")
    assert found.facts["amounts"] == server.amounts.document()


def test_volumes(yard: Yard) -> None:
    one, two, three = built(yard, 3)
    raise_quota(yard)
    project = yard.project_of(yard.hall.town)
    extra = yard.cloud.create_volume(tag="x", project_id=project, name="extra", size_gib=7)
    change(yard, "UPDATE volumes SET tag = NULL WHERE id = ?", extra.id)
    of = {volume.server_id: volume for volume in yard.cloud.list_volumes()}
    yard.cloud.detach_volume(of[one.cloud_id].id)
    change(yard, "UPDATE volumes SET size_gib = 99 WHERE id = ?", of[two.cloud_id].id)
    change(yard, "DELETE FROM volumes WHERE id = ?", of[three.cloud_id].id)
    address = yard.cloud.create_address(tag="public", project_id=project)
    assert kinds(audit(yard)) == sorted(
        [
            (Kind.volume_unrecorded, "extra"),
            (Kind.volume_status, of[one.cloud_id].name),
            (Kind.volume_resized, of[two.cloud_id].name),
            (Kind.volume_missing, of[three.cloud_id].name),
            (Kind.address_unrecorded, address.address),
        ]
    )


def test_volumes_of_a_missing_server_are_told_of_with_it(yard: Yard) -> None:
    [server] = built(yard, 1)
    yard.cloud.delete_server(server.cloud_id or "")
    assert kinds(audit(yard)) == [(Kind.server_missing, server.name)]


def test_a_quota_changed_in_the_cloud_is_found_and_pushed_again(yard: Yard) -> None:
    built(yard, 1)
    assert audit(yard, "projects") == []
    project = yard.project_of(yard.hall.town)
    right = yard.cloud.get_quota(project)
    yard.cloud.set_quota(project, Limits.of(servers=1, vcpus=None))
    [found] = audit(yard, "projects")
    assert (found.kind, found.bureau_id) == (Kind.quota_differs, yard.hall.town)
    assert found.facts["vcpus"] == {"recorded": right["vcpus"], "found": None}
    with reading(yard.engine) as session:
        assert list_stale_fences(session, region=REGION) == [yard.hall.town]
    push_quota(yard.engine, yard.cloud, bureau_id=yard.hall.town, at=yard.at)
    assert yard.cloud.get_quota(project) == right
    assert audit(yard, "projects") == []
    assert findings(yard) == []


def test_projects(yard: Yard) -> None:
    built(yard, 1)
    project = yard.project_of(yard.hall.town)
    yard.cloud.ensure_project(bureau_code="130699", name="siji-99", description="谁的")
    [found] = audit(yard, "projects")
    assert (found.kind, found.facts) == (Kind.project_unrecorded, {"bureau_code": "130699"})
    change(yard, "DELETE FROM projects WHERE bureau_code = ?", "130699")
    change(yard, "UPDATE projects SET id = 'other', name = 'o', bureau_code = 'o' WHERE id = ?", project)
    assert {(one.kind, one.cloud_id) for one in audit(yard, "projects")} == {
        (Kind.project_missing, project),
        (Kind.project_unrecorded, "other"),
    }


def test_nobody_misses_a_retired_project(yard: Yard) -> None:
    built(yard, 1)
    project = yard.project_of(yard.hall.town)
    with transaction(yard.engine) as session:
        session.scalars(select(PushedQuota)).one().retired_at = yard.at
    change(yard, "UPDATE projects SET id = 'other', bureau_code = NULL WHERE id = ?", project)
    assert audit(yard, "projects") == []


def test_audits_of_both_scopes_leave_each_others_findings(yard: Yard) -> None:
    [server] = built(yard, 1)
    yard.cloud.stop_server(server.cloud_id or "")
    audit(yard)
    audit(yard, "projects")
    assert len(findings(yard)) == 1
