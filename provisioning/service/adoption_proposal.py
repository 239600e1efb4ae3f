"""What a cloud in use looks like to the records: the proposal of an adoption, for people to review."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.models import Bureau, System
from identity.names import MAX_CODE, code_fault
from infra.database import reading
from provisioning.adoption import (
    KnownBureau,
    ProposedBureau,
    SeenVolume,
    Sighting,
    propose_bureau,
    propose_grant,
    propose_prefix,
)
from provisioning.adoption_sheet import GRADES, Cell
from provisioning.cloud.driver import Cloud
from provisioning.cloud.observed import Project
from provisioning.models import QuotaAccount, Server, Volume
from provisioning.queries import get_region, list_accounts_of
from provisioning.quota import DIMENSIONS, Limits, Resources, total_of, total_used
from provisioning.service.adoption import see

USUAL_GRADE = GRADES[1]
USUAL_ZONE = "extranet"
USUAL_LEASE = timedelta(days=365)


@dataclass(frozen=True)
class Proposal:
    """The rows of the two sheets, and how many servers have a bureau proposed and how many have none."""

    servers: list[list[Cell]]
    grants: list[list[Cell]]
    decided: int
    undecided: int


def sight_region(cloud: Cloud) -> list[Sighting]:
    """Every server of the region as it is now, by project and name. Raises `CloudFailure`."""
    images = {one.id: one.name for one in cloud.list_images()}
    codes = {one.id: one.bureau_code for one in cloud.list_projects()}
    attached: dict[str, list[SeenVolume]] = defaultdict(list)
    for volume in cloud.list_volumes():
        if volume.server_id is not None:
            attached[volume.server_id].append(
                SeenVolume(id=volume.id, name=volume.name, size_gib=volume.size_gib)
            )
    found = cloud.list_servers()
    crowd: dict[str, int] = defaultdict(int)
    for server in found:
        crowd[server.project_id] += 1
    seen = [
        see(
            server,
            attached[server.id],
            bureau_code=codes.get(server.project_id, ""),
            crowd=crowd[server.project_id],
            images=images,
        )
        for server in found
    ]
    return sorted(seen, key=lambda one: (one.project_id, one.name, one.cloud_id))


def unrecorded(session: Session, region: str, seen: Sequence[Sighting]) -> list[Sighting]:
    """Those that no record is of, neither by their ids nor by their tags nor by their volumes."""
    rows = session.execute(
        select(Server.cloud_id, Server.tag, Server.state).where(Server.region == region)
    ).all()
    ended = ("failed", "given_up", "released")
    ids = {row.cloud_id for row in rows if row.cloud_id is not None}
    tags = {row.tag for row in rows if row.state not in ended}
    volumes = set(session.scalars(select(Volume.cloud_id).where(Volume.cloud_id.is_not(None))))
    return [
        one
        for one in seen
        if one.cloud_id not in ids
        and one.tag not in tags
        and not any(volume.id in volumes for volume in one.volumes)
    ]


def propose(engine: Engine, cloud: Cloud, *, on: date, margin_percent: int) -> Proposal:
    """For each server that is not recorded whose it seems to be, and what those bureaus would be granted.

    Raises `CloudFailure`, `NoSuchRegion`.
    """
    with reading(engine) as session:
        get_region(session, cloud.region)
    seen = sight_region(cloud)
    projects = {one.id: one for one in cloud.list_projects(with_others=True)}
    with reading(engine) as session:
        left = unrecorded(session, cloud.region, seen)
        living = session.execute(select(Bureau.code, Bureau.name).where(Bureau.abolished_at.is_(None)))
        bureaus = [KnownBureau(code, name) for code, name in living]
        systems = {one.code: one for one in session.scalars(select(System))}
        names = {one.code: one.name for one in bureaus}
    owners = {
        project_id: _owner(projects.get(project_id), bureaus)
        for project_id in sorted({one.project_id for one in left})
    }
    rows = _server_rows(left, projects, owners, systems, on=on)
    held: dict[str, list[Sighting]] = defaultdict(list)
    for one in left:
        if owners[one.project_id].code:
            held[owners[one.project_id].code].append(one)
    quotas = {project_id: cloud.get_quota(project_id) for project_id in owners if project_id in projects}
    with reading(engine) as session:
        accounts = _accounts(session, cloud.region, held)
    grants = [
        row
        for code in sorted(held)
        for row in _grant_rows(code, names[code], held[code], accounts.get(code), quotas, margin_percent)
    ]
    decided = sum(bool(owners[one.project_id].code) for one in left)
    return Proposal(rows, grants, decided, len(left) - decided)


def _owner(project: Project | None, bureaus: Sequence[KnownBureau]) -> ProposedBureau:
    if project is None:
        return ProposedBureau("", ("该项目已不存在", "its project is not there any more"))
    return propose_bureau(project.name, project.description, project.bureau_code, bureaus)


def _server_rows(
    left: Sequence[Sighting],
    projects: Mapping[str, Project],
    owners: Mapping[str, ProposedBureau],
    systems: Mapping[str, System],
    *,
    on: date,
) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for project_id, owner in owners.items():
        here = [one for one in left if one.project_id == project_id]
        name = projects[project_id].name if project_id in projects else project_id
        prefixes = propose_prefix([one.name for one in here])
        for one in here:
            code = _system_code(owner.code, prefixes[one.name] or name, one)
            known = systems.get(code)
            sizes: list[Cell] = [one.vcpus, one.ram_mib, one.root_gib, len(one.volumes)]
            said: list[Cell] = ["", "", None, "", None]
            if owner.code:
                said = [
                    code,
                    known.name if known else f"{prefixes[one.name] or name}",
                    known.mlps_grade if known else USUAL_GRADE,
                    known.zone if known else one.zone or USUAL_ZONE,
                    on + USUAL_LEASE,
                ]
            rows.append(
                [
                    *(one.cloud_id, one.name, name, one.status),
                    *(*sizes, sum(volume.size_gib for volume in one.volumes)),
                    *(owner.code, *said),
                    f"{owner.why[0]} · {owner.why[1]}",
                    "; ".join(f"{each.code} {each.name}" for each in owner.candidates),
                ]
            )
    return rows


def _system_code(bureau: str, part: str, seen: Sighting) -> str:
    """Of the bureau's code and the part; a zone other than the usual one has a system of its own."""
    words = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in part).split()).casefold()
    ending = "" if seen.zone in (None, USUAL_ZONE) else f"-{seen.zone}"
    code = f"{bureau}-{words or 'cloud'}"[: MAX_CODE - len(ending)].rstrip("-") + ending
    return code if code_fault(code) is None else f"{bureau}-cloud{ending}"


def _accounts(
    session: Session, region: str, codes: Mapping[str, Sequence[Sighting]]
) -> dict[str, QuotaAccount]:
    ids = {row.id: row.code for row in session.execute(select(Bureau.id, Bureau.code)) if row.code in codes}
    found = list_accounts_of(session, region=region, bureau_ids=ids)
    return {ids[bureau_id]: account for bureau_id, account in found.items()}


def _grant_rows(
    code: str,
    name: str,
    seen: Sequence[Sighting],
    account: QuotaAccount | None,
    quotas: Mapping[str, Limits],
    margin_percent: int,
) -> list[list[Cell]]:
    """A row for each dimension; what is held already counts with what would be, and no grant shrinks."""
    held = total_used([*(one.total for one in seen), account.used if account else Resources()])
    granted = account.limit if account else Limits()
    carved = account.carved if account else Limits()
    wanted = granted.higher(propose_grant(held, margin_percent=margin_percent) + carved)
    now = total_of(quotas[project] for project in sorted({one.project_id for one in seen} & set(quotas)))
    return [
        [
            *(code, name, d.key, f"{d.zh} {d.en} {d.unit}".strip()),
            *(held[d.key], _told(granted[d.key])),
            "" if d.key == "root_gib" else _told(now[d.key]),
            _told(wanted[d.key]),
        ]
        for d in DIMENSIONS
    ]


def _told(bound: int | None) -> Cell:
    return "unlimited" if bound is None else bound
