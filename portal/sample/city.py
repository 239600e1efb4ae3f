"""Loads the sample city's tree and systems: each once, whatever people do with it afterwards."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.data import DIVISIONS
from identity.models import Bureau, BureauVersion
from identity.phase1 import Phase1Group, read_phase1
from identity.queries import find_system
from identity.service.systems import register_system
from identity.service.tree import import_tree
from infra.database import reading, transaction
from infra.errors import NotFound
from portal.guards import TREE_GUARDS
from portal.sample.aside import Aside

ACTOR = "installation"
CITY = "1306"
HEADING = ("code", "parent_code", "level", "name")


def load_tree(engine: Engine, *, at: datetime) -> int:
    """Import the units of the city whose codes no bureau ever had; their number.

    One that was renamed, recoded, moved, merged or abolished since is left as it is.
    """
    with reading(engine) as session:
        ever = set(session.scalars(select(BureauVersion.code)))
    new = [unit for unit in city_units() if unit["code"] not in ever]
    if not new:
        return 0
    rows = io.StringIO()
    writer = csv.DictWriter(rows, HEADING, lineterminator="\n")
    writer.writeheader()
    writer.writerows(new)
    raw = rows.getvalue().encode()
    with transaction(engine) as session:
        import_tree(session, raw=raw, at=at, actor=ACTOR, guards=TREE_GUARDS, encoding="utf-8")
    return len(new)


def city_units() -> list[dict[str, str]]:
    """The city's divisions and its own bureaus (1306-…), by the names in HEADING; parents may come later."""
    own = {group.bureau_code: group for group in read_phase1() if group.bureau_code.startswith(f"{CITY}-")}
    with DIVISIONS.open(encoding="utf-8", newline="") as file:
        units = list(csv.DictReader(file))
    return units + [
        dict(zip(HEADING, (code, CITY, group.level, group.bureau_name), strict=True))
        for code, group in own.items()
    ]


def bureau_of(session: Session, code: str) -> Bureau:
    """The bureau that came into the city with this code, whatever its code is now. Raises NotFound."""
    came = select(Bureau).join(BureauVersion, BureauVersion.bureau_id == Bureau.id)
    found = session.scalar(came.where(BureauVersion.code == code).order_by(BureauVersion.id).limit(1))
    if found is None:
        raise NotFound(what_zh="单位", what_en="bureau", key=code)
    return found


def code_at_first(session: Session, bureau_id: int) -> str:
    """The code with which a bureau came into the city."""
    codes = select(BureauVersion.code).where(BureauVersion.bureau_id == bureau_id)
    return session.scalars(codes.order_by(BureauVersion.id).limit(1)).one()


def load_systems(
    engine: Engine, *, at: datetime, aside: Aside, groups: Sequence[Phase1Group] | None = None
) -> int:
    """Register every information system of phase 1 (or of `groups`) with its bureau; how many were new."""
    codes = system_codes(groups or read_phase1())
    with reading(engine) as session:
        missing = [code for code in codes if find_system(session, code=code) is None]
    for code in missing:
        group = codes[code]
        with aside.unless_refused(code), transaction(engine) as session:
            register_system(
                session,
                bureau_id=bureau_of(session, group.bureau_code).id,
                code=code,
                name=group.system,
                mlps_grade=group.mlps_grade,
                zone="extranet",
                at=at,
                actor=ACTOR,
                purpose="示例：一期政务云承载的信息系统",
            )
    return len(missing) - sum(code in aside for code in missing)


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
