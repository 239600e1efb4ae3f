"""What is wrong with a file of an adoption: in itself, against the cloud as it is, against the records."""

from collections.abc import Iterator, Sequence
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import Bureau, System
from identity.names import code_fault, text_fault
from provisioning.adoption import Pair, Sighting
from provisioning.adoption_sheet import GRANTS, SERVERS, Problem, ServerRow, Sheets, read_sheets
from provisioning.errors import AdoptionRefused
from provisioning.models import Server
from provisioning.queries import find_adopting, find_recorded
from provisioning.service.adoption_book import read_book

AT_REST = ("ACTIVE", "SHUTOFF")


def read_file(raw: bytes) -> Sheets:
    """What the workbook asks for. Raises AdoptionFileUnreadable, AdoptionRefused with every fault."""
    sheets, problems = read_sheets(*read_book(raw))
    _refuse(problems)
    return sheets


def check_sheets(
    session: Session, sheets: Sheets, seen: Sequence[Sighting], *, region: str, on: date
) -> list[ServerRow]:
    """The rows that are not recorded yet. Raises AdoptionRefused with every fault of the file."""
    bureaus = {one.code: one for one in session.scalars(select(Bureau))}
    systems = {one.code: one for one in session.scalars(select(System))}
    there = {one.cloud_id: one for one in seen}
    problems: list[Problem] = []
    fresh = []
    for row in sheets.servers:
        holder = find_recorded(session, region=region, cloud_ids=[row.cloud_id])
        if holder is not None and holder.cloud_id == row.cloud_id and _is_same(row, holder, bureaus, systems):
            continue
        found = [
            *_of_bureau(row.bureau, bureaus),
            *_of_system(row, bureaus, systems),
            *_of_cloud(row, there.get(row.cloud_id), region),
            *_of_records(session, row, there.get(row.cloud_id), region=region),
        ]
        if row.end_on < on:
            found.append(("end_on", (f"{row.end_on} 已过", f"{row.end_on} is past")))
        problems += [Problem(SERVERS, row.row, column, why) for column, why in found]
        fresh.append(row)
    for grant in sheets.grants:
        problems += [Problem(GRANTS, grant.row, *fault) for fault in _of_bureau(grant.bureau, bureaus)]
    _refuse(problems)
    return fresh


def _is_same(row: ServerRow, holder: Server, bureaus: dict[str, Bureau], systems: dict[str, System]) -> bool:
    """Whether the record of the server says of it what the row does."""
    bureau, system = bureaus.get(row.bureau), systems.get(row.system)
    return (bureau and bureau.id, system and system.id) == (holder.bureau_id, holder.system_id)


def _of_bureau(code: str, bureaus: dict[str, Bureau]) -> Iterator[tuple[str, Pair]]:
    bureau = bureaus.get(code)
    if bureau is None:
        yield "bureau", (f"部门树中没有单位 {code}", f"there is no bureau {code}")
    elif bureau.abolished_at is not None:
        yield (
            "bureau",
            (f"单位 {code}（{bureau.name}）已撤销", f"bureau {code} ({bureau.name}) was abolished"),
        )


def _of_system(
    row: ServerRow, bureaus: dict[str, Bureau], systems: dict[str, System]
) -> Iterator[tuple[str, Pair]]:
    system, bureau = systems.get(row.system), bureaus.get(row.bureau)
    if system is None:
        for column, fault in (
            ("system", code_fault(row.system)),
            ("system_name", text_fault(row.system_name, field="system_name")),
        ):
            if fault is not None:
                yield column, (fault.message("zh"), fault.message("en"))
        return
    if bureau is not None and system.bureau_id != bureau.id:
        yield "system", (f"信息系统 {system.code} 属于其他单位", f"system {system.code} is another bureau's")
    if system.retired_at is not None:
        yield "system", (f"信息系统 {system.code} 已下线", f"system {system.code} is retired")
    if system.zone != row.zone:
        yield (
            "zone",
            (
                f"信息系统 {system.code} 登记的网络区是 {system.zone}",
                f"system {system.code} is registered in zone {system.zone}",
            ),
        )


def _of_cloud(row: ServerRow, seen: Sighting | None, region: str) -> Iterator[tuple[str, Pair]]:
    if seen is None:
        yield (
            "cloud_id",
            (
                f"区域 {region} 的云平台上已没有云服务器 {row.cloud_id}",
                f"server {row.cloud_id} is not in the cloud of region {region} any more",
            ),
        )
        return
    if seen.status not in AT_REST:
        yield (
            "cloud_id",
            (f"云服务器为 {seen.status}，须为 ACTIVE 或 SHUTOFF", f"the server is {seen.status}"),
        )
    if seen.zone is not None and seen.zone != row.zone:
        yield "zone", (f"云服务器在网络区 {seen.zone}", f"the server is in zone {seen.zone}")
    columns = ("vcpus", "ram_mib", "root_gib", "volumes", "volume_gib")
    disks = [volume.size_gib for volume in seen.volumes]
    now = (seen.vcpus, seen.ram_mib, seen.root_gib, len(disks), sum(disks))
    for column, then, is_now in zip(columns, row.size, now, strict=True):
        if then != is_now:
            yield (
                column,
                (f"文件为 {then}，云上现为 {is_now}", f"the file has {then}, the cloud {is_now} now"),
            )


def _of_records(
    session: Session, row: ServerRow, seen: Sighting | None, *, region: str
) -> Iterator[tuple[str, Pair]]:
    ids = [row.cloud_id, *(volume.id for volume in seen.volumes)] if seen else [row.cloud_id]
    holder = find_recorded(session, region=region, cloud_ids=ids, tag=seen.tag if seen else None)
    if holder is not None:
        yield (
            "cloud_id",
            (f"已登记为云服务器 {holder.name}", f"it is recorded already as server {holder.name}"),
        )
        return
    line = find_adopting(session, region=region, cloud_ids=[row.cloud_id], besides=None)
    if line is not None:
        yield (
            "cloud_id",
            (f"正由申请 {line.request_id} 接管", f"it is being adopted by request {line.request_id}"),
        )


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        told = [{"zh": one.message("zh"), "en": one.message("en")} for one in problems]
        raise AdoptionRefused(total=len(told), problems=told)
