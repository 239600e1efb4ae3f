"""Emptying a compute host: whether it may begin, and what of what is on it is to be moved next. Pure.

What a maintenance has asked of the cloud is a `Move`; all else is read off one listing of the region.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from provisioning.cloud.observed import Server, ServerStatus

AT_ONCE = 4
"""How many servers are on their way at a time."""
TRIES_UNTOLD = 3
"""After how many tries it is said that a server does not leave."""
LOOK_EVERY = timedelta(minutes=10)
"""How often it is asked, before the window, whose servers are on the host."""
MOVABLE = (ServerStatus.active, ServerStatus.shutoff)
MOVING = (ServerStatus.migrating, ServerStatus.resize, ServerStatus.verify_resize, ServerStatus.revert_resize)

Opening = Literal["early", "open", "over"]


def where_in_window(from_at: datetime, until_at: datetime, at: datetime) -> Opening:
    """Whether the window has yet to open, is open, or is over; it is open at its first instant alone."""
    if at < from_at:
        return "early"
    return "open" if at < until_at else "over"


def is_due(
    *, state: str, from_at: datetime, until_at: datetime, looked_at: datetime | None, at: datetime
) -> bool:
    """Whether there is something to do: of one that is planned, now and then before its window, always within
    it, and once after it.
    """
    if state != "planned" or looked_at is None:
        return state in ("planned", "draining", "ending")
    opening = where_in_window(from_at, until_at, at)
    if opening == "early":
        return at >= looked_at + LOOK_EVERY
    return opening == "open" or looked_at < until_at


def may_begin(*, live: bool, overruled: bool, answers: Iterable[str | None]) -> bool:
    """Whether the bureaus' `answers` let it begin: a stop needs the consent of each bureau that it meets."""
    return live or overruled or all(answer == "agreed" for answer in answers)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A server that was asked to move `tries` times; `is_open`: it is not known yet what came of the last."""

    cloud_id: str
    tries: int
    is_open: bool


@dataclass(frozen=True, kw_only=True)
class Round:
    """What follows from one look.

    `confirm` wait to be confirmed on another host. `ended` are moves that are over: the host where the server
    arrived, or None where it came to nothing. `begin` are to be moved now, and whether live. `left` counts
    what has still to leave, `under_way` of these what moves, `stuck` are those that do not leave, for their
    state or after some tries.
    """

    confirm: tuple[Server, ...]
    ended: Mapping[str, str | None]
    begin: tuple[tuple[Server, bool], ...]
    left: int
    under_way: int
    stuck: tuple[Server, ...]


def plan_round(
    *,
    host: str,
    servers: Sequence[Server],
    moves: Collection[Move],
    busy: Collection[str],
    live: bool,
    may_stop: bool,
    at_once: int = AT_ONCE,
) -> Round:
    """What to do about the servers of the region, of which `busy` (by id) are being worked on by others.

    A running one is moved live if `live`; else it is stopped on its way, if it `may_stop`. Those that were
    tried least come first, so that some that do not leave do not keep back the rest.
    """
    seen = {one.id: one for one in servers}
    tries = {move.cloud_id: move.tries for move in moves}
    confirm: list[Server] = []
    ended: dict[str, str | None] = {}
    on_way: set[str] = set()
    for move in moves:
        if not move.is_open:
            continue
        now = seen.get(move.cloud_id)
        if now is None or _rests(now):
            ended[move.cloud_id] = None if now is None or now.host == host else now.host
            continue
        on_way.add(now.id)
        if _waits_for_confirmation(now) and now.host != host:
            confirm.append(now)
    there = [one for one in servers if one.host == host]
    waiting = [one for one in there if one.id not in on_way and one.id not in busy and _can_move(one)]
    allowed = [one for one in waiting if live or may_stop or one.status == ServerStatus.shutoff]
    allowed.sort(key=lambda one: (tries.get(one.id, 0), one.created_at, one.id))
    begin = allowed[: max(0, at_once - len(on_way))]
    stuck = [
        one
        for one in there
        if one.id not in on_way
        and one.task is None
        and (one.status not in MOVABLE or tries.get(one.id, 0) >= TRIES_UNTOLD)
    ]
    return Round(
        confirm=tuple(confirm),
        ended=ended,
        begin=tuple((one, live and one.status == ServerStatus.active) for one in begin),
        left=len({one.id for one in there} | on_way),
        under_way=len(on_way),
        stuck=tuple(stuck),
    )


def _can_move(server: Server) -> bool:
    return server.task is None and server.status in MOVABLE


def _waits_for_confirmation(server: Server) -> bool:
    return server.task is None and server.status == ServerStatus.verify_resize


def _rests(server: Server) -> bool:
    """Nothing moves it any more: it arrived, returned, or is in a state from which it does not go on."""
    return server.task is None and server.status not in MOVING
