"""Visits of Siji's workers in each of `clouds.CLOUDS`: reboots, larger volumes, removals."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from provisioning.cloud.driver import Retryable
from provisioning.cloud.observed import Server, ServerStatus, Volume
from provisioning.removal import Sight, Thing
from provisioning.service.extend_visit import extend
from provisioning.service.reboot_visit import reboot
from provisioning.service.removal_visit import RemovalWork, check, delete, look
from provisioning.service.work import Found, VolumeWork, Work
from tests.contract.cloud_bench import PATIENCE, Bench


def work_on(bench: Bench, server: Server, *volumes: VolumeWork) -> Work:
    """As the row of a server of the bench has it."""
    return Work(
        server_id=1,
        request_id=1,
        visit=1,
        at=server.created_at,
        state="active",
        tag=server.tag or "",
        name=server.name,
        region=bench.cloud.region,
        bureau_id=1,
        project_id=bench.project_id,
        cloud_id=server.id,
        flavor=server.flavor,
        wanted_flavor=None,
        image=bench.subject.image,
        zone=bench.subject.zone,
        refusals=0,
        repushes=0,
        asked=0,
        volumes=volumes,
    )


def until_done(bench: Bench, work: Work, visit: Callable[[Work], Found]) -> Found:
    """Visit again and again, with what the visit before had written down."""
    for _ in range(PATIENCE):
        found = visit(work)
        if found.what != "wait":
            return found
        work = replace(work, asked=found.asked)
        bench.subject.wait()
    raise AssertionError("it is never done")


def recorded(volume: Volume, *, wanted_gib: int) -> VolumeWork:
    return VolumeWork(1, volume.tag or "", volume.name, volume.size_gib, "active", volume.id, wanted_gib)


@pytest.mark.parametrize("hard", [False, True])
def test_a_reboot_is_done_once(bench: Bench, hard: bool) -> None:
    server = bench.running()
    visit = partial(reboot, bench.cloud, hard=hard)
    first = replace(work_on(bench, server), asked=visit(work_on(bench, server)).asked)
    visit(first)  # and this worker is killed
    assert until_done(bench, first, visit).what == "done"
    assert bench.cloud.count_reboots(server.id) == 1


def test_a_volume_in_use_becomes_larger(bench: Bench) -> None:
    server = bench.running()
    volume = bench.attached(server)
    work = work_on(bench, server, recorded(volume, wanted_gib=volume.size_gib + 3))
    found = until_done(bench, work, partial(extend, bench.cloud))
    assert (found.what, found.sizes) == ("done", {1: volume.size_gib + 3})
    assert found.seen is not None
    assert found.seen.status is ServerStatus.active
    assert bench.cloud.get_volume(volume.id).server_id == server.id


def test_what_another_maker_made_is_removed_with_a_snapshot_of_the_server(bench: Bench) -> None:
    server = bench.running()
    volume = bench.attached(server)
    address = bench.cloud.create_address(tag=bench.tag("ip"), project_id=bench.project_id)
    bench.cloud.associate_address(address.id, server_id=server.id)
    sights: list[Sight] = []
    things: tuple[tuple[Thing, str], ...] = (
        ("address", address.id),
        ("volume", volume.id),
        ("server", server.id),
    )
    for thing, cloud_id in things:
        seen = look(bench.cloud, thing, cloud_id)
        assert seen is not None
        sights.append(seen)
    assert [[one.id for one in seen.attached] for seen in sights] == [[server.id], [server.id], [volume.id]]
    leaving = frozenset({server.id})
    jobs = [
        RemovalWork(n, 1, 1, "checking", bench.cloud.region, bench.tag(f"r{n}"), seen, leaving, 0, 0)
        for n, seen in enumerate(sights)
    ]
    for _ in range(PATIENCE):
        jobs = [one for one in (step(bench, job) for job in jobs) if one is not None]
        if not jobs:
            break
        bench.subject.wait()
    assert jobs == []
    bench.until_server_gone(server.id)
    bench.until_volume_gone(volume.id)
    assert address.id not in {one.id for one in bench.cloud.list_addresses()}
    image = bench.cloud.find_image(f"{bench.tag('r2')}-last")
    assert image is not None
    bench.cloud.delete_image(image.id)


def step(bench: Bench, job: RemovalWork) -> RemovalWork | None:
    """The job after one visit, as its row has it then; None once it is done."""
    try:
        outcome = (check if job.state == "checking" else delete)(bench.cloud, job)
    except Retryable:
        return job
    assert outcome.what in ("done", "wait"), outcome
    if outcome.what == "wait":
        return replace(job, asked=outcome.asked)
    return (
        replace(job, state="deleting", decided=outcome.now or job.decided)
        if job.state == "checking"
        else None
    )
