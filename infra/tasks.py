"""Celery entry points of the journal and of what is kept for a time; a missed or doubled call is harmless."""

from celery import shared_task

from infra import jobs, journal
from infra.database import transaction
from infra.idempotency import forget_old_calls


@shared_task(name="infra.seal_journal")
def seal_journal() -> None:
    """Chain what was committed since the last pass."""
    here = jobs.here()
    journal.seal(here.engine, at=here.clock.now())


@shared_task(name="infra.sign_head")
def sign_head() -> None:
    """Sign the chain's present end, into this machine's own file of heads."""
    here = jobs.here()
    data_dir = here.settings.data_dir
    key = journal.make_or_load_key(data_dir / journal.KEY_FILE)
    journal.sign_head(here.engine, key=key, heads_file=data_dir / journal.HEADS_FILE, at=here.clock.now())


@shared_task(name="infra.forget_old_calls")
def forget_calls() -> None:
    """Forget answered calls that are kept long enough."""
    here = jobs.here()
    with transaction(here.engine) as session:
        forget_old_calls(session, at=here.clock.now())
