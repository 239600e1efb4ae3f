"""What the records hold once the cloud has done what a server's state asked of it: allocations, lease, line.

The table of states says which of these belongs to which state; the server's next state is not set here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from provisioning.cloud.observed import Server as Seen
from provisioning.models import Lease, Request, RequestLine, Server, Volume
from provisioning.queries import find_lease
from provisioning.service import claims

SETTLER = INSTALLATION.journal_id


@dataclass(frozen=True)
class Ending:
    """The rows that a visit worked for, locked, and the server and the GiB of volumes, by their rows, as the
    cloud left them, where that matters.
    """

    request: Request
    server: Server
    volumes: Sequence[Volume]
    seen: Seen | None
    at: datetime
    sizes: Mapping[int, int]


def end_build(session: Session, ending: Ending) -> None:
    """It runs, or stands, as the records' own for the first time: its lease begins."""
    server, end_on = ending.server, ending.request.end_on
    if end_on is not None and find_lease(session, server.id) is None:
        session.add(Lease(server_id=server.id, end_on=end_on, notices_sent=[]))
    end_change(session, ending)


def end_change(session: Session, ending: Ending) -> None:
    """It runs with what was asked for; that is settled, and is what it holds from now on.

    The flavor is not looked up again: the region may have withdrawn or changed it since the claim.
    """
    server = ending.server
    if server.wanted_flavor is not None:
        server.flavor, server.wanted_flavor = server.wanted_flavor, None
    server.amounts = claims.settle(session, key=server.allocation_key, at=ending.at, actor=SETTLER).amounts
    for volume in ending.volumes:
        if volume.state == "pending":
            claims.settle(session, key=volume.allocation_key, at=ending.at, actor=SETTLER)
            volume.state = "active"
    end_line(session, server, "done")
    server.fault = None


def end_revert(session: Session, ending: Ending) -> None:
    """A resize that broke is over: hold what the cloud shows, the old flavor or after all the new one."""
    if ending.seen is not None and ending.seen.flavor == ending.server.wanted_flavor:
        end_change(session, ending)
    else:
        undo_resize(session, ending)


def undo_resize(session: Session, ending: Ending) -> None:
    """Hold what was held before the resize, if there was one; its line failed."""
    server = ending.server
    claims.revert(session, key=server.allocation_key, at=ending.at, actor=SETTLER)
    server.wanted_flavor = None
    end_line(session, server, "failed")


def end_extension(session: Session, ending: Ending) -> None:
    """The volume is as large as it will be: hold that, the wanted size or the one that it had."""
    got = True
    for volume in ending.volumes:
        if volume.wanted_gib is None:
            continue
        got = ending.sizes.get(volume.id) == volume.wanted_gib
        conclude = claims.settle if got else claims.revert
        held = conclude(session, key=volume.allocation_key, at=ending.at, actor=SETTLER)
        volume.size_gib, volume.wanted_gib = held.amounts["volume_gib"], None
    end_line(session, ending.server, "done" if got else "failed")


def end_prune(session: Session, ending: Ending) -> None:
    """The volumes that never became active are no more."""
    _drop(session, ending, ("pending",), to="failed")
    end_line(session, ending.server, "failed")


def end_cleaning(session: Session, ending: Ending) -> None:
    """Nothing is left of what could not be built, nothing is held of what could not be adopted; it can be
    retried.
    """
    _let_go(session, ending, volumes="failed")


def end_release(session: Session, ending: Ending) -> None:
    """The cloud has let go of it all: nothing is held, the lease is over."""
    _let_go(session, ending, volumes="released")
    end_line(session, ending.server, "done")
    lease = find_lease(session, ending.server.id)
    if lease is not None:
        lease.ended_at = ending.at


def end_switch(_session: Session, ending: Ending) -> None:
    """It was started, stopped or kept as an image: what is held stays the same."""


def end_line(session: Session, server: Server, state: str) -> None:
    """The line that the server worked for, if it names the server as its target, has its end."""
    line = session.get_one(RequestLine, server.work_line_id)
    if line.target_id == server.id and line.state == "pending":
        line.state = state


def _let_go(session: Session, ending: Ending, *, volumes: str) -> None:
    ending.server.cloud_id = None
    claims.release(session, key=ending.server.allocation_key, at=ending.at, actor=SETTLER)
    _drop(session, ending, ("pending", "active"), to=volumes)


def _drop(session: Session, ending: Ending, states: tuple[str, ...], *, to: str) -> None:
    for volume in ending.volumes:
        if volume.state in states:
            claims.release(session, key=volume.allocation_key, at=ending.at, actor=SETTLER)
            volume.state, volume.cloud_id = to, None
