"""The platform's own rhythm: which task is sent how often, and the beat that sends it.

Any number of beats may run. A slot of the schedule is a row, and whoever inserts it sends the task, so that
none is sent twice. Tasks do what is due and not yet done: of the slots that nobody was up for only the
present one is sent, and a message that is lost costs one interval, which is never longer than an hour.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from sqlalchemy import String, delete, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapped, mapped_column

from infra.database import Base, Busy, insert_once, reading, transaction
from infra.installation import Installation
from infra.jobs import enqueue
from infra.settings import Settings

MINUTE, HOUR = 60, 3600
KEPT_FOR = timedelta(days=7)
STALE_AFTER_SLOTS = 10
STOP_WITHIN_S = 5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


def schedule(settings: Settings) -> dict[str, int]:
    """Seconds between two sendings of each task."""
    return {
        "provisioning.sweep": settings.job_sweep_s,
        "provisioning.push_quotas": settings.job_sweep_s,
        "exchange.sweep": settings.job_sweep_s,
        "exchange.keep_rights": settings.job_sweep_s,
        "infra.seal_journal": MINUTE,
        "exchange.seal_messages": MINUTE,
        "provisioning.tend_maintenances": MINUTE,
        "provisioning.learn_regions": 5 * MINUTE,
        "provisioning.audit_servers": 5 * MINUTE,
        "provisioning.audit_projects": HOUR,
        "provisioning.tend_leases": 10 * MINUTE,
        "approval.accept_silent": 10 * MINUTE,
        "approval.end_abandoned": 10 * MINUTE,
        "approval.remind": 10 * MINUTE,
        "approval.check_calendar": 10 * MINUTE,
        "provisioning.retire_projects": HOUR,
        "infra.sign_head": HOUR,
        "exchange.sign_head": HOUR,
        "infra.forget_old_calls": HOUR,
    }


class BeatSlot(Base):
    """A slot of the schedule that a beat has taken: `slot_at` is its beginning."""

    __tablename__ = "beat_slots"

    task: Mapped[str] = mapped_column(String(64), primary_key=True)
    slot_at: Mapped[datetime] = mapped_column(primary_key=True)
    sent_at: Mapped[datetime]


@contextmanager
def beating(here: Installation) -> Iterator[None]:
    """A thread of this process sends what is due while the block runs; the process has joined its jobs."""
    ended = Event()
    thread = Thread(target=_beat, args=(here, ended), name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(STOP_WITHIN_S)


def send_due(here: Installation, *, at: datetime, intervals_s: Mapping[str, int]) -> list[str]:
    """Send every task whose slot at `at` nobody has taken yet; which they were."""
    slots = {task: _slot(at, every_s) for task, every_s in intervals_s.items()}
    with reading(here.engine) as session:
        query = select(BeatSlot.task, BeatSlot.slot_at).where(BeatSlot.slot_at.in_(set(slots.values())))
        taken = {(task, slot_at) for task, slot_at in session.execute(query)}
    sent = []
    if waiting := [task for task, slot_at in slots.items() if (task, slot_at) not in taken]:
        with transaction(here.engine) as session:
            for task in waiting:
                if insert_once(session, BeatSlot, task=task, slot_at=slots[task], sent_at=at):
                    enqueue(session, task, lasts_s=STALE_AFTER_SLOTS * intervals_s[task])
                    sent.append(task)
            session.execute(delete(BeatSlot).where(BeatSlot.slot_at < at - KEPT_FOR))
    return sent


def _beat(here: Installation, ended: Event) -> None:
    intervals_s = schedule(here.settings)
    while not ended.is_set():
        at = here.clock.now()
        try:
            send_due(here, at=at, intervals_s=intervals_s)
        except (SQLAlchemyError, Busy) as error:
            log.warning("the beat cannot use the records (%s); it tries again at the next slot", error)
        ended.wait(_until_next_slot(at, intervals_s).total_seconds())


def _slot(at: datetime, every_s: int) -> datetime:
    """The beginning of the slot that `at` lies in, counted from the epoch: alike on every machine."""
    return at - (at - EPOCH) % timedelta(seconds=every_s)


def _until_next_slot(at: datetime, intervals_s: Mapping[str, int]) -> timedelta:
    return min(_slot(at, every_s) + timedelta(seconds=every_s) - at for every_s in intervals_s.values())
