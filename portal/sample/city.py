"""Loads the sample city's tree, systems and people; every step may be repeated and doubles nothing."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine

from identity.data import DIVISIONS
from identity.phase1 import Phase1Group, read_phase1
from identity.queries import find_system, get_bureau
from identity.service.systems import register_system
from identity.service.tree import ImportReport, import_tree
from infra.database import transaction
from portal.guards import TREE_GUARDS

ACTOR = "installation"
CITY = "1306"


def load_tree(engine: Engine, *, at: datetime) -> ImportReport:
    """Import the city's divisions and, under the city, the bureaus that the phase-1 file names."""
    with transaction(engine) as session:
        return import_tree(session, raw=tree_file(), at=at, actor=ACTOR, guards=TREE_GUARDS, encoding="utf-8")


def tree_file() -> bytes:
    """One CSV in UTF-8: the divisions, then the city's own bureaus (1306-…)."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    own = {group.bureau_code: group for group in read_phase1() if group.bureau_code.startswith(f"{CITY}-")}
    writer.writerows((group.bureau_code, CITY, group.level, group.bureau_name) for group in own.values())
    return DIVISIONS.read_bytes().rstrip(b"\n") + b"\n" + rows.getvalue().encode()


def load_systems(engine: Engine, *, at: datetime) -> int:
    """Register every information system of phase 1 with its bureau; the number that was new."""
    new = 0
    with transaction(engine) as session:
        for code, group in system_codes(read_phase1()).items():
            if find_system(session, code=code) is not None:
                continue
            bureau = get_bureau(session, code=group.bureau_code)
            register_system(
                session,
                bureau_id=bureau.id,
                code=code,
                name=group.system,
                mlps_grade=group.mlps_grade,
                zone="extranet",
                at=at,
                actor=ACTOR,
                purpose="示例：一期政务云承载的信息系统",
            )
            new += 1
    return new


def system_codes(groups: Sequence[Phase1Group]) -> dict[str, Phase1Group]:
    """A stable code for each system: its bureau's code and its place among the bureau's systems."""
    codes: dict[str, Phase1Group] = {}
    names: dict[str, list[str]] = {}
    for group in groups:
        known = names.setdefault(group.bureau_code, [])
        if group.system not in known:
            known.append(group.system)
            codes[f"{group.bureau_code}-s{len(known)}"] = group
    return codes
