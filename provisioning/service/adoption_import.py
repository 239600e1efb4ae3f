"""Imports a reviewed adoption: checked whole, then recorded in one transaction, then tagged in the cloud.

The operator's act of importing is the decision: what is imported has no case.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import NoReturn

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from approval.queries import holds_role
from identity.models import Bureau, Person
from identity.queries import find_bureau, find_system, list_tops
from identity.roles import Role
from identity.service.people import find_person_by_login
from identity.service.systems import register_system
from identity.service.tree import keep_tree_still
from infra.clock import city_date
from infra.database import reading, transaction
from provisioning.adoption import Sighting
from provisioning.adoption_sheet import ServerRow, Sheets
from provisioning.cloud.driver import Cloud
from provisioning.errors import NotAnOperator
from provisioning.models import Request, RequestLine, Server
from provisioning.queries import get_region
from provisioning.quota import Limits, Resources, total_used
from provisioning.service.adoption import take_up
from provisioning.service.adoption_check import check_sheets, read_file
from provisioning.service.adoption_grants import raise_grants
from provisioning.service.adoption_proposal import sight_region, unrecorded
from provisioning.service.fulfil import claim_for
from provisioning.service.offers import learn_region
from provisioning.service.servers import provision_server
from provisioning.service.settling import record_request


@dataclass(frozen=True)
class Raised:
    """A grant that was too small: whose, what it was and what it is."""

    code: str
    name: str
    old: Limits
    new: Limits


@dataclass(frozen=True)
class AdoptionReport:
    """What an import did, or would do: codes of systems made, ids of requests, how many servers and volumes,
    how many were recorded before, the names of those that the cloud has and the file leaves, its SM3 digest.
    """

    digest: str
    systems: tuple[str, ...]
    request_ids: tuple[int, ...]
    servers: int
    volumes: int
    grants: tuple[Raised, ...]
    known: int
    left: tuple[str, ...]

    @property
    def is_noop(self) -> bool:
        """Whether all that the file asks for was recorded before."""
        return not (self.servers or self.systems or self.grants)


def import_adoption(
    engine: Engine, cloud: Cloud, *, raw: bytes, login: str, at: datetime, actor: str, rehearse: bool = False
) -> AdoptionReport:
    """Record what the workbook `raw` says of the cloud's servers, in the name of the operator `login`.

    All of it or nothing; once more changes nothing. `rehearse`: the same, rolled back. The servers are then
    to be visited, which `settle_adoptions` or a worker does. Raises AdoptionFileUnreadable, AdoptionRefused
    with every fault, CapacityExceeded and QuotaExceeded with every shortfall, NotAnOperator, NoSuchRegion,
    ServerRecorded, `CloudFailure`.
    """
    sheets = read_file(raw)
    learn_region(engine, cloud, at=at)
    seen = sight_region(cloud)
    with reading(engine) as session:
        get_region(session, cloud.region)
        fresh = check_sheets(session, sheets, seen, region=cloud.region, on=city_date(at))
        left = unrecorded(session, cloud.region, seen)
    named = {row.cloud_id for row in fresh}
    report = AdoptionReport(
        digest=hashlib.new("sm3", raw).hexdigest(),
        systems=(),
        request_ids=(),
        servers=0,
        volumes=0,
        grants=(),
        known=len(sheets.servers) - len(fresh),
        left=tuple(one.name for one in left if one.cloud_id not in named),
    )
    sightings = {one.cloud_id: one for one in seen}
    try:
        with transaction(engine) as session:
            keep_tree_still(session)
            done = _record(
                session, cloud.region, sheets, fresh, sightings, report, login=login, at=at, actor=actor
            )
            if rehearse:
                _roll_back(done)
    except _Rehearsed as rehearsed:
        return rehearsed.report
    return done


def settle_adoptions(
    engine: Engine, cloud: Cloud, *, now: Callable[[], datetime], done: Callable[[], None]
) -> int:
    """Visit every server that an import left to be adopted, `done` after each; how many wait on.

    What waits on is visited by the workers. May be repeated, and beside them.
    """
    query = (
        select(Server.id)
        .join(RequestLine, RequestLine.id == Server.line_id)
        .join(Request, Request.id == RequestLine.request_id)
        .where(Server.region == cloud.region, Server.state == "adopting", Request.case_id.is_(None))
        .order_by(Server.id)
    )
    with reading(engine) as session:
        waiting = session.scalars(query).all()
    for server_id in waiting:
        provision_server(engine, cloud, server_id=server_id, now=now)
        done()
    with reading(engine) as session:
        return len(session.scalars(query).all())


def _record(
    session: Session,
    region: str,
    sheets: Sheets,
    fresh: Sequence[ServerRow],
    seen: dict[str, Sighting],
    report: AdoptionReport,
    *,
    login: str,
    at: datetime,
    actor: str,
) -> AdoptionReport:
    """Systems, requests with their servers, then grants, then claims: in the order in which all lock them."""
    person = _operator(session, login, at=at)
    made = _make_systems(session, fresh, at=at, actor=actor)
    groups: dict[tuple[str, date], list[ServerRow]] = defaultdict(list)
    for row in fresh:
        groups[row.system, row.end_on].append(row)
    requests = [
        _make_request(session, region, rows, seen, person, report.digest, at=at)
        for _, rows in sorted(groups.items())
    ]
    taken = [(one, take_up(session, one, lines, at=at)) for one, lines in requests]
    brought: dict[int, Resources] = defaultdict(Resources)
    for one, rows_of in taken:
        brought[one.bureau_id] += total_used(each.amounts for each in rows_of.held)
    raised = raise_grants(
        session,
        region=region,
        wanted=_wanted(session, sheets),
        brought=brought,
        at=at,
        actor=actor,
        reason=_purpose(report.digest),
    )
    for one, rows_of in taken:
        claim_for(session, one, rows_of.held, at=at, actor=actor)
        told = {
            "file_sm3": report.digest,
            "operator": login,
            "cloud_ids": [x.cloud_id for x in rows_of.servers],
        }
        record_request(session, one, act="import", at=at, actor=actor, after=told)
    session.flush()
    bureaus = {one: session.get_one(Bureau, one) for one in raised}
    return replace(
        report,
        systems=tuple(made),
        request_ids=tuple(one.id for one, _ in taken),
        servers=sum(len(rows_of.servers) for _, rows_of in taken),
        volumes=sum(len(rows_of.volumes) for _, rows_of in taken),
        grants=tuple(Raised(bureaus[one].code, bureaus[one].name, *pair) for one, pair in raised.items()),
    )


def _operator(session: Session, login: str, *, at: datetime) -> Person:
    [office, *_] = list_tops(session)
    person = find_person_by_login(session, login=login)
    if person is None or person.departed_at is not None:
        raise NotAnOperator(login=login, office=office.name)
    if not holds_role(session, person_id=person.id, role=Role.operator, bureau_id=office.id, at=at):
        raise NotAnOperator(login=login, office=office.name)
    return person


def _make_systems(session: Session, rows: Sequence[ServerRow], *, at: datetime, actor: str) -> list[str]:
    made = []
    for row in sorted({one.system: one for one in reversed(rows)}.values(), key=lambda one: one.system):
        bureau = find_bureau(session, code=row.bureau)
        if bureau is None or find_system(session, code=row.system) is not None:
            continue
        register_system(
            session,
            bureau_id=bureau.id,
            code=row.system,
            name=row.system_name,
            mlps_grade=row.mlps_grade,
            zone=row.zone,
            at=at,
            actor=actor,
        )
        made.append(row.system)
    return made


def _make_request(
    session: Session,
    region: str,
    rows: Sequence[ServerRow],
    seen: dict[str, Sighting],
    person: Person,
    digest: str,
    *,
    at: datetime,
) -> tuple[Request, list[RequestLine]]:
    """One of a system and an end date; it is in force once all its servers are adopted or given up."""
    system = find_system(session, code=rows[0].system)
    if system is None:
        raise RuntimeError(f"system {rows[0].system} was registered and is not there")
    request = Request(
        kind="adoption",
        state="provisioning",
        bureau_id=system.bureau_id,
        system_id=system.id,
        region=region,
        zone=system.zone,
        end_on=rows[0].end_on,
        purpose=_purpose(digest),
        applicant_id=person.id,
        created_at=at,
    )
    session.add(request)
    session.flush()
    lines = [
        RequestLine(
            request_id=request.id,
            position=position,
            count=1,
            volume_gib=0,
            cloud_id=row.cloud_id,
            seen=seen[row.cloud_id].document(),
            state="pending",
        )
        for position, row in enumerate(sorted(rows, key=lambda one: one.row), start=1)
    ]
    session.add_all(lines)
    session.flush()
    return request, lines


def _wanted(session: Session, sheets: Sheets) -> dict[int, Limits]:
    """What the file grants, by bureau; dimensions that it leaves out stay as they are."""
    said: dict[str, dict[str, int | None]] = defaultdict(dict)
    for row in sheets.grants:
        said[row.bureau][row.dimension] = row.grant
    found = {code: find_bureau(session, code=code) for code in said}
    return {bureau.id: Limits.parse(said[code]) for code, bureau in found.items() if bureau is not None}


def _purpose(digest: str) -> str:
    return f"接管已有云服务器（导入文件 SM3：{digest}）"


class _Rehearsed(Exception):
    def __init__(self, report: AdoptionReport) -> None:
        self.report = report
        super().__init__()


def _roll_back(report: AdoptionReport) -> NoReturn:
    raise _Rehearsed(report)
