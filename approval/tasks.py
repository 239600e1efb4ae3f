"""Celery entry points; beat calls them, and a missed or doubled call does no harm."""

from celery import shared_task

from approval.queries import list_silent, list_unanswered
from approval.service import (
    abandon_supplement,
    accept_by_silence,
    list_to_remind,
    refresh_alarms,
    send_reminders,
)
from infra import jobs
from infra.database import reading, transaction
from infra.each import for_each
from infra.workdays import load_calendar


@shared_task(name="approval.accept_silent")
def accept_silent() -> None:
    """Cases that nobody answered in time count as accepted."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        silent = list_silent(session, at=at, calendar=load_calendar(session))

    def accept(case_id: int) -> None:
        with transaction(here.engine) as session:
            accept_by_silence(session, case_id=case_id, at=at)

    for_each(silent, accept, what="case {}")


@shared_task(name="approval.end_abandoned")
def end_abandoned() -> None:
    """Cases whose supplement did not come in time end."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        unanswered = list_unanswered(session, at=at, calendar=load_calendar(session))

    def abandon(case_id: int) -> None:
        with transaction(here.engine) as session:
            abandon_supplement(session, case_id=case_id, at=at)

    for_each(unanswered, abandon, what="case {}")


@shared_task(name="approval.remind")
def remind() -> None:
    """Leave the reminders that are due and not yet sent."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        due = list_to_remind(session, at=at)

    def tell(case_id: int) -> None:
        with transaction(here.engine) as session:
            send_reminders(session, at=at, case_id=case_id)

    for_each(due, tell, what="case {}")


@shared_task(name="approval.check_calendar")
def check_calendar() -> None:
    """Raise and clear the alarms that a year's calendar is missing."""
    here = jobs.here()
    with transaction(here.engine) as session:
        refresh_alarms(session, at=here.clock.now())
