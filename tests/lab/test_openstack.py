"""The lab's OpenStack: its state is made once, servers and volumes outlive kills, a reset brings it back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from infra.lab.errors import NotUp
from infra.lab.openstack import engine
from infra.lab.openstack.place import Place
from infra.lab.openstack.sizes import CITY
from infra.lab.record import Record, running_in


@pytest.fixture
def cloud(lab: Path) -> Iterator[Connection]:
    """The administrator's connection to a cloud of the test's own."""
    with pytest.raises(NotUp, match="siji lab up openstack"):
        engine.clouds(lab)
    engine.up(lab)
    config = OpenStackConfig(config_files=[str(engine.clouds(lab))], load_envvars=False)
    with Connection(config=config.get_one("lab")) as connection:
        yield connection


def pids_of(lab: Path) -> dict[str, int]:
    """Each server's pid, by its name."""
    found = {file.name: Record.read(file) for file in (lab / "openstack").glob("*.pid.json")}
    return {name: record.pid for name, record in found.items() if record is not None and record.alive()}


def boot(cloud: Connection, name: str) -> str:
    """A server that is ACTIVE in no network, with a volume; its id."""
    flavor = cloud.compute.find_flavor("small") or cloud.compute.create_flavor(
        name="small", ram=1024, vcpus=2, disk=20
    )
    image = cloud.image.find_image("Debian-12", ignore_missing=False)
    server = cloud.compute.create_server(name=name, image_id=image.id, flavor_id=flavor.id, networks="none")
    cloud.compute.wait_for_server(server, interval=0.2)
    volume = cloud.block_storage.create_volume(name=name, size=100)
    cloud.block_storage.wait_for_status(volume, "available", interval=0.2)
    cloud.compute.create_volume_attachment(server, volume_id=volume.id)
    cloud.block_storage.wait_for_status(volume, "in-use", interval=0.2)
    return str(server.id)


@pytest.mark.soak
def test_lite_and_full_are_two_ways_to_run_one_cloud(lab: Path, cloud: Connection) -> None:
    kept = boot(cloud, "lite")
    engine.up(lab, full=True)
    assert {"nova-compute.pid.json", "cinder-volume.pid.json"} <= set(pids_of(lab))
    boot(cloud, "full")
    engine.up(lab)
    assert "nova-compute.pid.json" not in pids_of(lab)
    assert cloud.compute.get_server(kept).status == "ACTIVE"
    boot(cloud, "lite-again")


def test_life_of_a_cloud(lab: Path, cloud: Connection) -> None:
    """One test, since to make a cloud takes a minute."""
    told = engine.status(lab)
    assert (told.state, told.user) == ("up", "admin")
    assert told.address.startswith("http://127.0.0.1:")
    hosts = list(cloud.placement.resource_providers())
    assert len(hosts) == CITY.computes

    kept = boot(cloud, "kept")
    before = pids_of(lab)
    engine.up(lab)
    assert pids_of(lab) == before
    if os.geteuid() == 0:
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in before.values()}.isdisjoint({0})

    engine.kill("nova", lab)
    engine.kill("cinder", lab)
    assert engine.status(lab).state == "starting"
    engine.up(lab)
    found = cloud.compute.get_server(kept)
    assert (found.status, found.vm_state) == ("ACTIVE", "active")
    [pool] = cloud.block_storage.backend_pools()
    assert pool.capabilities["free_capacity_gb"] == CITY.pool_gib - 100
    boot(cloud, "after")

    engine.down(lab)
    assert engine.status(lab).state == "down"
    assert not running_in(lab, [Place.of(lab).python.resolve().name, "mariadbd", "memcached"])
    engine.reset(lab)
    assert list(cloud.compute.servers(all_projects=True)) == []
    assert [one.name for one in cloud.image.images()] != []
