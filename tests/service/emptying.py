"""Acts of the office, of bureaus and of workers on a host that is emptied, and what came of them."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from infra.database import reading, transaction
from infra.journal import JournalEntry
from provisioning.cloud.observed import Host
from provisioning.cloud.observed import Server as Seen
from provisioning.cloud.options import Options
from provisioning.cloud.simulated import Sizes
from provisioning.models import Maintenance, MaintenanceMeets, MaintenanceMove, Server
from provisioning.queries import get_maintenance, meets_of, moves_of
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.audits import audit_region
from provisioning.service.maintenances import (
    answer_maintenance,
    end_maintenance,
    overrule_maintenance,
    plan_maintenance,
)
from provisioning.service.rounds import list_maintenances_to_tend, tend_maintenance
from tests.yard import FLAVOR, IMAGE, REGION, Yard

HOST = "compute-01"
OFFICE = "person:1"
THREE_HOSTS = Sizes(hosts=3, host_cores=512, host_ram_mib=8_388_608, host_root_gib=61_440)
ROUNDS_AT_MOST = 40


def built(yard: Yard, count: int = 3) -> list[Server]:
    """Servers of the town's, all on HOST."""
    others = [one.name for one in yard.cloud.list_hosts() if one.name != HOST]
    for name in others:
        yard.cloud.set_host_enabled(name, enabled=False, reason="x")
    asked = yard.ask(LineAsked(count=count, flavor=FLAVOR, image=IMAGE))
    yard.work()
    for name in others:
        yard.cloud.set_host_enabled(name, enabled=True, reason="")
    made = list(yard.servers(asked))
    assert {hosts(yard)[one.cloud_id or ""] for one in made} == {HOST}
    return made


def hosts(yard: Yard) -> dict[str, str | None]:
    return {one.id: one.host for one in yard.cloud.list_servers()}


def host(yard: Yard) -> Host:
    [found] = [one for one in yard.cloud.list_hosts() if one.name == HOST]
    return found


def plan(yard: Yard, *, live: bool = True, in_hours: float = 0, **how: Any) -> int:
    begins = yard.at + timedelta(hours=in_hours)
    wanted: dict[str, Any] = {"region": REGION, "host": HOST, "live": live, "reason": "更换内存"}
    wanted |= {"from_at": begins, "until_at": begins + timedelta(hours=2), **how}
    with transaction(yard.engine) as session:
        return plan_maintenance(session, **wanted, at=yard.at, actor=OFFICE).id


def answer(yard: Yard, number: int, given: Any, reason: str = "") -> None:
    who: dict[str, Any] = {"bureau_id": yard.hall.town, "actor": "person:9", "at": yard.at}
    with transaction(yard.engine) as session:
        answer_maintenance(session, maintenance_id=number, answer=given, reason=reason, **who)


def overrule(yard: Yard, number: int, reason: str = "内存故障告警") -> None:
    with transaction(yard.engine) as session:
        overrule_maintenance(session, maintenance_id=number, reason=reason, at=yard.at, actor=OFFICE)


def end(yard: Yard, number: int) -> None:
    with transaction(yard.engine) as session:
        end_maintenance(session, maintenance_id=number, at=yard.at, actor=OFFICE)


def tend(yard: Yard, cloud: Any = None) -> None:
    """What the beat has done each minute."""
    with reading(yard.engine) as session:
        due = list_maintenances_to_tend(session, at=yard.at)
    for number, _ in due:
        tend_maintenance(yard.engine, cloud or yard.cloud, maintenance_id=number, at=yard.at)
    yard.later(minutes=1)


def until(yard: Yard, number: int, state: str) -> Maintenance:
    for _ in range(ROUNDS_AT_MOST):
        if (found := row(yard, number)).state == state:
            return found
        tend(yard)
    raise AssertionError(f"it is {found.state}, {found.fault}, {hosts(yard)}")


def row(yard: Yard, number: int) -> Maintenance:
    with reading(yard.engine) as session:
        return get_maintenance(session, number)


def met(yard: Yard, number: int) -> list[MaintenanceMeets]:
    with reading(yard.engine) as session:
        return list(meets_of(session, number))


def moves(yard: Yard, number: int) -> list[MaintenanceMove]:
    with reading(yard.engine) as session:
        return list(moves_of(session, number))


def audit(yard: Yard) -> list[str]:
    found = audit_region(yard.engine, yard.cloud, scope="servers", at=yard.at)
    return [one.kind.value for one in found or []]


def acts(yard: Yard, number: int) -> list[str]:
    with reading(yard.engine) as session:
        query = select(JournalEntry.act).where(JournalEntry.subject == f"maintenance:{number}")
        return [act.removeprefix("maintenance.") for act in session.scalars(query.order_by(JournalEntry.id))]


def by_hand(yard: Yard, name: str, options: Options | None = None) -> Seen:
    """An unrecorded server, on whichever host the cloud chooses."""
    project = yard.cloud.ensure_project(bureau_code="stray", name="stray", description="x")
    yard.cloud.set_quota(project, Limits.unlimited())
    made = yard.cloud.create_server(
        tag=name,
        project_id=project,
        name=name,
        flavor=FLAVOR,
        image=IMAGE,
        zone="extranet",
        options=options or Options(),
    )
    yard.later(seconds=5)
    return yard.cloud.get_server(made)
