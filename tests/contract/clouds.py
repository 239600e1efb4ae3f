"""The clouds that the contract suite runs against: what a test may know of each, and how it is waited for."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault, SimulatedCloud, SimulatedRegion, Sizes

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
    """A cloud under test; `many` is more servers than its pages hold, `wait` lets a little of its time pass.

    `lose_next_answer` and `break_next` name a call; `fail_second_page` breaks the next long listing.
    `small` is a region of 64 vCPU, a pool of 2,000 GiB and 3 public addresses, apart from `cloud`.
    """

    cloud: Cloud
    small: Cloud
    image: str
    zone: str
    many: int
    wait: Callable[[], None]
    lose_next_answer: Callable[[str], None]
    fail_second_page: Callable[[], None]
    break_next: Callable[[str], None]
    go_down: Callable[[int], None]


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
    yield Subject(
        cloud=SimulatedCloud(region.store, region="large", now=clock.now, latency_s=LATENCY_S),
        small=SimulatedCloud(small.store, region="small", now=clock.now, latency_s=LATENCY_S),
        image="Debian-12",
        zone="extranet",
        many=1_205,
        wait=clock.step,
        lose_next_answer=lambda call: region.inject(Fault.timed_out_but_done, operation=call),
        fail_second_page=lambda: region.inject(Fault.second_page_fails),
        break_next=lambda call: region.inject(Fault.ends_in_error, operation=call),
        go_down=lambda calls: region.inject(Fault.down, count=calls),
    )
    region.store.close()
    small.store.close()


CLOUDS: dict[str, Callable[[Path], AbstractContextManager[Subject]]] = {"simulated": simulated}
