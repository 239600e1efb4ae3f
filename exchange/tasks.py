"""Celery's entries of the exchange: topics to make, the message log to seal, and a sweep over everything
that waits or has run out."""

from celery import shared_task

from exchange.broker.connect import connect_broker, connect_rights, shared_broker
from exchange.broker.driver import BrokerRetryable
from exchange.posting import Poster
from exchange.service.catalogue import make_topic
from exchange.service.hook_sending import Sender
from exchange.service.messages import seal_messages, sign_messages
from exchange.service.relaying import Relayer
from exchange.service.rights import keep_rights, policy_of
from exchange.service.subscriptions import follow_case
from exchange.service.sweep import sweep
from identity.actor import INSTALLATION
from infra.database import transaction
from infra.jobs import here


@shared_task(name="exchange.make_topic", autoretry_for=(BrokerRetryable,), retry_backoff=True, max_retries=5)
def make_dataset_topic(dataset_id: int) -> None:
    """Make the topic of a dataset that was catalogued."""
    place = here()
    broker = connect_broker(place.settings)
    try:
        make_topic(place.engine, broker, dataset_id=dataset_id, at=place.clock.now())
    finally:
        broker.close()


@shared_task(name="exchange.sweep")
def sweep_exchange() -> None:
    """Topics not made, claims not settled, subscriptions past their last day."""
    place = here()
    broker = connect_broker(place.settings)
    try:
        sweep(place.engine, broker, at=place.clock.now())
    finally:
        broker.close()


@shared_task(name="exchange.send_webhook")
def send_webhook(subscription_id: int) -> None:
    """Post what a subscription's webhook has not got yet."""
    place = here()
    settings = place.settings
    poster = Poster(settings.webhook_networks, ca_file=settings.webhook_ca_file)
    broker = connect_broker(settings)
    try:
        sender = Sender(place.engine, broker, poster, clock=place.clock, retries_s=settings.webhook_retries_s)
        sender.send(subscription_id)
    finally:
        broker.close()


@shared_task(name="exchange.relay", autoretry_for=(BrokerRetryable,), retry_backoff=True, max_retries=3)
def relay_subscription(subscription_id: int) -> None:
    """Bring a subscription's own topic up to date."""
    place = here()
    Relayer(place.engine, shared_broker(place.settings), place.clock.now).relay(subscription_id)


@shared_task(name="exchange.keep_rights")
def keep_rights_of_readers() -> None:
    """Bring topics, users and rights on the log to what the records say."""
    place = here()
    keeper = connect_rights(place.settings)
    if keeper is None:
        return
    try:
        keep_rights(place.engine, keeper, policy_of(place.settings), at=place.clock.now())
    finally:
        keeper.close()


@shared_task(name="exchange.seal_messages")
def seal_message_log() -> None:
    """Chain the receipts and deliveries that are not yet in the message log."""
    place = here()
    seal_messages(place.engine, at=place.clock.now())


@shared_task(name="exchange.sign_head")
def sign_message_head() -> None:
    """Sign the message log's present end, into this machine's own file of heads and for proofs."""
    place = here()
    sign_messages(place.engine, data_dir=place.settings.data_dir, at=place.clock.now())


@shared_task(name="subscription.follow_case")
def follow_case_of_subscription(case_id: int) -> None:
    """Let the subscription of a case that ended follow it; approval/ nudges by the kind of subject."""
    place = here()
    with transaction(place.engine) as session:
        follow_case(session, case_id=case_id, actor=INSTALLATION.journal_id, at=place.clock.now())
