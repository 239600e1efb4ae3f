"""Rounds of workers on a host that is taken out of service: look who is there, empty it, let it take servers.

The row is the job. A round that was killed anywhere is done again once its time is over: what was asked of
the cloud is written down before, and what came of it is read off the cloud.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Engine, or_, select
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.queries import find_bureaus
from infra import journal
from infra.database import transaction
from infra.errors import SijiError
from provisioning.cloud.driver import Cloud, CloudFailure, NotInCloud, Retryable
from provisioning.draining import AT_ONCE, Round, is_due, may_begin, plan_round, where_in_window
from provisioning.models import UNDER_WAY, Maintenance, MaintenanceMeets
from provisioning.queries import get_maintenance, meets_of, recorded_among, stand_of
from provisioning.service.host_records import (
    Fault,
    read_moves,
    stuck_fault,
    write_answers,
    write_meets,
    write_moves,
)
from provisioning.service.telling import tell_office_of_host

ROUND_LASTS = timedelta(minutes=3)
"""How long a round has a maintenance for itself; its calls are over by then, or it was killed."""
UNKNOWN_HOST = {"zh": "云上没有这台计算主机", "en": "there is no such host in the cloud"}
MISSED = {
    "zh": "未能在时段内开始，不再进行",
    "en": "it did not begin within its window, and does not any more",
}
STEPS_AT_ONCE = 3
"""States that one call may pass through."""


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A maintenance as its row had it when its round `number` began."""

    id: int
    number: int
    state: str
    host: str
    live: bool
    reason: str
    from_at: datetime
    until_at: datetime


def list_maintenances_to_tend(session: Session, *, at: datetime) -> list[tuple[int, str]]:
    """Those with something to do that nobody is at, and their regions."""
    free = or_(Maintenance.busy_until.is_(None), Maintenance.busy_until <= at)
    query = select(Maintenance).where(Maintenance.state.in_(UNDER_WAY), free).order_by(Maintenance.id)
    return [(one.id, one.region) for one in session.scalars(query) if _is_due(one, at)]


def tend_maintenance(engine: Engine, cloud: Cloud, *, maintenance_id: int, at: datetime) -> None:
    """Do what is due. No transaction is open while the cloud is called; calling it at any time is harmless.

    Raises NotFound, and `CloudFailure` once that is written down.
    """
    steps = {"planned": _look, "draining": _drain, "ending": _end}
    for _ in range(STEPS_AT_ONCE):
        with transaction(engine) as session:
            job = _take(session, maintenance_id, at=at)
        if job is None:
            return
        try:
            goes_on = steps[job.state](engine, cloud, job, at=at)
        except CloudFailure as failure:
            with transaction(engine) as session:
                if (found := _still(session, job)) is not None:
                    found.fault = _told(failure)
                    _tell_if_late(session, found, at=at)
            raise
        if not goes_on:
            return


def _is_due(found: Maintenance, at: datetime) -> bool:
    return is_due(
        state=found.state,
        from_at=found.from_at,
        until_at=found.until_at,
        looked_at=found.looked_at,
        at=at,
    )


def _take(session: Session, maintenance_id: int, *, at: datetime) -> _Job | None:
    """Have it for one round; None if there is nothing to do, or another round is at it."""
    found = get_maintenance(session, maintenance_id, lock=True)
    if (found.busy_until is not None and found.busy_until > at) or not _is_due(found, at):
        return None
    found.busy_until = at + ROUND_LASTS
    found.rounds += 1
    return _Job(
        id=found.id,
        number=found.rounds,
        state=found.state,
        host=found.host,
        live=found.live,
        reason=found.reason,
        from_at=found.from_at,
        until_at=found.until_at,
    )


def _still(session: Session, job: _Job, *, goes_on: bool = False) -> Maintenance | None:
    """The row, let go of unless the round `goes_on`; None once another round has begun."""
    found = get_maintenance(session, job.id, lock=True)
    if found.rounds != job.number:
        return None
    if not goes_on:
        found.busy_until = None
    return found


def _look(engine: Engine, cloud: Cloud, job: _Job, *, at: datetime) -> bool:
    """Write down whom it meets, tell them, and begin if the window is open and it may."""
    opening = where_in_window(job.from_at, job.until_at, at)
    if opening == "over":
        return _miss(engine, job, at=at)
    is_known = any(one.name == job.host for one in cloud.list_hosts())
    there = [one for one in cloud.list_servers() if one.host == job.host] if is_known else []
    with transaction(engine) as session:
        found = _still(session, job)
        if found is None or found.state != job.state:
            return False
        found.looked_at = at
        if not is_known:
            found.fault = UNKNOWN_HOST
            tell_office_of_host(session, found, code="maintenance_host_unknown", at=at)
            return False
        write_meets(session, found, there, recorded_among(session, found.region, there), at=at)
        found.left, found.fault = len(there), None
        return opening == "open" and _begin(session, found, at=at)


def _begin(session: Session, found: Maintenance, *, at: datetime) -> bool:
    asked = [met for met in meets_of(session, found.id) if met.servers]
    if may_begin(live=found.live, overruled=bool(found.overruled), answers=[met.answer for met in asked]):
        _enter(session, found, "draining", "begin", at=at)
        return True
    waited_for = [met for met in asked if met.answer != "agreed"]
    names = "、".join(_names(session, waited_for))
    found.fault = {
        "zh": f"时段已开始，尚有单位未同意停机：{names}",
        "en": f"the window has begun, and these bureaus have not agreed to a stop: {names}",
    }
    tell_office_of_host(session, found, code="maintenance_not_agreed", at=at, bureaus=names)
    return False


def _miss(engine: Engine, job: _Job, *, at: datetime) -> bool:
    with transaction(engine) as session:
        found = _still(session, job)
        if found is not None and found.state == job.state:
            found.looked_at, found.fault = at, MISSED
            tell_office_of_host(session, found, code="maintenance_missed", at=at)
    return False


def _drain(engine: Engine, cloud: Cloud, job: _Job, *, at: datetime) -> bool:
    """Have the host take no more servers, and move some of those on it; drained once nothing is left."""
    cloud.set_host_enabled(job.host, enabled=False, reason=job.reason)
    plan = _plan(engine, cloud, job, at=at, at_once=AT_ONCE)
    if plan is None:
        return False
    if plan.left:
        _ask(engine, cloud, job, plan, at=at)
        return False
    with transaction(engine) as session:
        found = _still(session, job)
        if found is not None and found.state == job.state:
            _enter(session, found, "drained", "drained", at=at)
            found.fault = None
            tell_office_of_host(session, found, code="maintenance_drained", at=at)
    return False


def _end(engine: Engine, cloud: Cloud, job: _Job, *, at: datetime) -> bool:
    """Have the host take servers again, and see to what is still on its way."""
    with suppress(NotInCloud):  # it was taken away for good
        cloud.set_host_enabled(job.host, enabled=True, reason="")
    plan = _plan(engine, cloud, job, at=at, at_once=0)
    if plan is None:
        return False
    if plan.under_way:
        _ask(engine, cloud, job, plan, at=at)
        return False
    with transaction(engine) as session:
        found = _still(session, job)
        if found is not None:
            _enter(session, found, "ended", "ended", at=at)
            found.ended_at, found.fault = at, None
    return False


def _plan(engine: Engine, cloud: Cloud, job: _Job, *, at: datetime, at_once: int) -> Round | None:
    """What follows from a look at the region, with what is begun written down before the cloud is asked.

    None where the office, or another round, has changed its state meanwhile.
    """
    servers = cloud.list_servers()
    with transaction(engine) as session:
        found = _still(session, job, goes_on=True)
        if found is None or found.state != job.state:
            if found is not None:
                found.busy_until = None
            return None
        moves = read_moves(session, found)
        met = {move.cloud_id for move in moves}
        shown = [one for one in servers if one.host == job.host or one.id in met]
        records = recorded_among(session, found.region, shown)
        plan = plan_round(
            host=job.host,
            servers=shown,
            moves=moves,
            busy=[key for key, record in records.items() if stand_of(record) == "moving"],
            live=job.live,
            may_stop=at < job.until_at,
            at_once=at_once,
        )
        found.looked_at, found.left = at, plan.left
        if found.state == "draining":
            there = [one for one in shown if one.host == job.host]
            write_meets(session, found, there, records, at=at)
        write_moves(session, found, plan, records, at=at)
        return plan


def _ask(engine: Engine, cloud: Cloud, job: _Job, plan: Round, *, at: datetime) -> None:
    """Ask for each thing of the round; one that is refused is tried again in the next. Raises Retryable."""
    refused: dict[str, Fault] = {}
    for cloud_id, call in _calls(cloud, plan):
        try:
            call()
        except Retryable:
            raise
        except CloudFailure as failure:
            refused[cloud_id] = _told(failure)
    with transaction(engine) as session:
        found = _still(session, job)
        if found is not None:
            write_answers(session, found, plan, refused, at=at)
            found.fault = stuck_fault(session, found, plan.stuck) if found.state == "draining" else None
            _tell_if_late(session, found, at=at)


def _calls(cloud: Cloud, plan: Round) -> Iterator[tuple[str, Callable[[], None]]]:
    for server in plan.confirm:
        yield server.id, partial(cloud.confirm_resize, server.id)
    for server, live in plan.begin:
        yield server.id, partial(cloud.migrate_server, server.id, live=live)


def _enter(session: Session, found: Maintenance, state: str, act: str, *, at: datetime) -> None:
    found.state = state
    journal.append(
        session,
        actor=INSTALLATION.journal_id,
        act=f"maintenance.{act}",
        subject=f"maintenance:{found.id}",
        bureau_id=None,
        at=at,
        after={"region": found.region, "host": found.host},
    )


def _tell_if_late(session: Session, found: Maintenance, *, at: datetime) -> None:
    if found.state == "draining" and found.left and at >= found.until_at:
        tell_office_of_host(session, found, code="maintenance_late", at=at, left=found.left)


def _names(session: Session, met: list[MaintenanceMeets]) -> list[str]:
    bureaus = find_bureaus(session, {one.bureau_id for one in met})
    return [bureaus[one.bureau_id].name for one in met]


def _told(failure: SijiError) -> Fault:
    return {"zh": failure.message("zh"), "en": failure.message("en")}
