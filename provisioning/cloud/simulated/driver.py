"""The simulated region as a cloud driver: each call in a step of its own, meeting the failures set for it.

It enforces what OpenStack enforces (quota, inventory, states, names) and takes the time that it is told to.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from provisioning.cloud.observed import (
    Address,
    Flavor,
    Image,
    Project,
    Provider,
    Server,
    ServerStatus,
    Volume,
)
from provisioning.cloud.simulated import projects, servers, volumes
from provisioning.cloud.simulated.faults import Injected, take, take_page_failure
from provisioning.cloud.simulated.step import Step, is_due, settle, to_us, unanswered
from provisioning.cloud.simulated.store import SimulatedStore
from provisioning.quota import Limits

PAGE_SIZE = 100

Page = Callable[[Step, str | None, int, int], list[sqlite3.Row]]


class SimulatedCloud:
    """Keeps the Protocol `Cloud`; what a method means is said there."""

    def __init__(
        self,
        store: SimulatedStore,
        *,
        region: str,
        now: Callable[[], datetime],
        latency_s: float = 0.0,
        page_size: int = PAGE_SIZE,
    ) -> None:
        """What a call starts is finished `latency_s` after it by `now` (aware); 0: at the next call."""
        self._store = store
        self._region = region
        self._now = now
        self._latency_s = latency_s
        self._page_size = page_size

    @property
    def region(self) -> str:
        """Name of the region."""
        return self._region

    def ensure_project(self, *, bureau_code: str, name: str, description: str) -> str:
        """See Cloud."""
        with self._writing("ensure_project") as step:
            return projects.ensure_project(step, bureau_code, name, description)

    def list_projects(self, *, with_others: bool = False) -> list[Project]:
        """See Cloud."""
        with self._reading("list_projects") as step:
            return projects.list_projects(step.db, with_others=with_others)

    def adopt_project(self, project_id: str, *, bureau_code: str | None) -> None:
        """See Cloud."""
        with self._writing("adopt_project") as step:
            projects.adopt_project(step, project_id, bureau_code)

    def set_quota(self, project_id: str, limits: Limits) -> Limits:
        """See Cloud."""
        with self._writing("set_quota") as step:
            projects.set_quota(step, project_id, limits)
            return projects.get_quota(step, project_id)

    def get_quota(self, project_id: str) -> Limits:
        """See Cloud."""
        with self._reading("get_quota") as step:
            return projects.get_quota(step, project_id)

    def list_flavors(self) -> list[Flavor]:
        """See Cloud."""
        with self._reading("list_flavors") as step:
            return projects.list_flavors(step.db)

    def ensure_flavor(self, *, name: str, vcpus: int, ram_mib: int, root_gib: int) -> Flavor:
        """See Cloud."""
        with self._writing("ensure_flavor") as step:
            return projects.ensure_flavor(step, name, vcpus, ram_mib, root_gib)

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
        self, *, tag: str, project_id: str, name: str, flavor: str, image: str, zone: str
    ) -> Server:
        """See Cloud."""
        with self._writing("create_server") as step:
            return servers.create(step, tag, project_id, name, flavor, image, zone)

    def get_server(self, server_id: str) -> Server:
        """See Cloud."""
        with self._reading("get_server") as step:
            return servers.get(step, server_id)

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

    def label_volume(self, volume_id: str, *, tag: str) -> None:
        """See Cloud."""
        with self._writing("label_volume") as step:
            volumes.label(step, volume_id, tag)

    def attach_volume(self, volume_id: str, *, server_id: str) -> None:
        """See Cloud."""
        with self._writing("attach_volume") as step:
            volumes.attach(step, volume_id, server_id)

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

    def _paged(self, call: str, page: Page, project_id: str | None) -> list[sqlite3.Row]:
        rows: list[sqlite3.Row] = []
        marker = 0
        while True:
            if rows and take_page_failure(self._store, call):
                raise unanswered(self._region, call, "列表的第 2 页读取失败", "page 2 of the listing failed")
            with self._reading(call) as step:
                found = page(step, project_id, marker, self._page_size)
            rows += found
            if len(found) < self._page_size:
                return rows
            marker = found[-1]["seq"]

    @contextmanager
    def _writing(self, call: str) -> Iterator[Step]:
        met = self._meet(call)
        with self._reached(call), self._store.writing() as db:
            step = self._step(db, call, met)
            settle(db, step.at_us)
            yield step
        self._answer(call, met)

    @contextmanager
    def _reading(self, call: str) -> Iterator[Step]:
        met = self._meet(call)
        with self._reached(call):
            at_us = to_us(self._now())
            with self._store.reading() as db:
                due = is_due(db, at_us)
            if due:
                with self._store.writing() as db:
                    settle(db, at_us)
            with self._store.reading() as db:
                yield self._step(db, call, met)
        self._answer(call, met)

    def _meet(self, call: str) -> Injected:
        with self._reached(call):
            met = take(self._store, call)
        if met.down:
            raise unanswered(
                self._region, call, "云平台接口无响应（503）", "the cloud's API does not answer (503)"
            )
        if met.refused:
            with self._store.reading() as db:
                raise self._step(db, call, met).refused(
                    "云平台策略不允许（403）", "the cloud's policy forbids it (403)"
                )
        return met

    def _answer(self, call: str, met: Injected) -> None:
        if met.timed_out_but_done:
            raise unanswered(
                self._region, call, "等待应答超时（504）", "the answer did not come in time (504)"
            )

    def _step(self, db: sqlite3.Connection, call: str, met: Injected) -> Step:
        at_us = to_us(self._now())
        ready_us = at_us + round((self._latency_s + met.late_s) * 1_000_000)
        return Step(
            db=db, region=self._region, call=call, at_us=at_us, ready_us=ready_us, doomed=met.ends_in_error
        )

    @contextmanager
    def _reached(self, call: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise unanswered(
                self._region, call, f"模拟区域的存储不可用（{error}）", f"its store failed ({error})"
            ) from error
