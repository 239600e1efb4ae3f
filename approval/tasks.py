"""Celery entry points; beat calls them, and a missed or doubled call does no harm."""

from celery import shared_task

from approval.queries import list_silent, list_unanswered
from approval.service import abandon_supplement, accept_by_silence, refresh_alarms, send_reminders
from infra import jobs
from infra.database import reading, transaction
from infra.workdays import load_calendar


@shared_task(name="approval.accept_silent")
def accept_silent() -> None:
    """Cases that nobody answered in time count as accepted."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        silent = list_silent(session, at=at, calendar=load_calendar(session))
    for case_id in silent:
        with transaction(here.engine) as session:
            accept_by_silence(session, case_id=case_id, at=at)


@shared_task(name="approval.end_abandoned")
def end_abandoned() -> None:
    """Cases whose supplement did not come in time end."""
    here, at = jobs.here(), jobs.here().clock.now()
    with reading(here.engine) as session:
        unanswered = list_unanswered(session, at=at, calendar=load_calendar(session))
    for case_id in unanswered:
        with transaction(here.engine) as session:
            abandon_supplement(session, case_id=case_id, at=at)


@shared_task(name="approval.remind")
def remind() -> None:
    """Leave the reminders that are due and not yet sent."""
    here = jobs.here()
    with transaction(here.engine) as session:
        send_reminders(session, at=here.clock.now())


@shared_task(name="approval.check_calendar")
def check_calendar() -> None:
    """Raise and clear the alarms that a year's calendar is missing."""
    here = jobs.here()
    with transaction(here.engine) as session:
        refresh_alarms(session, at=here.clock.now())
