"""What the records keep of a host that is emptied: whom that meets, and what was moved. Cloud calls: none."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from infra import journal
from provisioning.cloud.observed import Server, ServerStatus
from provisioning.draining import Move, Round
from provisioning.models import Maintenance, MaintenanceMeets, MaintenanceMove
from provisioning.models import Server as Recorded
from provisioning.queries import meets_of, moves_of, stand_of
from provisioning.service.telling import tell_bureau_of_host
from provisioning.wording import HOW_MOVED

Fault = dict[str, str]
Records = Mapping[str, Recorded]
"""By the servers' ids in the cloud."""


def write_meets(
    session: Session, found: Maintenance, there: Collection[Server], records: Records, *, at: datetime
) -> None:
    """Write down whose servers are on the host, and tell their bureaus of those that they know not of.

    Before it begins, an answer lapses with further servers, and servers that went elsewhere are struck out.
    """
    names: dict[int, set[str]] = {}
    for one in there:
        record = records.get(one.id)
        if record is not None and stand_of(record) != "gone":
            names.setdefault(record.bureau_id, set()).add(record.name)
    known = {met.bureau_id: met for met in meets_of(session, found.id)}
    for bureau_id in sorted(names.keys() | known.keys()):
        now, met = names.get(bureau_id, set()), known.get(bureau_id)
        further = now - set(met.servers if met else ())
        if met is None:
            met = MaintenanceMeets(
                maintenance_id=found.id, bureau_id=bureau_id, servers=[], told_at=at, reason=""
            )
            session.add(met)
        met.servers = sorted(now if found.state == "planned" else now | set(met.servers))
        if further:
            met.told_at = at
            if found.state == "planned":
                met.answer, met.answered_by, met.answered_at, met.reason = None, None, None, ""
            _tell(session, found, bureau_id, met.servers, at=at)
    session.flush()


def read_moves(session: Session, found: Maintenance) -> list[Move]:
    """What it has asked of the cloud."""
    return [
        Move(cloud_id=one.cloud_id, tries=one.tries, is_open=one.ended_at is None)
        for one in moves_of(session, found.id)
    ]


def write_moves(session: Session, found: Maintenance, plan: Round, records: Records, *, at: datetime) -> None:
    """Write down what came of moves, and which are begun, before the cloud is asked for these."""
    moves = {one.cloud_id: one for one in moves_of(session, found.id)}
    for cloud_id, host in plan.ended.items():
        move = moves[cloud_id]
        move.ended_at, move.to_host = at, host
        if host is not None:
            move.fault = None
            _journal_arrival(session, found, move, records.get(cloud_id), at=at)
    for server, _ in plan.begin:
        move = moves.get(server.id) or MaintenanceMove(
            maintenance_id=found.id, cloud_id=server.id, tries=0, began_at=at
        )
        record = records.get(server.id)
        move.name, move.server_id = server.name, record.id if record else None
        move.began_at, move.ended_at, move.to_host = at, None, None
        session.add(move)
    session.flush()


def write_answers(
    session: Session, found: Maintenance, plan: Round, refused: Mapping[str, Fault], *, at: datetime
) -> None:
    """Write down how the cloud took what it was asked for: each counts as a try, a refusal ends the move."""
    moves = {one.cloud_id: one for one in moves_of(session, found.id)}
    for server, _ in plan.begin:
        move = moves[server.id]
        move.tries += 1
        move.fault = refused.get(server.id)
        if move.fault is not None:
            move.ended_at = at
    for server in plan.confirm:
        moves[server.id].fault = refused.get(server.id)


def stuck_fault(session: Session, found: Maintenance, stuck: Sequence[Server]) -> Fault | None:
    """Which servers do not leave the host, and why; None where there are none."""
    if not stuck:
        return None
    moves = {one.cloud_id: one for one in moves_of(session, found.id)}
    told = [_why(one, moves.get(one.id)) for one in stuck]
    return {
        "zh": "以下云服务器未能迁出：" + "；".join(fault["zh"] for fault in told),
        "en": "These servers do not leave the host: " + "; ".join(fault["en"] for fault in told),
    }


def _why(server: Server, move: MaintenanceMove | None) -> Fault:
    if server.status not in (ServerStatus.active, ServerStatus.shutoff):
        state = server.status.value
        return {
            "zh": f"{server.name}（状态为 {state}，须先恢复为 ACTIVE 或 SHUTOFF）",
            "en": f"{server.name} (it is {state}, and has to be ACTIVE or SHUTOFF first)",
        }
    tries = move.tries if move else 0
    if move is not None and move.fault is not None:
        zh, en = move.fault["zh"], move.fault["en"]
    else:
        zh = "每次都回到本主机：其他主机没有余量，或其反亲和组不允许"
        en = "it returns each time: no other host has room, or its anti-affinity group forbids it"
    return {
        "zh": f"{server.name}（已尝试 {tries} 次，{zh}）",
        "en": f"{server.name} (tried {tries} times, {en})",
    }


def _tell(
    session: Session, found: Maintenance, bureau_id: int, servers: Sequence[str], *, at: datetime
) -> None:
    facts: dict[str, Any] = dict(zip(("how_zh", "how_en"), HOW_MOVED[found.live], strict=True))
    tell_bureau_of_host(
        session,
        found,
        bureau_id=bureau_id,
        key=f"maintenance_planned:{found.id}:{bureau_id}:{found.rounds}",
        code="maintenance_planned",
        at=at,
        reason=found.reason,
        servers=", ".join(servers),
        **facts,
    )


def _journal_arrival(
    session: Session, found: Maintenance, move: MaintenanceMove, record: Recorded | None, *, at: datetime
) -> None:
    journal.append(
        session,
        actor=INSTALLATION.journal_id,
        act="server.move",
        subject=f"server:{record.id}" if record else f"maintenance:{found.id}",
        bureau_id=record.bureau_id if record else None,
        at=at,
        before={"host": found.host},
        after={"host": move.to_host, "server": move.name, "cloud_id": move.cloud_id},
    )
