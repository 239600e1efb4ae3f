"""Whether a request makes sense: its system, zone, dates and lines, before anybody decides on it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NoReturn, Self

from sqlalchemy.orm import Session

from identity.queries import get_bureau_by_id, get_system_by_id
from infra.clock import city_date
from infra.textfile import printable
from provisioning.errors import NoSuchRegion, RequestInvalid
from provisioning.models import KINDS, Region, Request, RequestLine, Server
from provisioning.queries import (
    find_adopting,
    find_flavor,
    find_image,
    find_lease,
    find_recorded,
    get_server,
    get_volume,
)
from provisioning.service.removal_asking import find_objection

NEW_SERVERS = ("new_system", "servers")
WITHOUT_SYSTEM = ("quota_change", "removal")
RECORDS_SERVERS = (*NEW_SERVERS, "adoption")
"""Kinds after which the records have more servers than before."""
CLOUD_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
GRADES = (1, 2, 3)
ZONES = ("internet", "extranet")
LINES_AT_MOST = 200
SERVERS_AT_MOST = 1000
VOLUME_GIB_AT_MOST = 1024 * 1024
PURPOSE_LENGTH = 2000


@dataclass(frozen=True)
class LineAsked:
    """`count` new servers with a data volume of `volume_gib` each (0: none), or a change to `target_id`, or
    the server that is `cloud_id` in the cloud and has no record yet, or that `finding_id` be removed,
    or `volume_gib` in all for the volume `volume_id`, whose server is `target_id`.
    """

    count: int = 1
    flavor: str | None = None
    image: str | None = None
    volume_gib: int = 0
    target_id: int | None = None
    cloud_id: str | None = None
    finding_id: int | None = None
    volume_id: int | None = None

    @classmethod
    def of(cls, line: RequestLine) -> Self:
        """As a stored line has it."""
        named = None if line.finding_id is not None else line.cloud_id
        return cls(
            line.count,
            line.flavor,
            line.image,
            line.volume_gib,
            line.target_id,
            named,
            line.finding_id,
            line.volume_id,
        )


def check_request(session: Session, request: Request, lines: Sequence[LineAsked], *, at: datetime) -> None:
    """Raises RequestInvalid for what cannot be, NoSuchRegion, NotFound."""
    if request.kind not in KINDS:
        _refuse(f"没有“{request.kind}”类申请", f"there is no kind {request.kind}")
    if session.get(Region, request.region) is None:
        raise NoSuchRegion(region=request.region)
    if not 0 < len(request.purpose.strip()) <= PURPOSE_LENGTH:
        _refuse(
            f"用途须为 1–{PURPOSE_LENGTH} 字",
            f"the purpose is not 1 to {PURPOSE_LENGTH} characters",
            field="purpose",
        )
    if get_bureau_by_id(session, bureau_id=request.bureau_id).abolished_at is not None:
        _refuse("该单位已撤销", "the bureau was abolished")
    if request.kind == "quota_change":
        if request.limit is None or lines:
            _refuse(
                "配额调整须给出新配额，且无明细行",
                "a quota change names the new quota and has no lines",
                field="limit",
            )
        return
    if request.kind not in WITHOUT_SYSTEM:
        _check_system(session, request)
    ends = request.kind in (*RECORDS_SERVERS, "extension")
    if ends and request.end_on is None:
        _refuse("须给出截止日期", "it needs an end date", field="end_on")
    if ends and request.end_on is not None and request.end_on < city_date(at):
        _refuse(f"截止日期 {request.end_on} 已过", f"its end date {request.end_on} is past", field="end_on")
    if not 0 < len(lines) <= LINES_AT_MOST:
        _refuse(
            f"明细须为 1–{LINES_AT_MOST} 行", f"it does not have 1 to {LINES_AT_MOST} lines", field="lines"
        )
    targets = [line.target_id or line.cloud_id or line.finding_id for line in lines]
    named = [one for one in targets if one is not None]
    if len(set(named)) < len(named):
        _refuse("同一云服务器只能出现在一行", "a server stands in more than one line", field="lines")
    for number, line in enumerate(lines, start=1):
        if (line.cloud_id is not None) != (request.kind == "adoption"):
            _refuse(
                f"第 {number} 行：云平台上的编号只用于接管，接管须写明该编号",
                f"line {number}: an id in the cloud is for an adoption, which names one in every line",
                line=number,
            )
        if request.kind == "removal":
            _check_removed(session, request, line, number)
        elif request.kind == "adoption":
            _check_adopted(session, request, line, number)
        elif request.kind in NEW_SERVERS:
            _check_new(session, request, line, number)
        else:
            _check_change(session, request, line, number)
    if sum(line.count for line in lines) > SERVERS_AT_MOST:
        _refuse(
            f"一次最多 {SERVERS_AT_MOST} 台",
            f"it asks for more than {SERVERS_AT_MOST} servers",
            field="lines",
        )


def _check_system(session: Session, request: Request) -> None:
    if request.system_id is None:
        _refuse("须指明信息系统", "it names no information system")
    system = get_system_by_id(session, system_id=request.system_id)
    if system.retired_at is not None:
        _refuse(f"信息系统 {system.code} 已下线", f"information system {system.code} is retired")
    if system.mlps_grade not in GRADES:
        _refuse(
            f"等保 {system.mlps_grade} 级的信息系统 {system.code} 不能上政务云",
            f"information system {system.code} has MLPS grade {system.mlps_grade}; the cloud takes 1 to 3",
        )
    if request.zone not in ZONES or request.zone != system.zone:
        _refuse(
            f"网络区须为信息系统 {system.code} 登记的 {system.zone}",
            f"the network zone is not {system.zone}, as registered for information system {system.code}",
        )


def _check_new(session: Session, request: Request, line: LineAsked, number: int) -> None:
    is_other = (line.target_id, line.finding_id, line.volume_id) != (None, None, None)
    if line.count < 1 or not 0 <= line.volume_gib <= VOLUME_GIB_AT_MOST or is_other:
        _refuse(
            f"第 {number} 行的数量或云硬盘容量有误",
            f"the count or volume size of line {number} is wrong",
            line=number,
        )
    flavor = find_flavor(session, region=request.region, name=line.flavor or "")
    image = find_image(session, region=request.region, name=line.image or "")
    if flavor is None or image is None:
        _refuse(
            f"第 {number} 行：区域 {request.region} 没有规格 {line.flavor} 或镜像 {line.image}",
            f"line {number}: region {request.region} has no flavor {line.flavor} or no image {line.image}",
            line=number,
        )
    if image.min_root_gib > flavor.root_gib or image.min_ram_mib > flavor.ram_mib:
        _refuse(
            f"第 {number} 行：规格 {flavor.name} 小于镜像 {image.name} 的最低要求",
            f"line {number}: flavor {flavor.name} is smaller than image {image.name} needs",
            line=number,
        )


def _check_adopted(session: Session, request: Request, line: LineAsked, number: int) -> None:
    cloud_id = line.cloud_id or ""
    if line != LineAsked(cloud_id=cloud_id):
        _refuse(
            f"第 {number} 行：接管只须写明云平台上的编号，其余以云上现状为准",
            f"line {number}: an adoption names the id in the cloud alone, all else is as it is there",
            line=number,
        )
    if not CLOUD_ID.fullmatch(cloud_id):
        _refuse(
            f"第 {number} 行：{printable(cloud_id, length=64)} 不是云平台上的编号",
            f"line {number}: {printable(cloud_id, length=64)} is no id of a server in a cloud",
            line=number,
        )
    recorded = find_recorded(session, region=request.region, cloud_ids=[cloud_id])
    if recorded is not None:
        _refuse(
            f"第 {number} 行：{cloud_id} 已登记为云服务器 {recorded.name}",
            f"line {number}: {cloud_id} is recorded already as server {recorded.name}",
            line=number,
        )
    other = find_adopting(session, region=request.region, cloud_ids=[cloud_id], besides=request.id)
    if other is not None and request.state == "draft":
        _refuse(
            f"第 {number} 行：{cloud_id} 正由申请 {other.request_id} 接管或移除",
            f"line {number}: {cloud_id} is being adopted or removed by request {other.request_id}",
            line=number,
        )


def _check_removed(session: Session, request: Request, line: LineAsked, number: int) -> None:
    if line.finding_id is None or line != LineAsked(finding_id=line.finding_id):
        _refuse(
            f"第 {number} 行：移除只须写明核对结果的编号",
            f"line {number}: a removal names a finding alone",
            line=number,
        )
    why = find_objection(session, request, line.finding_id)
    if why is not None:
        _refuse(f"第 {number} 行：{why[0]}", f"line {number}: {why[1]}", line=number)


def _check_change(session: Session, request: Request, line: LineAsked, number: int) -> None:
    if line.target_id is None or line.count != 1 or line.finding_id is not None:
        _refuse(f"第 {number} 行须指明一台云服务器", f"line {number} does not name one server", line=number)
    server = get_server(session, line.target_id)
    if server.system_id != request.system_id or server.region != request.region:
        _refuse(
            f"第 {number} 行：云服务器 {server.name} 不属于该信息系统或区域",
            f"line {number}: server {server.name} is not of this information system and region",
            line=number,
        )
    if (request.kind == "enlargement") != (line.volume_id is not None):
        _refuse(
            f"第 {number} 行：扩容须指明云硬盘，其他申请不得指明",
            f"line {number}: larger volumes name a volume, and nothing else does",
            line=number,
        )
    if line.volume_id is not None:
        _check_larger(session, server, line, line.volume_id, number)
    if request.kind == "volumes" and not 0 < line.volume_gib <= VOLUME_GIB_AT_MOST:
        _refuse(f"第 {number} 行的云硬盘容量有误", f"the volume size of line {number} is wrong", line=number)
    if request.kind == "resize":
        flavor = find_flavor(session, region=request.region, name=line.flavor or "")
        if flavor is None or flavor.name == server.flavor:
            _refuse(
                f"第 {number} 行：没有规格 {line.flavor}，或规格未变",
                f"line {number}: there is no flavor {line.flavor}, or the server has it already",
                line=number,
            )
    lease = find_lease(session, server.id)
    if request.kind == "extension" and lease and request.end_on and request.end_on <= lease.end_on:
        _refuse(
            f"第 {number} 行：云服务器 {server.name} 的期限已至 {lease.end_on}",
            f"line {number}: the lease of server {server.name} lasts to {lease.end_on} already",
            line=number,
        )


def _check_larger(session: Session, server: Server, line: LineAsked, volume_id: int, number: int) -> None:
    volume = get_volume(session, volume_id)
    if volume.server_id != server.id or volume.state != "active":
        _refuse(
            f"第 {number} 行：云硬盘 {volume.name} 不属于云服务器 {server.name}，或不在用",
            f"line {number}: volume {volume.name} is not of server {server.name}, or not in use",
            line=number,
        )
    if not volume.size_gib < line.volume_gib <= VOLUME_GIB_AT_MOST:
        _refuse(
            f"第 {number} 行：云硬盘 {volume.name} 现为 {volume.size_gib} GiB，只能扩大，"
            f"且不超过 {VOLUME_GIB_AT_MOST} GiB",
            f"line {number}: volume {volume.name} has {volume.size_gib} GiB and can only grow, to at most "
            f"{VOLUME_GIB_AT_MOST}",
            line=number,
        )


def with_servers(session: Session, lines: Sequence[LineAsked]) -> list[LineAsked]:
    """The lines, those with a volume naming its server too. Raises NotFound."""
    return [
        line
        if line.volume_id is None
        else replace(line, target_id=get_volume(session, line.volume_id).server_id)
        for line in lines
    ]


def _refuse(why_zh: str, why_en: str, *, field: str | None = None, line: int | None = None) -> NoReturn:
    raise RequestInvalid(why_zh=why_zh, why_en=why_en, field=field, line=line)
