"""Taking over servers that were there before the records: what was seen of one, and whose a project looks.

Pure: no row, no cloud and no clock here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Self
from unicodedata import normalize

from provisioning.quota import DIMENSIONS, Limits, Resources, total_used

CANDIDATES = 3
ALIKE = 0.5
"""From which likeness of names, of 1, a bureau is worth naming as a candidate."""
SHORTEST_NAME = 3
"""How many characters of a bureau's name must stand within a project's words to mean it."""
GRANTED_IN_STEPS_OF = {"ram_mib": 1024}
"""What a proposed grant is rounded up to a multiple of; 1 for all else."""
_NUMBERED = re.compile(r"[-_.]?\d+$")
_PARTS = re.compile(r"[^0-9A-Za-z]+")
_CODE_PART = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]*")

Pair = tuple[str, str]
"""A text in Chinese and English."""


@dataclass(frozen=True, kw_only=True)
class SeenVolume:
    """A volume attached to a server that was seen."""

    id: str
    name: str
    size_gib: int

    @property
    def amounts(self) -> Resources:
        """What it would hold of its bureau's quota."""
        return Resources.of(volumes=1, volume_gib=self.size_gib)


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A server as its cloud showed it once.

    `bureau_code` is whose its project is by its tag, empty for nobody's; `project_servers` is how many
    servers stood there. `image` is a name, or an id where the image is gone, empty for a server that starts
    from a volume; `zone` is None where its networks are of no zone.
    """

    cloud_id: str
    name: str
    tag: str | None
    project_id: str
    bureau_code: str
    project_servers: int
    status: str
    flavor: str
    vcpus: int
    ram_mib: int
    root_gib: int
    image: str
    zone: str | None
    volumes: tuple[SeenVolume, ...]

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """From its JSON object."""
        volumes = tuple(SeenVolume(**one) for one in document["volumes"])
        return cls(**{**document, "volumes": volumes})

    def document(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @property
    def amounts(self) -> Resources:
        """What the server without its volumes would hold of its bureau's quota."""
        return Resources.of(servers=1, vcpus=self.vcpus, ram_mib=self.ram_mib, root_gib=self.root_gib)

    @property
    def total(self) -> Resources:
        """What it and its volumes would hold."""
        return total_used([self.amounts, *(one.amounts for one in self.volumes)])


@dataclass(frozen=True)
class KnownBureau:
    """A living bureau as proposals need it."""

    code: str
    name: str


@dataclass(frozen=True)
class ProposedBureau:
    """Whose a project seems to be: a code, empty where that is unsure; why; and who else it may be."""

    code: str
    why: Pair
    candidates: tuple[KnownBureau, ...] = ()


def propose_bureau(
    name: str, description: str, tagged: str, bureaus: Sequence[KnownBureau]
) -> ProposedBureau:
    """By the project's tag, else a bureau's code among its words, else a bureau's name among them.

    Where several fit equally well none is proposed.
    """
    by_code = {one.code.casefold(): one for one in bureaus}
    if tagged:
        owner = by_code.get(tagged.casefold())
        if owner is None:
            return ProposedBureau(
                "", (f"项目标签中的单位 {tagged} 不在部门树中", f"tagged {tagged}: unknown")
            )
        return ProposedBureau(owner.code, ("项目标签", "by its tag"))
    words = f"{plain(name)}\n{plain(description)}"
    named = {code for code in by_code if _holds_code(words.casefold(), code)}
    longest = [one for one in named if not any(one != other and one in other for other in named)]
    if len(longest) == 1:
        return ProposedBureau(by_code[longest[0]].code, ("项目名称或说明中有单位代码", "a code in its words"))
    if longest:
        found = tuple(by_code[one] for one in sorted(longest))[:CANDIDATES]
        return ProposedBureau("", ("项目名称或说明中有多个单位代码", "several codes in its words"), found)
    return _by_name(words, bureaus)


def propose_prefix(names: Sequence[str]) -> dict[str, str]:
    """For each server's name, the beginning that it shares with others, as a part of a system's code.

    `oa-web-01` and `oa-db` are of `oa`; a name that shares no beginning has an empty one.
    """
    firsts = {name: _first_part(name) for name in names}
    shared = [one for one in firsts.values() if one]
    return {name: first if shared.count(first) > 1 else "" for name, first in firsts.items()}


def propose_grant(held: Resources, *, margin_percent: int) -> Limits:
    """What is held and `margin_percent` more, rounded up to whole GiB of RAM and whole units of all else."""
    grant = {}
    for dimension in DIMENSIONS:
        step = GRANTED_IN_STEPS_OF.get(dimension.key, 1)
        wanted = -(-held[dimension.key] * (100 + margin_percent) // 100)
        grant[dimension.key] = -(-wanted // step) * step
    return Limits.parse(grant)


def plain(text: str) -> str:
    """Text as names are compared: full-width characters as their common twins, one space at a time."""
    return " ".join(normalize("NFKC", text).split())


def _holds_code(words: str, code: str) -> bool:
    """Whether the code stands there whole: 130602 is found neither in 1306021 nor in 130602-xyz."""
    return re.search(rf"(?<![0-9a-z]){re.escape(code)}(?![0-9a-z]|-[0-9a-z])", words) is not None


def _by_name(words: str, bureaus: Sequence[KnownBureau]) -> ProposedBureau:
    names = [(plain(one.name), one) for one in bureaus]
    exact = [one for name, one in names if name in words.split("\n")]
    within = [
        (len(name), one) for name, one in names if len(name) >= SHORTEST_NAME and name and name in words
    ]
    longest = max((length for length, _ in within), default=0)
    found = exact or [one for length, one in within if length == longest]
    if len(found) == 1:
        return ProposedBureau(found[0].code, ("项目名称或说明中有单位名称", "a bureau's name in its words"))
    if found:
        why = (f"有 {len(found)} 个单位同名", f"{len(found)} bureaus are called so")
        return ProposedBureau("", why, tuple(found[:CANDIDATES]))
    likeness = [(SequenceMatcher(a=words, b=name), one) for name, one in names]
    near = [
        (matcher.ratio(), one)
        for matcher, one in likeness
        if matcher.real_quick_ratio() >= ALIKE and matcher.quick_ratio() >= ALIKE
    ]
    near = sorted((one for one in near if one[0] >= ALIKE), key=lambda one: (-one[0], one[1].code))
    why = ("名称、说明和标签均看不出单位", "its name, words and tag tell of no bureau")
    return ProposedBureau("", why, tuple(one for _, one in near[:CANDIDATES]))


def _first_part(name: str) -> str:
    whole = plain(name).casefold()
    part = _PARTS.split(_NUMBERED.sub("", whole))[0]
    part = _NUMBERED.sub("", part)
    return part if part and _CODE_PART.fullmatch(part) else ""
