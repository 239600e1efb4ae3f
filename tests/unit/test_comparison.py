"""The comparison of records and cloud, whatever both hold."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from provisioning.cloud.observed import Address, Server, ServerStatus, Volume, VolumeStatus
from provisioning.comparison import (
    Kind,
    Listing,
    RecordedServer,
    RecordedVolume,
    Records,
    Stand,
    compare,
    count_kinds,
)
from provisioning.finding_wording import KINDS, TOLD, tell
from provisioning.quota import Resources

AT = datetime(2026, 3, 2, tzinfo=UTC)
OWNERS = {"p": 7}


def recorded(number: int, stand: Stand) -> RecordedServer:
    return RecordedServer(
        id=number,
        tag=f"t{number}",
        name=f"n{number}",
        cloud_id=f"c{number}",
        bureau_id=7,
        stand=stand,
        revision=1,
        flavor="f2",
        amounts=Resources.of(servers=1, vcpus=2, ram_mib=4, root_gib=8),
    )


def seen(record: RecordedServer) -> Server:
    return Server(
        id=record.cloud_id or "",
        tag=record.tag,
        name=record.name,
        project_id="p",
        status=ServerStatus.active if record.stand == "running" else ServerStatus.shutoff,
        task=None,
        fault=None,
        flavor="f2",
        vcpus=2,
        ram_mib=4,
        root_gib=8,
        image_id=None,
        zone=None,
        addresses=(),
        host=None,
        group=None,
        key_name=None,
        created_at=AT,
    )


def a_volume(server: RecordedServer) -> tuple[RecordedVolume, Volume]:
    tag, cloud_id = f"v{server.id}", f"vc{server.id}"
    record = RecordedVolume(
        id=server.id,
        tag=tag,
        name=tag,
        cloud_id=cloud_id,
        server_id=server.id,
        stand="running",
        size_gib=10,
    )
    shown = Volume(
        id=cloud_id,
        tag=tag,
        name=tag,
        project_id="p",
        status=VolumeStatus.in_use,
        size_gib=10,
        server_id=server.cloud_id,
        created_at=AT,
    )
    return record, shown


LIVE = ("running", "stopped", "moving")
STANDS: tuple[Stand, ...] = ("running", "stopped", "moving", "gone")
fleets = st.lists(st.sampled_from(STANDS), max_size=12).map(
    lambda stands: [recorded(number, stand) for number, stand in enumerate(stands)]
)


@given(fleets, st.randoms(use_true_random=False))
def test_a_cloud_that_is_as_recorded_has_no_findings(
    fleet: list[RecordedServer], chance: random.Random
) -> None:
    there = [seen(one) for one in fleet if one.stand in LIVE]
    chance.shuffle(there)
    pairs = [a_volume(one) for one in fleet if one.stand in ("running", "stopped")]
    records = Records(fleet, [record for record, _ in pairs], OWNERS)
    assert compare(records, Listing(there, [shown for _, shown in pairs], ()), records) == []


@given(fleets, fleets)
def test_what_was_planted_is_found_and_nothing_else(
    fleet: list[RecordedServer], strange: list[RecordedServer]
) -> None:
    strangers = [
        replace(seen(one), id=f"s{one.id}", tag=None, name=f"s{one.id}", project_id="q") for one in strange
    ]
    lost = {one.id for one in fleet[::3] if one.stand in LIVE}
    left = {one.id for one in fleet if one.stand == "gone"}
    there = [seen(one) for one in fleet if one.id not in lost]
    records = Records(fleet, [], OWNERS)
    found = compare(records, Listing([*strangers, *there], (), ()), records)
    of = {kind: {one.cloud_id for one in found if one.kind == kind} for kind in Kind}
    assert of[Kind.server_unrecorded] == {one.id for one in strangers}
    assert of[Kind.server_left_over] == {f"c{number}" for number in left}
    at_rest = {one.id for one in fleet if one.stand in ("running", "stopped")}
    assert of[Kind.server_missing] == {f"c{number}" for number in lost & at_rest}
    assert len(found) == len(strangers) + len(left) + len(lost & at_rest)


@given(fleets)
def test_records_that_changed_meanwhile_say_nothing(fleet: list[RecordedServer]) -> None:
    after = Records([replace(one, revision=2) for one in fleet], [], OWNERS)
    assert compare(Records(fleet, [], OWNERS), Listing((), (), ()), after) == []


@given(fleets)
def test_servers_that_were_recorded_meanwhile_are_not_unrecorded(fleet: list[RecordedServer]) -> None:
    after = Records(fleet, [], OWNERS)
    listing = Listing([seen(one) for one in fleet if one.stand in LIVE], (), ())
    assert compare(Records((), (), OWNERS), listing, after) == []


def test_a_server_being_built_is_known_by_its_tag_until_its_id_is() -> None:
    building = replace(recorded(1, "moving"), cloud_id=None)
    records = Records([building], [], OWNERS)
    shown = replace(seen(recorded(1, "running")), id="new", task="spawning")
    assert compare(records, Listing([shown], (), ()), records) == []


def test_what_is_being_deleted_is_no_finding() -> None:
    going = replace(seen(recorded(1, "running")), task="deleting")
    records = Records([recorded(1, "gone")], [], OWNERS)
    assert compare(records, Listing([going], (), ()), records) == []


def kinds_of(
    server: RecordedServer, record: RecordedVolume, shown: Sequence[Volume], size_gib: int = 10
) -> list[Kind]:
    before = Records([server], [record], OWNERS)
    after = Records([server], [replace(record, size_gib=size_gib)], OWNERS)
    return [one.kind for one in compare(before, Listing([seen(server)], shown, ()), after)]


def test_volumes_of_a_server_at_rest() -> None:
    server = recorded(1, "running")
    record, shown = a_volume(server)
    away = replace(shown, server_id=None, status=VolumeStatus.available)
    assert kinds_of(server, record, [shown]) == []
    assert kinds_of(server, record, []) == [Kind.volume_missing]
    assert kinds_of(server, record, [], size_gib=11) == []
    assert kinds_of(server, record, [away]) == [Kind.volume_status]
    assert kinds_of(server, record, [replace(shown, server_id="c9")]) == [Kind.volume_status]
    assert kinds_of(server, record, [replace(shown, size_gib=11)]) == [Kind.volume_resized]
    assert kinds_of(server, record, [replace(shown, tag=None)]) == [Kind.volume_untagged]
    assert kinds_of(replace(server, stand="moving"), record, []) == []
    assert kinds_of(server, replace(record, stand="moving"), []) == []


def test_volumes_kept_for_a_shelved_server_are_no_finding() -> None:
    server = recorded(1, "running")
    record, shown = a_volume(server)
    records = Records([server], [record], OWNERS)
    shelved = replace(seen(server), status=ServerStatus.shelved)
    kept = replace(shown, status=VolumeStatus.attaching, server_id=None)
    found = compare(records, Listing([shelved], [kept], ()), records)
    assert [one.kind for one in found] == [Kind.server_status]


def test_volumes_that_ought_not_to_be_there() -> None:
    server = recorded(1, "running")
    record, shown = a_volume(server)
    again = replace(shown, id="other", server_id=None)
    assert kinds_of(server, record, [shown, again]) == [Kind.volume_doubled]
    assert kinds_of(server, record, [shown, replace(again, tag=None)]) == [Kind.volume_unrecorded]
    assert kinds_of(server, record, [shown, replace(again, tag="x", name="")]) == [Kind.volume_unrecorded]
    assert kinds_of(server, replace(record, stand="gone"), [shown]) == [Kind.volume_left_over]
    going = replace(again, status=VolumeStatus.deleting)
    assert kinds_of(server, record, [shown, going]) == []


def test_servers_of_another_size_or_state() -> None:
    server = recorded(1, "running")
    records = Records([server], [], OWNERS)
    shelved = replace(seen(server), vcpus=4, status=ServerStatus.shelved)
    for shown, kinds in (
        (replace(seen(server), flavor="f4"), [Kind.server_resized]),
        (replace(seen(server), flavor="f4", status=ServerStatus.verify_resize), [Kind.server_status]),
        (shelved, [Kind.server_status, Kind.server_resized]),
        (replace(seen(server), flavor="f4", task="resize_prep"), []),
        (replace(seen(server), tag="t2", task="x"), [Kind.server_untagged]),
    ):
        found = compare(records, Listing([shown], (), ()), records)
        assert [one.kind for one in found] == kinds


def test_public_addresses_that_nobody_was_given() -> None:
    server = recorded(1, "running")
    records = Records([server], [], OWNERS)
    taken = Address(id="a", tag=None, project_id="p", address="172.24.0.9", server_id="c1")
    [found] = compare(records, Listing([seen(server)], (), [taken]), records)
    assert (found.kind, found.bureau_id, found.facts["server"]) == (Kind.address_unrecorded, 7, "n1")
    [found] = compare(records, Listing([seen(server)], (), [replace(taken, server_id=None)]), records)
    assert found.facts["server"] is None


def test_they_are_counted_by_kind() -> None:
    server = recorded(1, "running")
    found = compare(Records([server], []), Listing((), (), ()), Records([server], []))
    assert count_kinds([*found, *found]) == {"server_missing": 2}


def test_every_kind_is_told_in_both_languages() -> None:
    assert {kind.value for kind in Kind} == set(KINDS) == set(TOLD)
    facts = {"recorded": "ACTIVE", "found": "SHUTOFF"}
    assert tell("server_status", "n", facts) == (
        "台账应为 ACTIVE，云上为 SHUTOFF；配额照常占用",
        "It should be ACTIVE and is SHUTOFF in the cloud; it holds its quota all the same",
    )
    assert tell("quota_differs", "p", {"vcpus": {"recorded": 4, "found": None}})[0].endswith("vCPU 4 → 不限")
    assert "无" in tell("server_untagged", "n", {"tag": "t1", "found": None})[0]
    assert tell("allocation_orphaned", "k", {"amounts": {"servers": 1, "ram_mib": 4}, "since": ""})[1] == (
        "Quota is held for what does not exist: servers 1, RAM 4 MiB"
    )
