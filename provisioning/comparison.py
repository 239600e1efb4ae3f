"""What differs between the records of a region's servers and volumes and what its cloud shows. Pure.

The records are read before the listing and after it. A record counts only where both readings agree, as it
may have changed while the cloud was being listed; a server that the later one knows is never unrecorded.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

from provisioning.cloud.observed import Address, Server, ServerStatus, Volume, VolumeStatus
from provisioning.quota import Resources

DELETING = "deleting"
SIZES = ("vcpus", "ram_mib", "root_gib")


class Kind(StrEnum):
    """The kinds of findings."""

    server_unrecorded = "server_unrecorded"
    server_left_over = "server_left_over"
    server_doubled = "server_doubled"
    server_missing = "server_missing"
    server_untagged = "server_untagged"
    server_resized = "server_resized"
    server_status = "server_status"
    volume_unrecorded = "volume_unrecorded"
    volume_left_over = "volume_left_over"
    volume_doubled = "volume_doubled"
    volume_missing = "volume_missing"
    volume_untagged = "volume_untagged"
    volume_resized = "volume_resized"
    volume_status = "volume_status"
    address_unrecorded = "address_unrecorded"
    quota_differs = "quota_differs"
    project_missing = "project_missing"
    project_unrecorded = "project_unrecorded"
    allocation_orphaned = "allocation_orphaned"


UNRECORDED = frozenset(
    {Kind.server_unrecorded, Kind.volume_unrecorded, Kind.address_unrecorded, Kind.project_unrecorded}
)
"""Things in the cloud that nobody was allowed to make (非授权新建)."""

Stand = Literal["running", "stopped", "gone", "moving"]
"""How a record says that its thing is in the cloud; `moving`: something is under way, and nothing is said."""


@dataclass(frozen=True, kw_only=True)
class RecordedServer:
    """A server as its row has it."""

    id: int
    tag: str
    name: str
    cloud_id: str | None
    bureau_id: int
    stand: Stand
    revision: int
    flavor: str
    amounts: Resources


@dataclass(frozen=True, kw_only=True)
class RecordedVolume:
    """A volume as its row has it; `stand` is running where it belongs on its server."""

    id: int
    tag: str
    name: str
    cloud_id: str | None
    server_id: int
    stand: Stand
    size_gib: int


@dataclass(frozen=True)
class Records:
    """One reading of the records: all that is not gone, and of what is gone those that the cloud has."""

    servers: Sequence[RecordedServer]
    volumes: Sequence[RecordedVolume]
    owners: Mapping[str, int] = field(default_factory=dict)
    """Bureaus by their projects in the cloud."""


@dataclass(frozen=True)
class Listing:
    """One listing of a region."""

    servers: Sequence[Server]
    volumes: Sequence[Volume]
    addresses: Sequence[Address]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A finding before it is written down; see `models.findings.Finding`."""

    kind: Kind
    subject: str
    name: str
    bureau_id: int | None
    server_id: int | None = None
    cloud_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def compare(before: Records, listing: Listing, after: Records) -> list[Difference]:
    """Every difference, servers first, in the order of the listing and then of the records."""
    still = {one.id: one for one in before.servers}
    steady = [one for one in after.servers if still.get(one.id) == one]
    servers: _Match[RecordedServer, Server] = _Match(after.servers, listing.servers)
    volumes: _Match[RecordedVolume, Volume] = _Match(after.volumes, listing.volumes)
    return [
        *_servers_beyond(servers, after.owners),
        *_servers_amiss(steady, servers),
        *_volumes_beyond(volumes, after, servers),
        *_volumes_amiss(before, after, steady, volumes, servers),
        *_addresses(listing.addresses, after.owners, servers),
    ]


R = TypeVar("R", bound=RecordedServer | RecordedVolume)
S = TypeVar("S", bound=Server | Volume)


class _Match(Generic[R, S]):
    """Which of what was seen is whose: by the cloud's id, and by the tag before that is known."""

    def __init__(self, recorded: Sequence[R], seen: Sequence[S]) -> None:
        self._seen = seen
        self.by_id: dict[str, S] = {one.id: one for one in seen}
        self._records: dict[str, R] = {one.cloud_id: one for one in recorded if one.cloud_id}
        self._tags: dict[str, R] = {one.tag: one for one in recorded}

    def beyond(self) -> Iterator[tuple[S, R | None, Literal["unrecorded", "left_over", "doubled"]]]:
        """What is there and ought not to be, whose it seems to be, and why it ought not."""
        for seen in self._seen:
            bearer = None if seen.tag is None else self._tags.get(seen.tag)
            record = self._records.get(seen.id)
            if record is None and bearer is not None and bearer.cloud_id is None:
                record = bearer
            if record is not None and record.stand != "gone":
                continue
            whose = record or bearer
            if whose is None:
                yield seen, None, "unrecorded"
            else:
                yield seen, whose, "left_over" if whose.stand == "gone" else "doubled"


def _servers_beyond(match: _Match[RecordedServer, Server], owners: Mapping[str, int]) -> Iterator[Difference]:
    """Servers in the cloud that ought not to be there."""
    for seen, whose, why in match.beyond():
        if seen.task == DELETING:
            continue
        yield Difference(
            kind=Kind(f"server_{why}"),
            subject=f"server:{seen.id}",
            name=seen.name,
            bureau_id=owners.get(seen.project_id, whose.bureau_id if whose else None),
            server_id=whose.id if whose else None,
            cloud_id=seen.id,
            facts={
                "project": seen.project_id,
                "status": seen.status.value,
                "flavor": seen.flavor,
                "vcpus": seen.vcpus,
                "ram_mib": seen.ram_mib,
                "root_gib": seen.root_gib,
                "made_at": seen.created_at.isoformat(),
            },
        )


def _servers_amiss(
    steady: Iterable[RecordedServer], match: _Match[RecordedServer, Server]
) -> Iterator[Difference]:
    """Records at rest whose server is gone or is another than they say."""
    for record in steady:
        if record.stand not in ("running", "stopped") or record.cloud_id is None:
            continue
        seen = match.by_id.get(record.cloud_id)
        if seen is None:
            facts = {"flavor": record.flavor, **record.amounts.document()}
            yield _of_server(record, Kind.server_missing, facts)
            continue
        if seen.tag != record.tag:
            yield _of_server(record, Kind.server_untagged, {"tag": record.tag, "found": seen.tag})
        if seen.task is not None:
            continue
        expected = ServerStatus.active if record.stand == "running" else ServerStatus.shutoff
        if seen.status != expected:
            facts = {"recorded": expected.value, "found": seen.status.value}
            yield _of_server(record, Kind.server_status, facts)
        found = {key: getattr(seen, key) for key in SIZES}
        held = {key: record.amounts[key] for key in SIZES}
        if seen.status != ServerStatus.verify_resize and (seen.flavor, found) != (record.flavor, held):
            facts = {
                "flavor": record.flavor,
                "found": seen.flavor,
                **{f"recorded_{key}": value for key, value in held.items()},
                **{f"found_{key}": value for key, value in found.items()},
            }
            yield _of_server(record, Kind.server_resized, facts)


def _volumes_beyond(
    match: _Match[RecordedVolume, Volume], after: Records, servers: _Match[RecordedServer, Server]
) -> Iterator[Difference]:
    """Volumes in the cloud that ought not to be there."""
    bureaus = {one.id: one.bureau_id for one in after.servers}
    for seen, whose, why in match.beyond():
        if seen.status == VolumeStatus.deleting:
            continue
        on = servers.by_id.get(seen.server_id or "")
        yield Difference(
            kind=Kind(f"volume_{why}"),
            subject=f"volume:{seen.id}",
            name=seen.name or seen.id,
            bureau_id=after.owners.get(seen.project_id, bureaus.get(whose.server_id) if whose else None),
            server_id=whose.server_id if whose else None,
            cloud_id=seen.id,
            facts={
                "project": seen.project_id,
                "status": seen.status.value,
                "size_gib": seen.size_gib,
                "server": on.name if on else None,
                "made_at": seen.created_at.isoformat(),
            },
        )


def _volumes_amiss(
    before: Records,
    after: Records,
    steady: Iterable[RecordedServer],
    match: _Match[RecordedVolume, Volume],
    servers: _Match[RecordedServer, Server],
) -> Iterator[Difference]:
    """Volumes of servers at rest that are gone or are other than the records say.

    Those that a server left behind which is gone itself are told of with it, not each; those of one that is
    shelved are kept for it, and Cinder shows them so.
    """
    still = {one.id: one for one in before.volumes}
    at_rest = {one.id: one for one in steady if one.stand in ("running", "stopped") and one.cloud_id}
    for record in after.volumes:
        server = at_rest.get(record.server_id)
        if server is None or record.stand != "running" or record.cloud_id is None:
            continue
        if still.get(record.id) != record:
            continue
        seen = match.by_id.get(record.cloud_id)
        if seen is None:
            yield _of_volume(record, server, Kind.volume_missing, {"size_gib": record.size_gib})
            continue
        if seen.tag != record.tag:
            facts: dict[str, Any] = {"tag": record.tag, "found": seen.tag}
            yield _of_volume(record, server, Kind.volume_untagged, facts)
        if seen.size_gib != record.size_gib:
            facts = {"size_gib": record.size_gib, "found_gib": seen.size_gib}
            yield _of_volume(record, server, Kind.volume_resized, facts)
        is_there = (seen.status, seen.server_id) == (VolumeStatus.in_use, server.cloud_id)
        shown = servers.by_id.get(server.cloud_id or "")
        if not is_there and shown is not None and shown.status != ServerStatus.shelved:
            on = servers.by_id.get(seen.server_id or "")
            facts = {"found": seen.status.value, "on": on.name if on else seen.server_id}
            yield _of_volume(record, server, Kind.volume_status, facts)


def _addresses(
    addresses: Iterable[Address], owners: Mapping[str, int], servers: _Match[RecordedServer, Server]
) -> Iterator[Difference]:
    """Siji hands out no public addresses of its own yet: whatever is there, somebody took past it."""
    for seen in addresses:
        on = servers.by_id.get(seen.server_id or "")
        yield Difference(
            kind=Kind.address_unrecorded,
            subject=f"address:{seen.id}",
            name=seen.address,
            bureau_id=owners.get(seen.project_id),
            cloud_id=seen.id,
            facts={"project": seen.project_id, "server": on.name if on else None},
        )


def _of_server(record: RecordedServer, kind: Kind, facts: Mapping[str, Any]) -> Difference:
    return Difference(
        kind=kind,
        subject=f"record:server:{record.id}",
        name=record.name,
        bureau_id=record.bureau_id,
        server_id=record.id,
        cloud_id=record.cloud_id,
        facts=facts,
    )


def _of_volume(
    record: RecordedVolume, server: RecordedServer, kind: Kind, facts: Mapping[str, Any]
) -> Difference:
    return Difference(
        kind=kind,
        subject=f"record:volume:{record.id}",
        name=record.name,
        bureau_id=server.bureau_id,
        server_id=server.id,
        cloud_id=record.cloud_id,
        facts={"server": server.name, **facts},
    )


def count_kinds(found: Collection[Difference]) -> dict[str, int]:
    """How many there are of each kind that is among them."""
    counts = Counter(one.kind for one in found)
    return {kind.value: counts[kind] for kind in Kind if counts[kind]}
