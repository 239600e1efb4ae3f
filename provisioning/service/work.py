"""What a visit is told of a server's row, and what it says of the server in its cloud."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from provisioning.cloud.observed import Server
from provisioning.quota import Resources

Fault = dict[str, str]


@dataclass(frozen=True)
class VolumeWork:
    """A data volume as its row has it; `attaching`: the visit before asked for its attachment."""

    id: int
    tag: str
    name: str
    size_gib: int
    state: str
    cloud_id: str | None
    wanted_gib: int | None = None
    attaching: bool = False


@dataclass(frozen=True)
class Adopting:
    """What an adoption needs to know besides: what was claimed for the server without its volumes, and which
    project it makes its bureau's, which has `bureau_code` (None: it leaves the server's project as it is).
    """

    amounts: Resources
    bureau_code: str
    home: str | None


@dataclass(frozen=True)
class Work:
    """A server as its row had it when the visit began at `at`, which is number `visit`.

    `bureau_id` is whose project it is built in; `project_id` is None where that fence has to be pushed first.
    `grows` is false of a resize that needs no more of the quota than it held.
    """

    server_id: int
    request_id: int
    visit: int
    at: datetime
    state: str
    tag: str
    name: str
    region: str
    bureau_id: int
    project_id: str | None
    cloud_id: str | None
    flavor: str
    wanted_flavor: str | None
    image: str
    zone: str
    refusals: int
    repushes: int
    asked: int
    volumes: tuple[VolumeWork, ...]
    grows: bool = True
    adopting: Adopting | None = None


@dataclass(frozen=True)
class Found:
    """What came of a visit: done, wait for what is under way, broken for good, gone, try again later, or make
    anew, after a longer pause, what ended in error and was taken away (`again`).

    `gone`: the server is not in the cloud any more. `seen` is the server as it was left, where its flavor
    and whether it runs decide what the records hold; so do `sizes`, GiB of volumes by their rows.
    `refused` and `over_quota` say why to try again. `asked`: how often the cloud took in what this state
    asks for; more than once, it did not keep to it. `acted`: a build went a step further, for which the cloud
    has its time from now on. `attaching`: the rows of the volumes that it asked to attach.
    """

    what: Literal["done", "wait", "broken", "gone", "retry", "again"]
    cloud_id: str | None = None
    volume_ids: Mapping[int, str] = field(default_factory=dict)
    fault: Fault | None = None
    asked: int = 0
    seen: Server | None = None
    refused: bool = False
    over_quota: bool = False
    acted: bool = False
    attaching: Collection[int] = ()
    sizes: Mapping[int, int] = field(default_factory=dict)
