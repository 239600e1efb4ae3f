"""The clouds that the contract suite runs against: what a test may know of each, and how it is waited for."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault, SimulatedCloud, SimulatedRegion, Sizes
from tests.contract import openstack_lab

LATENCY_S = 2.0
SMALL = Sizes(
    hosts=2,
    host_cores=8,
    host_reserved_cores=0,
    host_ram_mib=262_144,
    host_reserved_ram_mib=0,
    host_root_gib=4_096,
    pool_gib=2_000,
    pool_reserved_gib=0,
    addresses=3,
)


@dataclass(frozen=True)
class Subject:
    """A cloud under test; `many` and `many_volumes` are more than its pages hold.

    `other_image` fits flavors of 20 GiB, `too_large_image` does not. `console` is how an address of a screen
    begins, None where there are no screens.

    `wait` lets a little of its time pass. `lose_next_answer` and `break_next` name a call; `fail_second_page`
    breaks the next long listing; `drop` names a service and what of its next quota call it does not answer,
    'write', 'read' or both. `make_project` makes one of `cloud`, by its name, as another maker does. `small`
    is a region of 64 vCPU, a pool of 2,000 GiB and 3 public addresses, apart from `cloud`.
    """

    cloud: Cloud
    small: Cloud
    image: str
    other_image: str
    too_large_image: str
    zone: str
    console: str | None
    many: int
    many_volumes: int
    wait: Callable[[], None]
    lose_next_answer: Callable[[str], None]
    fail_second_page: Callable[[], None]
    break_next: Callable[[str], None]
    go_down: Callable[[int], None]
    drop: Callable[..., None]
    make_project: Callable[[str], str]


class SteppedClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.instant = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The instant it stands at."""
        return self.instant

    def step(self, seconds: float = 1.0) -> None:
        """Move on."""
        self.instant += timedelta(seconds=seconds)


@contextmanager
def simulated(folder: Path) -> Iterator[Subject]:
    """The simulated region, whose states take two seconds of a stepped clock."""
    clock = SteppedClock()
    region, small = (
        SimulatedRegion(folder / "large.sqlite"),
        SimulatedRegion(folder / "small.sqlite", sizes=SMALL),
    )

    def drop(service: str, *parts: str) -> None:
        for part in parts:
            region.inject(Fault.down, operation=f"{QUOTA_CALLS[part]}.{service}")

    yield Subject(
        cloud=SimulatedCloud(region.store, region="large", now=clock.now, latency_s=LATENCY_S),
        small=SimulatedCloud(small.store, region="small", now=clock.now, latency_s=LATENCY_S),
        image="Debian-12",
        other_image="openEuler-24.03-LTS",
        too_large_image="Kylin-Server-V10-SP3",
        zone="extranet",
        console=None,
        many=1_205,
        many_volumes=250,
        wait=clock.step,
        lose_next_answer=lambda call: region.inject(Fault.timed_out_but_done, operation=call),
        fail_second_page=lambda: region.inject(Fault.second_page_fails),
        break_next=lambda call: region.inject(Fault.ends_in_error, operation=call),
        go_down=lambda calls: region.inject(Fault.down, count=calls),
        drop=drop,
        make_project=lambda name: region.make_project(name=name),
    )
    region.store.close()
    small.store.close()


@contextmanager
def openstack(_folder: Path) -> Iterator[Subject]:
    """The lab's OpenStack: answers are lost in a proxy, a server asked to be too large finds no host."""
    with openstack_lab.turn("city") as city, openstack_lab.turn("small") as small:
        city.cloud.ensure_flavor(name="impossible", vcpus=100_000, ram_mib=1, root_gib=20)
        impossible = next(one.id for one in city.cloud.list_flavors() if one.name == "impossible")

        def make_impossible(body: dict[str, Any]) -> None:
            body["server"]["flavorRef"] = impossible

        def go_down(calls: int) -> None:
            city.proxies["compute"].drop_next("", calls)

        def drop(service: str, *parts: str) -> None:
            methods = "|".join(QUOTA_METHODS[part] for part in parts)
            city.proxies[QUOTA_PROXIES[service]].drop_next(f"({methods}) .*/os-quota-sets/", len(parts))

        yield Subject(
            cloud=city.cloud,
            small=small.cloud,
            image="Debian-12",
            other_image="openEuler-24.03-LTS",
            too_large_image="Kylin-Server-V10-SP3",
            zone="extranet",
            console="http://127.0.0.1:",
            many=2 * openstack_lab.PAGE_SIZE + 5,
            many_volumes=2 * openstack_lab.PAGE_SIZE + 5,
            wait=lambda: time.sleep(openstack_lab.POLL_S),
            lose_next_answer=lambda call: city.proxies[REQUESTS[call][0]].lose_next_answer(REQUESTS[call][1]),
            fail_second_page=lambda: city.proxies["compute"].drop_next("GET .*marker="),
            break_next=lambda call: city.proxies["compute"].alter_next(REQUESTS[call][1], make_impossible),
            go_down=go_down,
            drop=drop,
            make_project=city.make_project,
        )


REQUESTS = {
    "create_server": ("compute", r"POST .*/servers$"),
    "create_volume": ("block-storage", r"POST .*/volumes$"),
    "create_address": ("network", r"POST .*/floatingips$"),
    "set_quota.cinder": ("block-storage", r"PUT .*/os-quota-sets/"),
}
QUOTA_CALLS = {"write": "set_quota", "read": "get_quota"}
QUOTA_METHODS = {"write": "PUT", "read": "GET"}
QUOTA_PROXIES = {"nova": "compute", "cinder": "block-storage"}
CLOUDS: dict[str, Callable[[Path], AbstractContextManager[Subject]]] = {
    "openstack": openstack,
    "simulated": simulated,
}
