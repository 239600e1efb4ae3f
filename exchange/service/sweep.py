"""The sweep over rows that wait: what a lost message or a killed process left behind is completed here."""

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from itertools import takewhile

from sqlalchemy import Engine

from exchange.broker.driver import Broker, BrokerRetryable
from exchange.queries import list_datasets_without_topic, list_left_behind
from exchange.service.catalogue import make_topic
from exchange.service.entitlements import expire_subscriptions
from exchange.service.publish import list_unsettled, settle_claim
from exchange.service.subscriptions import follow_case
from identity.actor import INSTALLATION
from infra.database import reading, transaction
from infra.each import for_each

Job = tuple[str, Callable[[], object]]
"""What is to be done, in words for whoever reads why it failed, and how."""


def sweep(engine: Engine, broker: Broker, *, at: datetime) -> None:
    """Expire subscriptions, follow ended cases, make topics, settle claims; may be repeated.

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
    with reading(engine) as session:
        datasets = list_datasets_without_topic(session)
    for dataset_id in datasets:
        yield (
            f"the topic of dataset {dataset_id}",
            partial(make_topic, engine, broker, dataset_id=dataset_id, at=at),
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


def _follow(engine: Engine, case_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        follow_case(session, case_id=case_id, actor=INSTALLATION.journal_id, at=at)
