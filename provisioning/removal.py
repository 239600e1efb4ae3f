"""Removing what is in a cloud and in no record: what was seen of a thing, and whether it is still the same.

Pure: no row, no cloud and no clock here.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from provisioning.comparison import Kind

Thing = Literal["server", "volume", "address"]
Pair = tuple[str, str]
"""A text in Chinese and English."""

REMOVABLE: Mapping[str, Thing] = {
    Kind.server_unrecorded.value: "server",
    Kind.volume_unrecorded.value: "volume",
    Kind.address_unrecorded.value: "address",
}
"""What findings of a kind are about, for the kinds that a removal can name."""
THINGS: Mapping[str, Pair] = {
    "server": ("云服务器", "server"),
    "volume": ("云硬盘", "volume"),
    "address": ("公网地址", "public address"),
}
FIELDS: Mapping[str, Pair] = {
    "name": ("名称", "name"),
    "tag": ("标识", "tag"),
    "project_id": ("项目", "project"),
    "made_at": ("创建时间", "time of creation"),
    "size": ("规格", "size"),
}
"""What makes it the thing that was decided on, beside its id."""
LASTING = ("project_id", "made_at")
"""Which of it nobody can change."""


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Another thing that it is attached to, or that is attached to it, by its id in the cloud."""

    id: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Sight:
    """A server, volume or public address as its cloud showed it once.

    `made_at` is None for an address, of which the cloud does not tell. `attached` are a server's volumes, or
    the server of a volume or an address.
    """

    thing: Thing
    cloud_id: str
    name: str
    tag: str | None
    project_id: str
    made_at: str | None
    size: str
    status: str
    attached: tuple[Beside, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        return cls(**{**document, "attached": tuple(Beside(**one) for one in document["attached"])})

    def document(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @property
    def ids(self) -> list[str]:
        """Its own id and those of what it is attached to."""
        return [self.cloud_id, *(one.id for one in self.attached)]


def find_change(decided: Sight, now: Sight, *, fields: Collection[str] = tuple(FIELDS)) -> Pair | None:
    """How it differs in `fields` from what was decided on, if it does; its status may."""
    changed = [FIELDS[field] for field in fields if getattr(decided, field) != getattr(now, field)]
    if not changed:
        return None
    zh, en = THINGS[now.thing]
    fields_zh, fields_en = "、".join(one for one, _ in changed), ", ".join(one for _, one in changed)
    return (
        f"{zh} {decided.name} 已变（{fields_zh}），与审批时不同",
        f"{en} {decided.name} has changed since it was decided on: {fields_en}",
    )


def find_hold(now: Sight, *, leaving: Collection[str]) -> Pair | None:
    """Why a volume cannot be deleted as it is: its server, unless that is `leaving` too."""
    holders = [one for one in now.attached if one.id not in leaving]
    if now.thing != "volume" or not holders:
        return None
    return (
        f"云硬盘 {now.name} 挂载于云服务器 {holders[0].name}，请一并移除该云服务器，或先将云硬盘卸载",
        f"volume {now.name} is attached to server {holders[0].name}; have both removed, or detach it first",
    )


def find_newcomer(decided: Sight, now: Sight) -> Pair | None:
    """What was attached to it since it was last found to be nobody's."""
    known = {one.id for one in decided.attached}
    new = [one for one in now.attached if one.id not in known]
    if not new:
        return None
    zh, en = THINGS[now.thing]
    return (
        f"{zh} {now.name} 又与 {new[0].name} 相连，请先断开",
        f"{en} {now.name} has been attached to {new[0].name} meanwhile; have them parted first",
    )
