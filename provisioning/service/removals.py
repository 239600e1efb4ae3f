"""Removing what a cloud has and no record: from the verified request, visit by visit, to its end.

Nothing that is recorded is ever deleted: taking up into the records and removing pass one at a time in a
region, each refuses what the other has, and a thing is deleted only after it was found, under that lock, to
be in no record. Locks in this order: tree, request, removal.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from identity.service.tree import keep_tree_still
from infra import journal
from infra.database import serialise, transaction
from infra.jobs import enqueue
from provisioning.cloud.driver import Cloud, CloudFailure, Conflict, Permanent
from provisioning.errors import BeingRemoved, StillRecorded
from provisioning.models import REMOVING, Finding, Removal, Request, RequestLine
from provisioning.pace import REFUSALS_BORNE, VISIT_LASTS, backoff, is_stuck, poll, takes_too_long
from provisioning.queries import (
    find_recorded,
    find_removing,
    get_finding,
    get_removal,
    get_request,
    list_due_removals,
    read_leaving,
)
from provisioning.removal import Sight
from provisioning.service.endings import SETTLER
from provisioning.service.removal_visit import Outcome, RemovalWork, check, delete
from provisioning.service.settling import LATE, UNKNOWN, conclude_request
from provisioning.service.telling import tell_applicant, tell_office_of_removal

TASK = "provisioning.remove"
VISITS = {"checking": check, "deleting": delete}
VISITS_AT_ONCE = 4
REMOVALS_A_SWEEP = 1000


def pass_alone(session: Session, region: str) -> None:
    """Let nobody else take up things of the region into the records, or begin to remove some, meanwhile."""
    serialise(session, f"siji.unrecorded:{region}")


def refuse_removing(session: Session, *, region: str, cloud_ids: Sequence[str]) -> None:
    """Raises BeingRemoved for what is. To be called after `pass_alone`."""
    found = find_removing(session, region=region, cloud_ids=cloud_ids)
    if found is not None:
        line = session.get_one(RequestLine, found.line_id)
        raise BeingRemoved(cloud_id=found.cloud_id, name=found.name, request_id=line.request_id)


def begin_removals(
    session: Session, request: Request, lines: Sequence[RequestLine], *, at: datetime, actor: str
) -> None:
    """Have what the lines saw removed. Raises StillRecorded, BeingRemoved."""
    pass_alone(session, request.region)
    for line in lines:
        sight = Sight.parse(line.seen or {})
        _refuse_recorded(session, request.region, sight)
        refuse_removing(session, region=request.region, cloud_ids=[sight.cloud_id])
        found = Removal(
            line_id=line.id,
            bureau_id=request.bureau_id,
            region=request.region,
            thing=sight.thing,
            cloud_id=sight.cloud_id,
            name=sight.name,
            tag=uuid4().hex,
            since_at=at,
        )
        session.add(found)
        session.flush()
        _enter(session, found, "checking", at=at, actor=actor)


def remove(engine: Engine, cloud: Cloud, *, removal_id: int, now: Callable[[], datetime]) -> None:
    """Visit the removal if it is due, and again as long as there is something to do at once.

    No transaction is open while the cloud is called. Calling it at any time, from anywhere, is harmless.
    """
    for _ in range(VISITS_AT_ONCE):
        with transaction(engine) as session:
            work = take_removal(session, removal_id=removal_id, at=now())
        if work is None:
            return
        outcome = visit(cloud, work)
        with transaction(engine) as session:
            if not settle_removal(session, work, outcome, at=now()):
                return


def take_removal(session: Session, *, removal_id: int, at: datetime) -> RemovalWork | None:
    """Have the removal for one visit; None if it is over, not due, or being visited."""
    found = get_removal(session, removal_id, lock=True)
    if found.state not in REMOVING or (found.next_try_at is not None and found.next_try_at > at):
        return None
    found.next_try_at = at + VISIT_LASTS
    found.visits += 1
    line = session.get_one(RequestLine, found.line_id)
    return RemovalWork(
        removal_id=found.id,
        request_id=line.request_id,
        visit=found.visits,
        state=found.state,
        region=found.region,
        tag=found.tag,
        decided=Sight.parse(line.seen or {}),
        leaving=frozenset(read_leaving(session, found.region)),
        refusals=found.refusals,
        asked=found.asked,
    )


def visit(cloud: Cloud, work: RemovalWork) -> Outcome:
    """Visit the cloud and sort its failures: what is worth another try, and what is not."""
    try:
        return VISITS[work.state](cloud, work)
    except Permanent as failure:
        return Outcome("broken", fault=_told(failure), asked=work.asked)
    except Conflict as failure:
        borne, fault = work.refusals < REFUSALS_BORNE, _told(failure)
        return Outcome("retry" if borne else "broken", fault=fault, asked=work.asked, refused=True)
    except CloudFailure as failure:
        return Outcome("retry", fault=_told(failure), asked=work.asked)


def settle_removal(session: Session, work: RemovalWork, outcome: Outcome, *, at: datetime) -> bool:
    """Write down what a visit found, unless another one began since; whether the next can follow now."""
    keep_tree_still(session)
    request = get_request(session, work.request_id, lock=True)
    found = get_removal(session, work.removal_id, lock=True)
    if (found.visits, found.state) != (work.visit, work.state):
        return False
    if found.state == "deleting":
        _settle_deleting(session, request, found, outcome, at=at)
    else:
        _settle_checking(session, request, found, work, outcome, at=at)
    return found.state in REMOVING and found.next_try_at == at


def sweep_removals(session: Session, *, at: datetime) -> Sequence[int]:
    """Nudge the workers for every removal that is due; their ids."""
    due = list_due_removals(session, at=at, limit=REMOVALS_A_SWEEP)
    for removal_id in due:
        enqueue(session, TASK, removal_id)
    return due


def _settle_checking(
    session: Session, request: Request, found: Removal, work: RemovalWork, outcome: Outcome, *, at: datetime
) -> None:
    fault = outcome.fault
    if outcome.what in ("wait", "retry"):
        if not outcome.refused or not takes_too_long(found.since_at, at):
            _go_on(session, found, outcome, at=at)
            return
        fault = fault or LATE
    elif outcome.what != "broken":
        pass_alone(session, found.region)
        now = outcome.now or work.decided
        try:
            _refuse_recorded(session, found.region, now)
        except StillRecorded as held:
            fault = _told(held)
        else:
            session.get_one(RequestLine, found.line_id).seen = now.document()
            found.fault = None
            _enter(session, found, "deleting", at=at, actor=SETTLER)
            return
    _end(session, request, found, "failed", fault=fault or UNKNOWN, at=at)


def _settle_deleting(
    session: Session, request: Request, found: Removal, outcome: Outcome, *, at: datetime
) -> None:
    if outcome.what != "done":
        _go_on(session, found, outcome, at=at)
        return
    line = session.get_one(RequestLine, found.line_id)
    finding = get_finding(session, line.finding_id or 0, lock=True)
    if finding.ended_at is None:
        finding.ended_at = at
        _journal_finding(session, finding, found, at=at)
    _end(session, request, found, "removed", fault=None, at=at)


def _refuse_recorded(session: Session, region: str, sight: Sight) -> None:
    """Raises StillRecorded for what is in the records, or attached to what is."""
    holder = find_recorded(session, region=region, cloud_ids=sight.ids, tag=sight.tag)
    if holder is not None:
        raise StillRecorded(name=sight.name, server=holder.name)


def _go_on(session: Session, found: Removal, outcome: Outcome, *, at: datetime) -> None:
    found.asked, found.fault = outcome.asked, outcome.fault
    if outcome.what == "wait":
        found.attempts, found.refusals = 0, 0
        found.next_try_at = at + poll(found.since_at, at)
    else:
        found.attempts += 1
        found.refusals += outcome.refused or outcome.what == "broken"
        found.next_try_at = at + backoff(found.attempts, tag=found.tag)
    enqueue(session, TASK, found.id, after_s=(found.next_try_at - at).total_seconds())
    if is_stuck(found.since_at, at, refusals=found.refusals):
        tell_office_of_removal(session, found, at=at, fault=found.fault or LATE)


def _end(
    session: Session,
    request: Request,
    found: Removal,
    state: str,
    *,
    fault: dict[str, str] | None,
    at: datetime,
) -> None:
    found.fault = fault
    _enter(session, found, state, at=at, actor=SETTLER)
    session.get_one(RequestLine, found.line_id).state = "done" if state == "removed" else "failed"
    session.flush()
    if fault is not None:
        why: dict[str, Any] = {"name": found.name, "fault_zh": fault["zh"], "fault_en": fault["en"]}
        tell_applicant(session, request, code="thing_not_removed", at=at, **why)
    conclude_request(session, request, at=at)


def _enter(session: Session, found: Removal, state: str, *, at: datetime, actor: str) -> None:
    found.state, found.since_at = state, at
    found.attempts, found.refusals, found.asked = 0, 0, 0
    found.next_try_at = at if state in REMOVING else None
    journal.append(
        session,
        actor=actor,
        act=f"removal.{state}",
        subject=f"removal:{found.id}",
        bureau_id=found.bureau_id,
        at=at,
        after={
            "region": found.region,
            "thing": found.thing,
            "cloud_id": found.cloud_id,
            "name": found.name,
            "line_id": found.line_id,
            "fault": found.fault,
        },
    )
    if state in REMOVING:
        enqueue(session, TASK, found.id)


def _journal_finding(session: Session, finding: Finding, found: Removal, *, at: datetime) -> None:
    journal.append(
        session,
        actor=SETTLER,
        act="finding.end",
        subject=f"finding:{finding.id}",
        bureau_id=finding.bureau_id,
        at=at,
        after={"kind": finding.kind, "subject": finding.subject, "removal": found.id},
    )


def _told(failure: CloudFailure | StillRecorded) -> dict[str, str]:
    return {"zh": failure.message("zh"), "en": failure.message("en")}
