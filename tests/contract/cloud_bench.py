"""A project in a cloud under test, and short words for what most contract tests do there."""

from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from provisioning.cloud.driver import (
    Cloud,
    CloudFailure,
    NotInCloud,
)
from provisioning.cloud.observed import Server, ServerStatus, Volume, VolumeStatus
from provisioning.cloud.options import NO_OPTIONS, Options
from provisioning.quota import Limits
from tests.contract.clouds import Subject

UNLIMITED = Limits.unlimited()
UNKNOWN = "00000000-0000-4000-8000-000000000000"
PATIENCE = 3_000
"""Steps of waiting: a bound against hanging, not a measure."""


@dataclass
class Bench:
    """A project in a cloud, and short words for what most tests do there."""

    subject: Subject
    cloud: Cloud
    project_id: str
    prefix: str = field(default_factory=lambda: uuid4().hex[:8])

    def tag(self, name: str) -> str:
        """A tag of this test's own."""
        return f"{self.prefix}:{name}"

    def create(
        self,
        name: str = "web-1",
        *,
        flavor: str = "c2",
        project_id: str | None = None,
        options: Options = NO_OPTIONS,
    ) -> Server:
        """A server that was asked for just now."""
        made = self.cloud.create_server(
            tag=self.tag(name),
            project_id=project_id or self.project_id,
            name=name,
            flavor=flavor,
            image=self.subject.image,
            zone=self.subject.zone,
            options=options,
        )
        return self.cloud.get_server(made)

    def volume(self, name: str = "data-1", *, size_gib: int = 10, project_id: str | None = None) -> Volume:
        """Ask for a volume."""
        return self.cloud.create_volume(
            tag=self.tag(name), project_id=project_id or self.project_id, name=name, size_gib=size_gib
        )

    def until(self, server_id: str, status: ServerStatus) -> Server:
        """Wait until nothing is under way with the server, and it has `status`."""
        for _ in range(PATIENCE):
            server = self.cloud.get_server(server_id)
            if (server.status, server.task) in ((status, None), (ServerStatus.error, None)):
                break
            self.subject.wait()
        assert (server.status, server.task) == (status, None)
        return server

    def until_volume(self, volume_id: str, status: VolumeStatus) -> Volume:
        """Wait until the volume has `status`."""
        for _ in range(PATIENCE):
            volume = self.cloud.get_volume(volume_id)
            if volume.status is status:
                break
            self.subject.wait()
        assert volume.status is status
        return volume

    def until_server_gone(self, server_id: str) -> None:
        """Wait until the cloud knows the server no more."""
        for _ in range(PATIENCE):
            try:
                self.cloud.get_server(server_id)
            except NotInCloud:
                return
            self.subject.wait()
        pytest.fail("the server is still there")

    def until_volume_gone(self, volume_id: str) -> None:
        """Wait until the cloud knows the volume no more."""
        for _ in range(PATIENCE):
            try:
                self.cloud.get_volume(volume_id)
            except NotInCloud:
                return
            self.subject.wait()
        pytest.fail("the volume is still there")

    def running(self, name: str = "web-1", *, flavor: str = "c2", options: Options = NO_OPTIONS) -> Server:
        """A server that is ACTIVE."""
        return self.until(self.create(name, flavor=flavor, options=options).id, ServerStatus.active)

    def stopped(self, name: str = "web-1") -> Server:
        """A server that is SHUTOFF."""
        self.cloud.stop_server(server_id := self.running(name).id)
        return self.until(server_id, ServerStatus.shutoff)

    def attached(self, server: Server, name: str = "data-1") -> Volume:
        """A volume that is in-use by it."""
        volume = self.available(name)
        self.cloud.attach_volume(volume, server=server)
        return self.until_volume(volume.id, VolumeStatus.in_use)

    def available(self, name: str = "data-1", *, size_gib: int = 10) -> Volume:
        """A volume that is available."""
        return self.until_volume(self.volume(name, size_gib=size_gib).id, VolumeStatus.available)


def bench_in(subject: Subject, cloud: Cloud) -> Bench:
    for name, vcpus in (("c2", 2), ("c4", 4), ("c16", 16)):
        cloud.ensure_flavor(name=name, vcpus=vcpus, ram_mib=vcpus * 1024, root_gib=20)
    project_id = cloud.ensure_project(bureau_code="1306-zhb", name="siji-1306-zhb", description="市智慧办")
    cloud.set_quota(project_id, UNLIMITED)
    return Bench(subject, cloud, project_id)


def limits(**bounds: int | None) -> Limits:
    """Unlimited but for `bounds`."""
    return Limits.parse({**UNLIMITED.document(), **bounds})


def used_by_kind(cloud: Cloud) -> dict[str, int]:
    """What is used of each resource over all providers."""
    used: dict[str, int] = {}
    for provider in cloud.inventory():
        for inventory in provider.inventories:
            used[inventory.dimension] = used.get(inventory.dimension, 0) + provider.used[inventory.dimension]
    return used


def assert_actionable(failure: CloudFailure, region: str) -> None:
    """Both languages name the region, the call and the reason."""
    for language, reason in (("zh", "reason_zh"), ("en", "reason_en")):
        message = failure.message(language)  # type: ignore[arg-type] # mypy does not narrow the tuple's strings
        assert region in message
        assert failure.facts["call"] in message
        assert failure.facts[reason] in message
