"""The lab's host with real guests: they boot, speak, show their screen, come back with the lab.

Where the machine cannot, it is said what is missing.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from selenium.webdriver.common.by import By

from infra.clock import Clock
from infra.lab import packages, processes
from infra.lab.errors import NoGuests, PackagesMissing
from infra.lab.openstack import engine, guest
from infra.lab.openstack.place import GUESTS, Place
from infra.settings import OpenStackRegion, Zone
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.cloud.openstack import OpenStackCloud
from provisioning.quota import Limits
from tests import browsing
from tests.waiting import wait_until

ZONE = Zone(name="extranet", network="siji-extranet", cidr="10.8.0.0/16")
IMAGE = "siji-lab-guest"


@pytest.fixture
def clouds(lab: Path) -> Path:
    """The clouds.yaml of a cloud of the test's own, with such a host."""
    engine.up(lab, vm=True)
    return engine.clouds(lab)


@pytest.fixture
def admin(clouds: Path) -> Iterator[Connection]:
    """Past Siji's driver: it reads no logs of consoles."""
    config = OpenStackConfig(config_files=[str(clouds)], load_envvars=False)
    with Connection(config=config.get_one("lab")) as connection:
        yield connection


@pytest.fixture
def cloud(clouds: Path) -> OpenStackCloud:
    """Siji's driver of it."""
    region = OpenStackRegion(name="lab", cloud="lab", zones=(ZONE,))
    found = OpenStackCloud(region, now=Clock().now, clouds_file=str(clouds))
    found.ensure_networks()
    found.ensure_flavor(name="g1", vcpus=1, ram_mib=256, root_gib=20)
    return found


@pytest.fixture
def project_id(cloud: OpenStackCloud) -> str:
    """Without limits."""
    found = cloud.ensure_project(bureau_code="1306-zhb", name="siji-1306-zhb", description="市智慧办")
    cloud.set_quota(found, Limits.unlimited())
    return found


def create(
    cloud: OpenStackCloud,
    project_id: str,
    name: str,
    image: str,
    status: ServerStatus = ServerStatus.active,
) -> Server:
    made = cloud.create_server(
        tag=name, project_id=project_id, name=name, flavor="g1", image=image, zone=ZONE.name
    )
    return until(cloud, made, status)


def until(cloud: OpenStackCloud, server_id: str, status: ServerStatus) -> Server:
    wait_until(
        lambda: (
            (found := cloud.get_server(server_id)).task is None
            and found.status in (status, ServerStatus.error)
        )
    )
    server = cloud.get_server(server_id)
    assert server.status is status, server.fault
    return server


def wait_for_line(admin: Connection, server_id: str) -> None:
    """Until the guest has said on its serial console whose it is."""
    told = f"{guest.SAYS} {server_id}, Linux "
    wait_until(lambda: told in admin.compute.get_server_console_output(server_id)["output"])


def emulators(lab: Path) -> list[int]:
    """The processes of QEMU that have a disk of this lab's."""
    disks = bytes(Place.of(lab).data / "guests")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if disks in (process / "cmdline").read_bytes() and (process / "exe").readlink() == guest.QEMU:
                found.append(int(process.name))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.soak
@pytest.mark.browser
def test_life_of_a_guest(lab: Path, admin: Connection, cloud: OpenStackCloud, project_id: str) -> None:
    """One test, since to make a cloud takes minutes."""
    pretended = [one for one in admin.compute.services(binary="nova-compute") if one.host != GUESTS]
    for one in pretended:
        admin.compute.disable_service(one)
    nowhere = create(cloud, project_id, "pretended", "Debian-12", ServerStatus.error)
    assert "No valid host was found" in str(nowhere.fault)
    for one in pretended:
        admin.compute.enable_service(one)
    server = create(cloud, project_id, "real", IMAGE)
    assert server.host == GUESTS
    wait_for_line(admin, server.id)
    [pid] = emulators(lab)
    if os.geteuid() == 0:
        assert Path(f"/proc/{pid}").stat().st_uid == processes.account(engine.ACCOUNT).uid

    with browsing.opened() as browser:
        browser.get(cloud.console_url(server.id))
        wait_until(lambda: "QEMU (instance-" in browser.find_element(By.ID, "status").text)
        assert browser.find_elements(By.TAG_NAME, "canvas")

    cloud.stop_server(server.id)
    until(cloud, server.id, ServerStatus.shutoff)
    assert emulators(lab) == []
    cloud.start_server(server.id)
    until(cloud, server.id, ServerStatus.active)
    wait_for_line(admin, server.id)

    engine.down(lab)
    wait_until(lambda: emulators(lab) == [])
    assert not Place.of(lab).sockets.exists()
    engine.up(lab, vm=True)
    wait_until(lambda: len(emulators(lab)) == 1)
    wait_for_line(admin, server.id)

    cloud.delete_server(server.id)
    wait_until(lambda: emulators(lab) == [])
    engine.up(lab, full=True)
    assert not {"libvirtd", "nova-guests", "novnc"} & {
        file.name.removesuffix(".pid.json") for file in Place.of(lab).folder.glob("*.pid.json")
    }


def test_on_another_processor_there_are_none(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(NoGuests, match="aarch64") as refused:
        guest.ensure(Place.of(lab), processes.myself())
    assert "aarch64" in refused.value.message("zh")


def test_without_qemu_and_without_root_the_packages_are_named(
    lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("platform.machine", lambda: guest.MACHINE)
    monkeypatch.setattr(packages, "missing", lambda names: list(names))
    monkeypatch.setattr(guest, "QEMU", lab / "no-such-program")
    with pytest.raises(PackagesMissing, match=r"root.*apt-get install .*qemu-system-x86"):
        guest.ensure(Place.of(lab), processes.myself())
