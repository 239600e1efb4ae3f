"""The sweep over rows that wait: what a lost message or a killed process left behind is completed here."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile

from sqlalchemy import Engine

from exchange.broker.driver import Broker, BrokerRetryable
from exchange.queries import list_datasets_without_topic, list_left_behind
from exchange.service.catalogue import make_topic
from exchange.service.claims import end_claim, list_unsettled, settle_claim
from exchange.service.entitlements import expire_subscriptions
from exchange.service.outcomes import end_left
from exchange.service.recalls import finish_recall, list_undone
from exchange.service.receivers import remind_receivers
from exchange.service.redrive import list_left
from exchange.service.relays import list_due_relays
from exchange.service.relays import nudge as nudge_relays
from exchange.service.subscriptions import follow_case
from exchange.service.versions import enter_version
from exchange.service.webhooks import list_due, nudge
from exchange.version_queries import list_versions_due
from identity.actor import INSTALLATION
from infra.clock import city_date
from infra.database import reading, transaction
from infra.each import for_each

Job = tuple[str, Callable[[], object]]
"""What is to be done, in words for whoever reads why it failed, and how."""


def sweep(engine: Engine, broker: Broker, *, at: datetime) -> None:
    """Expire subscriptions, follow ended cases, let versions hold whose day has come, make topics, settle
    claims, end those of corrections that were left; may be repeated.

    What fails holds up nothing else, except that a log which does not answer is asked no more. Raises
    ExceptionGroup at the end, with all failures.
    """
    is_away = False

    def do(job: Job) -> None:
        nonlocal is_away
        try:
            job[1]()
        except BrokerRetryable:
            is_away = True
            raise

    for_each(takewhile(lambda _: not is_away, _jobs(engine, broker, at)), do, what="{0[0]}")


def _jobs(engine: Engine, broker: Broker, at: datetime) -> Iterator[Job]:
    """First what needs no log. Each kind is listed when its turn comes."""
    yield "the expiry of subscriptions", partial(_expire, engine, at)
    with reading(engine) as session:
        cases = list_left_behind(session)
    for case_id in cases:
        yield f"case {case_id}", partial(_follow, engine, case_id, at)
    yield "deliveries that nobody is at any more", partial(_end_left, engine, at)
    yield "the reminders of recalls", partial(_remind, engine, at)
    with reading(engine) as session:
        hooks = list_due(session, at=at)
    if hooks:
        yield "the webhooks that are due", partial(_nudge, engine, hooks)
    with reading(engine) as session:
        relays = list_due_relays(session)
    if relays:
        yield "the relays that may have something to do", partial(_nudge_relays, engine, relays, at)
    with reading(engine) as session:
        entering = list_versions_due(session, today=city_date(at))
    for dataset_id in entering:
        yield f"the new version of dataset {dataset_id}", partial(_enter, engine, dataset_id, at)
    with reading(engine) as session:
        datasets = list_datasets_without_topic(session)
    for dataset_id in datasets:
        yield (
            f"the topic of dataset {dataset_id}",
            partial(make_topic, engine, broker, dataset_id=dataset_id, at=at),
        )
    with reading(engine) as session:
        left = list_left(session, at=at)
    for batch_id in left:
        yield (
            f"the corrections of batch {batch_id}",
            partial(end_claim, engine, broker, batch_id=batch_id, at=at),
        )
    with reading(engine) as session:
        recalls = list_undone(session)
    for recall_id in recalls:
        yield (
            f"recall {recall_id}",
            partial(finish_recall, engine, broker, recall_id=recall_id, at=at, now=lambda: at),
        )
    with reading(engine) as session:
        claims = list_unsettled(session, at=at)
    for batch_id, topic, marker in claims:
        yield (
            f"the claim of batch {batch_id}",
            partial(settle_claim, engine, broker, batch_id=batch_id, topic=topic, marker=marker, at=at),
        )


def _expire(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        expire_subscriptions(session, at=at)


def _end_left(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        end_left(session, at=at)


def _remind(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        remind_receivers(session, at=at)


def _nudge(engine: Engine, hooks: Sequence[int]) -> None:
    with transaction(engine) as session:
        nudge(session, hooks)


def _nudge_relays(engine: Engine, relays: Sequence[int], at: datetime) -> None:
    with transaction(engine) as session:
        nudge_relays(session, relays, at=at)


def _enter(engine: Engine, dataset_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        enter_version(session, dataset_id=dataset_id, at=at)


def _follow(engine: Engine, case_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        follow_case(session, case_id=case_id, actor=INSTALLATION.journal_id, at=at)
