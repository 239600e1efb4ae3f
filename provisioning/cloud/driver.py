"""The Protocol that every cloud driver keeps, and the three ways in which a call to a cloud can fail.

`tests/contract/test_cloud.py` is its meaning; what a cloud shows is in `observed`.
"""

from collections.abc import Collection
from typing import Protocol

from infra.errors import Kind, SijiError
from provisioning.cloud.maintenance import Maintenance
from provisioning.cloud.observed import (
    Address,
    Flavor,
    Image,
    Project,
    Provider,
    PushedLimits,
    Server,
    Volume,
)
from provisioning.cloud.options import NO_OPTIONS, Options
from provisioning.quota import Limits


class CloudFailure(SijiError):
    """A call to a cloud failed. Facts: region, call, reason_zh, reason_en."""


class Retryable(CloudFailure):
    """The same call may succeed later, and may be done already: look the tag up before repeating it."""

    kind = Kind.unavailable
    code = "cloud_unavailable"
    zh = (
        "云区域“{region}”未能完成“{call}”：{reason_zh}。"
        "系统会自动重试；若持续出现，请检查该区域云平台各服务是否正常"
    )
    en = (
        "Region {region} did not complete {call}: {reason_en}. It will be tried again by itself; "
        "if this lasts, check that the services of the cloud answer"
    )


class Permanent(CloudFailure):
    """The call fails until somebody changes something; repeating it is useless."""

    kind = Kind.invalid
    code = "cloud_refused"
    zh = "云区域“{region}”拒绝了“{call}”：{reason_zh}。重试无用，请先消除该原因"
    en = "Region {region} refused {call}: {reason_en}. Trying again is useless until that is put right"


class Conflict(CloudFailure):
    """What is there contradicts the call, or is busy: look at what is there, then decide."""

    kind = Kind.conflict
    code = "cloud_conflict"
    zh = "云区域“{region}”上的现状与“{call}”冲突：{reason_zh}。请核对云上现状后再处理"
    en = "What is in region {region} conflicts with {call}: {reason_en}. Look at what is there, then decide"


class NotInCloud(Permanent):
    """The cloud has nothing of that id or name. Facts besides: thing, key."""

    kind = Kind.not_found
    code = "cloud_not_found"


class OverQuota(Permanent):
    """The project's own quota in the cloud would be exceeded.

    Facts besides: project_id, shortfalls: a list of {dimension, limit, used, asked}.
    """

    kind = Kind.conflict
    code = "cloud_over_quota"


class Cloud(Maintenance, Protocol):
    """One region of one cloud. Safe to use from several threads.

    Every call may raise `Retryable`; other failures are named. A call that returns was accepted and lasts;
    what it started may still be under way (BUILD, creating) and may still end in ERROR. A tag is the
    `siji_id` of a server, volume, image or address, 1 to 60 of A–Z a–z 0–9 . _ : -; the cloud does not keep
    tags unique, so a caller looks a tag up before it creates. A look-up right after an accepted creation
    finds it; one that finds two of a tag raises `Conflict`. A listing is complete or an error, never short.
    An id that the cloud does not know raises `NotInCloud`, except where a call says otherwise.
    """

    @property
    def region(self) -> str:
        """Name of the region."""
        ...

    def ensure_project(self, *, bureau_code: str, name: str, description: str) -> str:
        """Id of the bureau's project, made if missing, revived if retired, its name and description brought
        up to what is given.

        `name` is 1–64 of A–Z a–z 0–9 . _ -, `description` any text of up to 255 characters. `Conflict` if
        another bureau's project has the name; `Permanent` for a name that breaks the rule.
        """
        ...

    def retire_project(self, project_id: str) -> None:
        """Let nothing new be made in it: `Permanent` for who tries. What is there stays. Retired: fine."""
        ...

    def adopt_project(self, project_id: str, *, bureau_code: str | None) -> None:
        """Have a project that another maker made be the bureau's, under the name that it has; None: nobody's,
        and only let Siji make volumes and snapshots for the servers in it.

        Adopted already: fine. `Conflict` if it is another bureau's, or the bureau has another one.
        """
        ...

    def revive_project(self, project_id: str) -> None:
        """Take back that it was retired. Of one that is not: fine."""
        ...

    def list_projects(self, *, with_others: bool = False) -> list[Project]:
        """The bureaus' projects, retired ones too; those without a bureau's code are not Siji's and are left
        out. `with_others` has them all, of every maker; `bureau_code` is empty where they are no bureau's.
        """
        ...

    def set_quota(self, project_id: str, limits: Limits) -> PushedLimits:
        """Write the quota to every service, whatever another said, and return what each then holds.

        What failed at one of them is told there and not raised; `Retryable` where none could be asked. The
        cloud has no quota for root disks: `root_gib` is not written, and reads back as None.
        """
        ...

    def get_quota(self, project_id: str) -> Limits:
        """The quota as the services hold it now, with None for `root_gib`."""
        ...

    def list_flavors(self) -> list[Flavor]:
        """All flavors, by name."""
        ...

    def ensure_flavor(
        self,
        *,
        name: str,
        vcpus: int,
        ram_mib: int,
        root_gib: int,
        project_ids: Collection[str] | None = None,
    ) -> Flavor:
        """The flavor of that name, made if missing; `Conflict` if it is there with other sizes.

        `project_ids` None: everybody's. Else exactly those projects may use it from now on, none if there are
        none; servers that others have of it stay. Whether it is everybody's is settled when it is made:
        `Conflict` for the other. `NotInCloud` for an unknown project.
        """
        ...

    def list_images(self) -> list[Image]:
        """All images and snapshots."""
        ...

    def inventory(self) -> list[Provider]:
        """Every provider with its inventories and the use of them; capacity is `quota.capacity` of them."""
        ...

    def find_server(self, tag: str) -> Server | None:
        """The server that bears `tag`, in any project and state."""
        ...

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
        """Have a server built, and tell its id; flavor and image (its newest active one) by name, zone the
        network zone.

        `OverQuota` where the project's quota forbids it; `Permanent` for an unusable name, tag, zone, option,
        a flavor that is other projects', a flavor or root volume too small for the image; `Conflict` for a
        group that is there with the other policy. Where no host has room, or a root volume is over the quota
        or finds no pool, it is accepted and ends in ERROR.
        """
        ...

    def get_server(self, server_id: str) -> Server:
        """The server as it is now."""
        ...

    def is_placed(self, server_id: str) -> bool:
        """Whether room is held for the server on a host; of an unknown one: no."""
        ...

    def list_servers(self, *, project_id: str | None = None) -> list[Server]:
        """All servers of the project, or of the region; those of other makers too."""
        ...

    def label_server(self, server_id: str, *, tag: str) -> None:
        """Have an ACTIVE or SHUTOFF server bear `tag`, instead of the one it bore; nothing else changes.

        `Conflict` in another state, or while something is under way.
        """
        ...

    def delete_server(self, server_id: str) -> None:
        """Have it deleted, in any state; its volumes stay and are detached. Of one that is gone: fine."""
        ...

    def stop_server(self, server_id: str) -> None:
        """ACTIVE → SHUTOFF. Of one that is stopped: fine. `Conflict` while something else is under way."""
        ...

    def start_server(self, server_id: str) -> None:
        """SHUTOFF → ACTIVE. Of one that is running: fine. `Conflict` while something else is under way."""
        ...

    def reboot_server(self, server_id: str, *, hard: bool) -> None:
        """ACTIVE, and SHUTOFF or ERROR if `hard` → REBOOT → ACTIVE; `hard` is as the power is cut.

        Of one that is being rebooted: fine. `Conflict` in another state.
        """
        ...

    def count_reboots(self, server_id: str) -> int:
        """How many reboots of it were accepted so far, whoever asked; it tells whether a call was heard."""
        ...

    def shelve_server(self, server_id: str) -> None:
        """ACTIVE or SHUTOFF → SHELVED_OFFLOADED: on no host, its root disk kept as an image.

        Its quota, volumes, addresses stay with it; a volume may show `attaching` meanwhile, as it is kept for
        the server. Of one that is shelved: fine. `Conflict` in another state.
        """
        ...

    def unshelve_server(self, server_id: str) -> None:
        """SHELVED_OFFLOADED → ACTIVE. Of one that is ACTIVE or on its way: fine. `Conflict` in another state.

        Where no host has room it is accepted and stays shelved.
        """
        ...

    def rebuild_server(self, server_id: str, *, image: str) -> None:
        """ACTIVE, SHUTOFF or ERROR → REBUILD → ACTIVE, or SHUTOFF as before, with the root disk made anew.

        `image` as in `create_server`. Its id, tag, host, addresses and volumes stay. Of one that is being
        rebuilt: fine; each call after the end of one rebuilds again. `Permanent` for a flavor or root volume
        too small for the image; `Conflict` in another state.
        """
        ...

    def console_url(self, server_id: str) -> str:
        """Address of the server's screen for a browser. It holds a secret of some minutes: keep it not.

        `Conflict` while the server is on no host; `Permanent` where the cloud has no such consoles.
        """
        ...

    def resize_server(self, server_id: str, *, flavor: str) -> None:
        """ACTIVE or SHUTOFF → RESIZE → VERIFY_RESIZE with the new flavor.

        Both sizes are held until it is confirmed or reverted. `OverQuota` for growth over the quota;
        `Permanent` for its present flavor or other projects'; `Conflict` in another state. Where no host has
        room it is accepted and returns to what it was.
        """
        ...

    def confirm_resize(self, server_id: str) -> None:
        """VERIFY_RESIZE → ACTIVE or SHUTOFF with the new flavor; `Conflict` in another state."""
        ...

    def revert_resize(self, server_id: str) -> None:
        """VERIFY_RESIZE → ACTIVE or SHUTOFF with the old flavor; `Conflict` in another state."""
        ...

    def find_image(self, tag: str) -> Image | None:
        """The snapshot that bears `tag`."""
        ...

    def snapshot_server(self, server_id: str, *, tag: str, name: str) -> Image:
        """Have an image of an ACTIVE or SHUTOFF server's root disk made; `Conflict` in another state."""
        ...

    def delete_image(self, image_id: str) -> None:
        """Delete an image. Of one that is gone: fine."""
        ...

    def find_volume(self, tag: str) -> Volume | None:
        """The volume that bears `tag`, in any project and state."""
        ...

    def create_volume(self, *, tag: str, project_id: str, name: str, size_gib: int) -> Volume:
        """Have a volume made; `OverQuota`; where no pool has room it is accepted and ends in `error`."""
        ...

    def get_volume(self, volume_id: str) -> Volume:
        """The volume as it is now."""
        ...

    def list_volumes(self, *, project_id: str | None = None) -> list[Volume]:
        """All volumes of the project, or of the region; those of other makers too."""
        ...

    def extend_volume(self, volume_id: str, *, size_gib: int) -> None:
        """available or in-use → extending → as it was, with the new size. Of that size already: fine.

        `OverQuota` for growth over the quota; `Permanent` for a smaller size; `Conflict` in another state,
        and for one in-use where the cloud cannot. Where the pool has no room it is accepted and keeps its
        size.
        """
        ...

    def label_volume(self, volume_id: str, *, tag: str) -> None:
        """Have a volume bear `tag`, instead of the one it bore; nothing else changes."""
        ...

    def attach_volume(self, volume: Volume, *, server: Server) -> None:
        """available → attaching → in-use, on an ACTIVE or SHUTOFF server. Attached there already: fine.

        Both as they were seen last: only a refusal makes it look again. `Conflict` if the volume is elsewhere
        or busy, or the server is in another state; `Permanent` if their projects differ.
        """
        ...

    def detach_volume(self, volume_id: str) -> None:
        """in-use → detaching → available. Of one that is available: fine.

        `Conflict` in another state, and for a root disk.
        """
        ...

    def delete_volume(self, volume_id: str) -> None:
        """Delete one that is available or in error; `Conflict` in another state. Of one gone: fine."""
        ...

    def find_address(self, tag: str) -> Address | None:
        """The public address that bears `tag`."""
        ...

    def create_address(self, *, tag: str, project_id: str) -> Address:
        """Take a public address from the pool; `OverQuota`; `Permanent` when the pool is used up."""
        ...

    def list_addresses(self, *, project_id: str | None = None) -> list[Address]:
        """All public addresses of the project, or of the region."""
        ...

    def associate_address(self, address_id: str, *, server_id: str | None) -> None:
        """Lead it to the server, or nowhere for None. There already: fine. Elsewhere: `Conflict`."""
        ...

    def delete_address(self, address_id: str) -> None:
        """Give the address back. Of one that is gone: fine."""
        ...
