"""The four levels of government, and which may stand below which. Pure."""

from dataclasses import dataclass

from identity.faults import Fault

LEVELS = ("city", "county", "township", "village")
TOP_LEVEL = LEVELS[0]


@dataclass(frozen=True)
class Place:
    """What of a unit decides who may stand where: its code, level and whether it is a territorial unit."""

    code: str
    level: str
    is_territorial: bool


def is_territorial_code(code: str) -> bool:
    """Whether it is a territorial unit's (national scheme: digits); a bureau's is `<unit's code>-<name>`."""
    return "-" not in code


def place_fault(unit: Place, parent: Place | None) -> Fault | None:
    """Why `unit` may not stand below `parent`, or None if it may.

    A territorial unit is of a level below its parent's, and its parent is territorial; a bureau beside the
    territorial units has its parent's level; only a city has no parent.
    """
    facts = {"code": unit.code, "level": unit.level}
    if parent is None:
        return None if unit.is_territorial and unit.level == TOP_LEVEL else Fault("no_parent", facts)
    facts |= {"parent": parent.code, "parent_level": parent.level}
    if not unit.is_territorial:
        return None if unit.level == parent.level else Fault("level_not_beside", facts)
    if not parent.is_territorial:
        return Fault("below_bureau", facts)
    if LEVELS.index(unit.level) <= LEVELS.index(parent.level):
        return Fault("level_not_below", facts)
    return None
