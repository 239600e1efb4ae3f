"""The simulated region as a cloud driver.

It enforces what OpenStack enforces (quota, inventory, states, names) and takes the time that it is told to.
"""

from collections.abc import Collection

from provisioning.cloud.observed import (
    Address,
    Flavor,
    Held,
    Host,
    Image,
    Project,
    Provider,
    PushedLimits,
    Server,
    ServerStatus,
    Volume,
)
from provisioning.cloud.options import NO_OPTIONS, Options
from provisioning.cloud.pushing import push_to_each
from provisioning.cloud.simulated import flavors, hosts, lifecycle, making, projects, servers, volumes
from provisioning.cloud.simulated.calls import Calls
from provisioning.quota import Limits


class SimulatedCloud(Calls):
    """Keeps the Protocol `Cloud`; what a method means is said there."""

    def ensure_project(self, *, bureau_code: str, name: str, description: str) -> str:
        """See Cloud."""
        with self._writing("ensure_project") as step:
            return projects.ensure_project(step, bureau_code, name, description)

    def retire_project(self, project_id: str) -> None:
        """See Cloud."""
        with self._writing("retire_project") as step:
            projects.set_retired(step, project_id, retired=True)

    def revive_project(self, project_id: str) -> None:
        """See Cloud."""
        with self._writing("revive_project") as step:
            projects.set_retired(step, project_id, retired=False)

    def list_projects(self, *, with_others: bool = False) -> list[Project]:
        """See Cloud."""
        with self._reading("list_projects") as step:
            return projects.list_projects(step.db, with_others=with_others)

    def adopt_project(self, project_id: str, *, bureau_code: str | None) -> None:
        """See Cloud."""
        with self._writing("adopt_project") as step:
            projects.adopt_project(step, project_id, bureau_code)

    def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
        """See Cloud."""

        def write(service: str) -> Held:
            with self._writing(f"set_quota.{service}") as step:
                projects.set_quota(step, project_id, service, limits)
                return projects.get_part(step, project_id, service)

        def read(service: str) -> Held:
            with self._reading(f"get_quota.{service}") as step:
                return projects.get_part(step, project_id, service)

        call = "set_quota"
        met = self._meet(call)
        with self._reached(call), self._store.reading() as db:
            projects.get_quota(self._step(db, call, met), project_id)
        pushed = push_to_each(limits, write, read)
        self._answer(call, met)
        return pushed

    def get_quota(self, project_id: str) -> Limits:
        """See Cloud."""
        with self._reading("get_quota") as step:
            return projects.get_quota(step, project_id)

    def list_flavors(self) -> list[Flavor]:
        """See Cloud."""
        with self._reading("list_flavors") as step:
            return flavors.list_flavors(step.db)

    def ensure_flavor(
        self,
        *,
        name: str,
        vcpus: int,
        ram_mib: int,
        root_gib: int,
        project_ids: Collection[str] | None = None,
    ) -> Flavor:
        """See Cloud."""
        with self._writing("ensure_flavor") as step:
            return flavors.ensure_flavor(step, name, vcpus, ram_mib, root_gib, project_ids)

    def list_images(self) -> list[Image]:
        """See Cloud."""
        with self._reading("list_images") as step:
            return projects.list_images(step.db)

    def inventory(self) -> list[Provider]:
        """See Cloud."""
        with self._reading("inventory") as step:
            return projects.inventory(step.db)

    def find_server(self, tag: str) -> Server | None:
        """See Cloud."""
        with self._reading("find_server") as step:
            return servers.find(step, tag)

    def create_server(
        self,
        *,
        tag: str,
        project_id: str,
        name: str,
        flavor: str,
        image: str,
        zone: str,
        options: Options = NO_OPTIONS,
    ) -> str:
        """See Cloud."""
        with self._writing("create_server") as step:
            return making.create(step, tag, project_id, name, flavor, image, zone, options)

    def get_server(self, server_id: str) -> Server:
        """See Cloud."""
        with self._reading("get_server") as step:
            return servers.get(step, server_id)

    def is_placed(self, server_id: str) -> bool:
        """See Cloud."""
        with self._reading("is_placed") as step:
            return step.one("SELECT 1 FROM allocations WHERE server_id = ?", server_id) is not None

    def list_servers(self, *, project_id: str | None = None) -> list[Server]:
        """See Cloud."""
        return [servers.to_server(row) for row in self._paged("list_servers", servers.page, project_id)]

    def label_server(self, server_id: str, *, tag: str) -> None:
        """See Cloud."""
        with self._writing("label_server") as step:
            servers.label(step, server_id, tag)

    def delete_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("delete_server") as step:
            servers.delete(step, server_id)

    def stop_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("stop_server") as step:
            servers.switch(step, server_id, to=ServerStatus.shutoff, task="powering-off")

    def start_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("start_server") as step:
            servers.switch(step, server_id, to=ServerStatus.active, task="powering-on")

    def reboot_server(self, server_id: str, *, hard: bool) -> None:
        """See Cloud."""
        with self._writing("reboot_server") as step:
            lifecycle.reboot(step, server_id, is_hard=hard)

    def count_reboots(self, server_id: str) -> int:
        """See Cloud."""
        with self._reading("count_reboots") as step:
            return int(servers.row_of(step, server_id)["reboots"])

    def shelve_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("shelve_server") as step:
            lifecycle.shelve(step, server_id)

    def unshelve_server(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("unshelve_server") as step:
            lifecycle.unshelve(step, server_id)

    def rebuild_server(self, server_id: str, *, image: str) -> None:
        """See Cloud."""
        with self._writing("rebuild_server") as step:
            lifecycle.rebuild(step, server_id, image)

    def console_url(self, server_id: str) -> str:
        """See Cloud."""
        with self._reading("console_url") as step:
            return lifecycle.console_url(step, server_id)

    def list_hosts(self) -> list[Host]:
        """See Cloud."""
        with self._reading("list_hosts") as step:
            return hosts.list_hosts(step.db)

    def set_host_enabled(self, name: str, *, enabled: bool, reason: str) -> None:
        """See Cloud."""
        with self._writing("set_host_enabled") as step:
            hosts.set_enabled(step, name, is_enabled=enabled, reason=reason)

    def migrate_server(self, server_id: str, *, live: bool) -> None:
        """See Cloud."""
        with self._writing("migrate_server") as step:
            lifecycle.migrate(step, server_id, is_live=live)

    def resize_server(self, server_id: str, *, flavor: str) -> None:
        """See Cloud."""
        with self._writing("resize_server") as step:
            servers.resize(step, server_id, flavor)

    def confirm_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("confirm_resize") as step:
            servers.end_resize(step, server_id, task="resize_confirming")

    def revert_resize(self, server_id: str) -> None:
        """See Cloud."""
        with self._writing("revert_resize") as step:
            servers.end_resize(step, server_id, task="resize_reverting")

    def find_image(self, tag: str) -> Image | None:
        """See Cloud."""
        with self._reading("find_image") as step:
            return servers.find_image(step, tag)

    def snapshot_server(self, server_id: str, *, tag: str, name: str) -> Image:
        """See Cloud."""
        with self._writing("snapshot_server") as step:
            return servers.snapshot(step, server_id, tag, name)

    def delete_image(self, image_id: str) -> None:
        """See Cloud."""
        with self._writing("delete_image") as step:
            step.db.execute("DELETE FROM images WHERE id = ?", (image_id,))

    def find_volume(self, tag: str) -> Volume | None:
        """See Cloud."""
        with self._reading("find_volume") as step:
            return volumes.find(step, tag)

    def create_volume(self, *, tag: str, project_id: str, name: str, size_gib: int) -> Volume:
        """See Cloud."""
        with self._writing("create_volume") as step:
            return volumes.create(step, tag, project_id, name, size_gib)

    def get_volume(self, volume_id: str) -> Volume:
        """See Cloud."""
        with self._reading("get_volume") as step:
            return volumes.get_volume(step, volume_id)

    def list_volumes(self, *, project_id: str | None = None) -> list[Volume]:
        """See Cloud."""
        return [volumes.to_volume(row) for row in self._paged("list_volumes", volumes.page, project_id)]

    def extend_volume(self, volume_id: str, *, size_gib: int) -> None:
        """See Cloud."""
        with self._writing("extend_volume") as step:
            volumes.extend(step, volume_id, size_gib)

    def label_volume(self, volume_id: str, *, tag: str) -> None:
        """See Cloud."""
        with self._writing("label_volume") as step:
            volumes.label(step, volume_id, tag)

    def attach_volume(self, volume: Volume, *, server: Server) -> None:
        """See Cloud."""
        with self._writing("attach_volume") as step:
            volumes.attach(step, volume.id, server.id)

    def detach_volume(self, volume_id: str) -> None:
        """See Cloud."""
        with self._writing("detach_volume") as step:
            volumes.detach(step, volume_id)

    def delete_volume(self, volume_id: str) -> None:
        """See Cloud."""
        with self._writing("delete_volume") as step:
            volumes.delete(step, volume_id)

    def find_address(self, tag: str) -> Address | None:
        """See Cloud."""
        with self._reading("find_address") as step:
            return volumes.find_address(step, tag)

    def create_address(self, *, tag: str, project_id: str) -> Address:
        """See Cloud."""
        with self._writing("create_address") as step:
            return volumes.create_address(step, tag, project_id)

    def list_addresses(self, *, project_id: str | None = None) -> list[Address]:
        """See Cloud."""
        return [
            volumes.to_address(row) for row in self._paged("list_addresses", volumes.address_page, project_id)
        ]

    def associate_address(self, address_id: str, *, server_id: str | None) -> None:
        """See Cloud."""
        with self._writing("associate_address") as step:
            volumes.associate(step, address_id, server_id)

    def delete_address(self, address_id: str) -> None:
        """See Cloud."""
        with self._writing("delete_address") as step:
            step.db.execute("DELETE FROM addresses WHERE id = ?", (address_id,))
