"""The sweep over rows that wait: what a lost message or a killed process left behind is completed here."""

from datetime import datetime

from sqlalchemy import Engine

from exchange.broker.driver import Broker
from exchange.queries import list_datasets_without_topic, list_left_behind
from exchange.service.catalogue import make_topic
from exchange.service.entitlements import expire_subscriptions
from exchange.service.publish import settle_claims
from exchange.service.subscriptions import follow_case
from identity.actor import INSTALLATION
from infra.database import reading, transaction


def sweep(engine: Engine, broker: Broker, *, at: datetime) -> None:
    """Expire subscriptions, follow ended cases, make topics, settle claims; may be repeated.

    Ends early if the broker fails.
    """
    with transaction(engine) as session:
        expire_subscriptions(session, at=at)
    with transaction(engine) as session:
        for case_id in list_left_behind(session):
            follow_case(session, case_id=case_id, actor=INSTALLATION.journal_id, at=at)
    with reading(engine) as session:
        waiting = list_datasets_without_topic(session)
    for dataset_id in waiting:
        make_topic(engine, broker, dataset_id=dataset_id, at=at)
    settle_claims(engine, broker, at=at)
