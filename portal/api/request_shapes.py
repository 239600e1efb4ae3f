"""How the API shows a request: its lines, its servers, and where its case stands."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from pydantic import Field
from sqlalchemy.orm import Session

from approval.deadline import WorkCalendar
from approval.queries import CaseView, cases_by_id, view_case
from identity.queries import find_bureaus, find_persons, find_systems
from portal.api.amounts import LimitsOut, limits_out
from portal.api.clocks import ClockOut
from portal.api.shapes import In, Out
from portal.numbers import LARGEST_ID
from provisioning.models import Removal, Request, RequestLine
from provisioning.queries import list_lines, list_servers_of, removals_of
from provisioning.service.adoption import sighting_of
from provisioning.service.asking import LineAsked
from provisioning.service.looking import sight_of


class LineIn(In):
    """New servers of a kind, or what to do with one server (`server`: its id), or one to adopt, or a finding
    (of what is unrecorded) to have removed, or a volume to be larger.
    """

    count: int = Field(1, ge=1, le=1000, examples=[2])
    flavor: str | None = Field(None, max_length=255, examples=["c4-8"])
    image: str | None = Field(None, max_length=255, examples=["openEuler-24.03-LTS"])
    volume_gib: int = Field(0, ge=0, le=1024 * 1024, examples=[200])
    server: int | None = Field(
        None, ge=1, le=LARGEST_ID, description="已有云服务器编号 · id of a server that is there"
    )

    cloud_id: str | None = Field(
        None, max_length=64, description="待接管云服务器在云平台上的编号 · id in the cloud, to adopt it"
    )

    finding: int | None = Field(
        None, ge=1, le=LARGEST_ID, description="要移除的核对结果编号 · id of a finding, to have it removed"
    )

    volume: int | None = Field(
        None, ge=1, le=LARGEST_ID, description="要扩容的云硬盘编号 · id of a volume, to be volume_gib in all"
    )

    def asked(self) -> LineAsked:
        """As provisioning takes it."""
        return LineAsked(
            self.count,
            self.flavor,
            self.image,
            self.volume_gib,
            self.server,
            self.cloud_id,
            self.finding,
            self.volume,
        )


class SeenOut(Out):
    """A server that is to be adopted, as the cloud showed it."""

    name: str
    flavor: str
    vcpus: int
    ram_mib: int
    root_gib: int
    volumes: list[int] = Field(description="各云硬盘 GiB · its volumes")


class SightOut(Out):
    """A thing that is to be removed, as the cloud showed it."""

    thing: str = Field(examples=["server"])
    name: str
    size: str = Field(examples=["g2 · 2 vCPU · 4 GiB · 40 GiB"])
    status: str = Field(examples=["ACTIVE"])
    attached: list[str] = Field(description="与其相连的资源名称 · names of what is attached to it")


class LineOut(Out):
    """A line as it stands."""

    position: int
    count: int
    flavor: str | None
    image: str | None
    volume_gib: int
    server: int | None
    volume: int | None
    cloud_id: str | None
    seen: SeenOut | None = Field(description="云上所见，尚未核对则为空 · null until a worker has looked")
    finding: int | None
    sight: SightOut | None = Field(description="要移除的资源 · what is to be removed, as seen")
    state: str = Field(examples=["pending"])
    fault: dict[str, Any] | None = Field(
        description="不能移除或接管的原因（zh/en）· why it was, or cannot be, neither removed nor adopted"
    )


class ServerState(Out):
    """One server of a request."""

    id: int
    name: str = Field(examples=["1306-mzj-s1-7-1"])
    state: str = Field(examples=["creating"])
    fault: dict[str, Any] | None = Field(description="最近一次失败的原因（zh/en）· why the last try failed")


class WaitingStepOut(Out):
    """The step that waits, and until when."""

    key: str = Field(examples=["review"])
    zh: str = Field(examples=["审核"])
    en: str = Field(examples=["review"])
    limit: ClockOut | None


class RequestRow(Out):
    """A request in a list."""

    id: int
    case: str | None = Field(examples=["BD20260000001"], description="办件编号 · its case's number")
    kind: str = Field(examples=["servers"])
    state: str = Field(examples=["submitted"])
    bureau: str = Field(examples=["1306-mzj"])
    system: str | None = Field(examples=["1306-mzj-s1"])
    region: str = Field(examples=["baoding"])
    purpose: str
    applicant: str = Field(examples=["孙民政"])
    end_on: date | None
    created_at: datetime


class RequestOut(RequestRow):
    """A request whole."""

    revision: int = Field(description="无办件的为 0 · 0 without a case")
    case_state: str | None = Field(
        examples=["accepted"], description="由运营人员导入的没有办件 · null for what an operator imported"
    )
    zone: str | None = Field(examples=["extranet"])
    limit: LimitsOut | None
    lines: list[LineOut]
    servers: list[ServerState]
    waits_for: WaitingStepOut | None
    ended_at: datetime | None


class SubmittedOut(Out):
    """What became of a submission; `shortfalls` is what would be refused if it were verified now."""

    request: RequestOut
    shortfalls: list[dict[str, Any]]


def show_rows(session: Session, found: Sequence[Request]) -> dict[int, RequestRow]:
    """Requests in a list, by id."""
    return {number: RequestRow(**facts) for number, facts in _facts_of(session, found).items()}


def show_request(session: Session, request: Request, *, calendar: WorkCalendar, on: date) -> RequestOut:
    """The request whole, with its clocks as they stand on `on`."""
    view, removals = None, removals_of(session, request.id)
    if request.case_id is not None:
        view = view_case(session, case_id=request.case_id, calendar=calendar, on=on)
    return RequestOut(
        **_facts_of(session, [request])[request.id],
        revision=view.case.revision if view else 0,
        case_state=view.case.state if view else None,
        zone=request.zone,
        limit=None if request.limit is None else limits_out(request.limit),
        lines=[_line(line, removals.get(line.id)) for line in list_lines(session, request.id)],
        servers=[ServerState.model_validate(server) for server in list_servers_of(session, request.id)],
        waits_for=_waiting(view) if view else None,
        ended_at=request.ended_at,
    )


def _facts_of(session: Session, found: Sequence[Request]) -> dict[int, dict[str, Any]]:
    """By the requests' ids, what a list shows of them; as many SELECTs for many as for one."""
    bureaus = find_bureaus(session, {request.bureau_id for request in found})
    systems = find_systems(session, {request.system_id for request in found if request.system_id is not None})
    cases = cases_by_id(session, {request.case_id for request in found if request.case_id is not None})
    people = find_persons(session, {request.applicant_id for request in found})
    return {
        request.id: {
            "id": request.id,
            "case": None if request.case_id is None else cases[request.case_id].number,
            "kind": request.kind,
            "state": request.state,
            "bureau": bureaus[request.bureau_id].code,
            "system": None if request.system_id is None else systems[request.system_id].code,
            "region": request.region,
            "purpose": request.purpose,
            "applicant": people[request.applicant_id].name,
            "end_on": request.end_on,
            "created_at": request.created_at,
        }
        for request in found
    }


def _line(line: RequestLine, removal: Removal | None) -> LineOut:
    unseen = line.seen if line.seen is not None and "name" not in line.seen else None
    return LineOut(
        position=line.position,
        count=line.count,
        flavor=line.flavor,
        image=line.image,
        volume_gib=line.volume_gib,
        server=line.target_id,
        volume=line.volume_id,
        cloud_id=line.cloud_id,
        seen=_seen(line),
        finding=line.finding_id,
        sight=_sight(line),
        state=line.state,
        fault=removal.fault if removal is not None else unseen,
    )


def _sight(line: RequestLine) -> SightOut | None:
    sight = sight_of(line)
    if sight is None:
        return None
    return SightOut(
        thing=sight.thing,
        name=sight.name,
        size=sight.size,
        status=sight.status,
        attached=[one.name for one in sight.attached],
    )


def _seen(line: RequestLine) -> SeenOut | None:
    seen = sighting_of(line)
    if seen is None:
        return None
    return SeenOut(
        name=seen.name,
        flavor=seen.flavor,
        vcpus=seen.vcpus,
        ram_mib=seen.ram_mib,
        root_gib=seen.root_gib,
        volumes=[one.size_gib for one in seen.volumes],
    )


def _waiting(view: CaseView) -> WaitingStepOut | None:
    step = next((step for step in view.steps if step.state == "active"), None)
    if step is None:
        return None
    rule = next(rule for rule in view.rules if rule.key == step.key)
    clocks = [clock for clock in view.clocks if clock.step_key == step.key and clock.ended_at is None]
    limit = ClockOut.of_view(clocks[-1]) if clocks else None
    return WaitingStepOut(key=step.key, zh=rule.name_zh, en=rule.name_en, limit=limit)
