"""Leases: notices that are due, stopping what is over, deletion with a snapshot after the grace period.

A server whose stop the cloud refuses runs on, and is told of and tried again once a day; after the grace
period it is deleted as it runs, else it would hold its quota for ever.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.service.tree import keep_tree_still
from infra.clock import city_date
from provisioning.lease import NOTICE_DAYS, Calendar, is_over, may_delete, notices_due
from provisioning.models import Lease, Server
from provisioning.queries import get_request, get_server
from provisioning.service.settling import move, request_of
from provisioning.service.telling import tell_bureau


def list_leases_to_tend(session: Session, *, on: date) -> Sequence[int]:
    """Ids of the servers whose lease ends within the longest notice, or has ended, on the city date `on`."""
    query = (
        select(Lease.server_id)
        .join(Server, Server.id == Lease.server_id)
        .where(
            Lease.ended_at.is_(None),
            Lease.end_on <= on + timedelta(days=max(NOTICE_DAYS)),
            Server.state.in_(("active", "stopped")),
        )
    )
    return session.scalars(query.order_by(Lease.server_id)).all()


def tend_lease(session: Session, *, server_id: int, on: date, at: datetime, calendar: Calendar) -> None:
    """Do what the server's lease calls for on `on`: tell, stop, or keep a snapshot and delete.

    Calling it twice on a day does nothing more. Raises NotFound.
    """
    keep_tree_still(session)
    line_id = get_server(session, server_id).line_id
    request = get_request(session, request_of(session, line_id), lock=True)
    server = get_server(session, server_id, lock=True)
    lease = session.scalars(select(Lease).where(Lease.server_id == server_id)).one()
    code = "lease_over" if is_over(lease.end_on, on=on) else "lease_ends"
    due = notices_due(lease.end_on, on=on, sent=lease.notices_sent)
    if due or code == "lease_over":
        tell_bureau(
            session,
            server,
            request,
            key=f"{code}:{server.id}:{lease.end_on}:{min(due, default=0)}",
            code=code,
            at=at,
            end_on=lease.end_on.isoformat(),
            days=(lease.end_on - on).days,
        )
        lease.notices_sent = [*lease.notices_sent, *due]
    if code != "lease_over":
        return
    runs_on = server.state == "active" and server.fault is not None
    if (server.state == "stopped" or runs_on) and may_delete(lease.end_on, on=on, calendar=calendar):
        move(session, server, "expiring", at=at)
    elif server.state == "active" and not (runs_on and city_date(server.since_at) >= on):
        move(session, server, "stopping", at=at)
