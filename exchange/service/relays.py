"""Subscriptions' own topics as their people have them: opened, ended, put back; and who is to be nudged."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Select, exists, or_, select, update
from sqlalchemy.orm import Session

from exchange.errors import TopicState
from exchange.models import LIVE_STATES, Batch, Dataset, Subscription
from exchange.place import BEGINNING, Place, read_place
from exchange.queries import find_generation, find_position
from exchange.relay_models import Relay
from exchange.scram import FEWEST, MOST, credential_of
from exchange.service.continuing import topic_place
from exchange.service.pages import unread
from exchange.service.standing import SUBJECT, in_state
from exchange.topic_records import topic_name
from infra.database import locked
from infra.errors import NotFound
from infra.jobs import enqueue
from infra.journal import append

TASK = "exchange.relay"
RIGHTS_TASK = "exchange.keep_rights"
PASSWORD_BYTES, SALT_BYTES = 24, 24
NUDGE_LASTS_S = 60
ON_ITS_WAY = timedelta(seconds=10)
"""After this a message that nobody took counts as lost."""
UNSEEN = {"synchronize_session": False}
NEWEST = 200
"""Batches that are looked at for the end of what is settled."""
CLOCKS = timedelta(minutes=5)
"""How far the clocks of those who settle batches and of those who relay may lie apart."""


def find_relay(session: Session, *, subscription_id: int, lock: bool = False) -> Relay | None:
    """The subscription's relay, its row locked and as last committed if asked."""
    query = select(Relay).where(Relay.subscription_id == subscription_id)
    return session.scalar(locked(query) if lock else query)


def get_relay(session: Session, *, subscription_id: int, lock: bool = False) -> Relay:
    """The subscription's relay; NotFound."""
    found = find_relay(session, subscription_id=subscription_id, lock=lock)
    if found is None:
        raise NotFound(what_zh="专用主题", what_en="topic of subscription", key=subscription_id)
    return found


def keep_subscription(session: Session, subscription_id: int) -> None:
    """Let nobody change the subscription until the commit."""
    session.scalar(locked(select(Subscription).where(Subscription.id == subscription_id), read=True))


def open_topic(
    session: Session, *, subscription_id: int, prefix: str | None, actor: str, at: datetime
) -> Relay:
    """Let the subscription have a topic of its own; one that ended goes on.

    It is filled from where the subscription stands, or where the topic of the one that it continues did.

    `prefix` is the installation's own on Kafka, None if it has none. Raises NotFound, SubscriptionState,
    TopicState.
    """
    subscription = in_state(session, subscription_id, LIVE_STATES)
    if prefix is None:
        raise TopicState(
            subscription=subscription_id,
            why_zh="本平台未使用 Kafka，请以接口拉取数据",
            why_en="this installation has no Kafka; pull the records instead",
        )
    relay = find_relay(session, subscription_id=subscription_id, lock=True)
    if relay is not None and relay.ended_at is None:
        raise TopicState(
            subscription=subscription_id, why_zh="已开通专用主题", why_en="it has a topic of its own already"
        )
    if relay is None:
        position = find_position(session, subscription_id=subscription_id)
        place = topic_place(session, subscription)
        if place is None:
            place = BEGINNING if position is None else read_place(position.content)
        relay = Relay(
            subscription_id=subscription_id,
            name=topic_name(prefix, subscription_id, secrets.token_hex(4)),
            content=place.document(),
            made_at=at,
            nudges=0,
        )
        session.add(relay)
    relay.ended_at = None
    session.flush()
    _record(session, subscription, relay, "topic_opened", actor=actor, at=at)
    nudge(session, [subscription_id], at=at)
    return relay


def end_topic(session: Session, *, subscription_id: int, actor: str, at: datetime) -> Relay:
    """Write nothing more to it, and let nobody read it. Raises NotFound, TopicState."""
    subscription = in_state(session, subscription_id, LIVE_STATES)
    relay = get_relay(session, subscription_id=subscription_id, lock=True)
    if relay.ended_at is not None:
        raise TopicState(
            subscription=subscription_id, why_zh="专用主题已停用", why_en="its topic has ended already"
        )
    relay.ended_at = at
    relay.salt = relay.salted_password = ""
    relay.iterations, relay.issued_at = 0, None
    _record(session, subscription, relay, "topic_ended", actor=actor, at=at)
    enqueue(session, RIGHTS_TASK, lasts_s=NUDGE_LASTS_S)
    return relay


def issue_credential(session: Session, *, subscription_id: int, actor: str, at: datetime) -> str:
    """A new password for the topic's user, told once; the one before it ends. NotFound, TopicState.

    The iterations differ from the last ones, so that a credential that somebody else set shows.
    """
    subscription = in_state(session, subscription_id, LIVE_STATES)
    relay = get_relay(session, subscription_id=subscription_id, lock=True)
    if relay.ended_at is not None:
        raise TopicState(subscription=subscription_id, why_zh="专用主题已停用", why_en="its topic has ended")
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    iterations = relay.iterations
    while iterations == relay.iterations:
        iterations = FEWEST + secrets.randbelow(MOST - FEWEST + 1)
    kept = credential_of(password, salt=secrets.token_bytes(SALT_BYTES), iterations=iterations)
    relay.salt, relay.salted_password = kept.salt.hex(), kept.salted_password.hex()
    relay.iterations, relay.issued_at = kept.iterations, at
    _record(session, subscription, relay, "topic_credential_issued", actor=actor, at=at)
    enqueue(session, RIGHTS_TASK, lasts_s=NUDGE_LASTS_S)
    return password


def put_back(session: Session, *, subscription_id: int, place: Place, at: datetime) -> None:
    """Let the relay, if there is one, write what lies behind `place` once more."""
    relay = find_relay(session, subscription_id=subscription_id, lock=True)
    if relay is not None:
        rewinds = read_place(relay.content).rewinds + 1
        relay.content = Place(place.positions, place.turn, place.generation, None, rewinds).document()
        relay.reached_at = None
        session.flush()
        nudge(session, [subscription_id], at=at)


def lag_of(session: Session, relay: Relay, dataset: Dataset) -> int:
    """How many offsets are settled and not yet relayed: records, and on Kafka the marks between batches."""
    place = read_place(relay.content)
    if dataset.update_mode == "full":
        newest = find_generation(session, dataset_id=dataset.id)
        return 0 if newest is None else sum(last - at + 1 for _, at, last in unread(newest, place))
    settled = select(Batch.spans).where(Batch.dataset_id == dataset.id, Batch.state == "settled")
    ends: dict[int, int] = {}
    for spans in session.scalars(settled.order_by(Batch.id.desc()).limit(NEWEST)):
        for partition, (_first, last, _count) in (spans or {}).items():
            ends[int(partition)] = max(ends.get(int(partition), 0), last + 1)
    return sum(max(0, end - place.positions.get(p, 0)) for p, end in ends.items())


def nudge(session: Session, subscription_ids: Iterable[int], *, at: datetime) -> None:
    """Let the relays look, once this commits.

    Who holds one looks again, and where a message is on its way no other is sent: else so many would wait
    that revocations came too late.
    """
    ids = list(subscription_ids)
    held = update(Relay).where(Relay.subscription_id.in_(ids), Relay.held_until_at > at)
    session.execute(held.values(nudges=Relay.nudges + 1), execution_options=UNSEEN)
    waiting = update(Relay).where(
        Relay.subscription_id.in_(ids),
        or_(Relay.held_until_at.is_(None), Relay.held_until_at <= at),
        or_(Relay.nudged_at.is_(None), Relay.nudged_at <= at - ON_ITS_WAY),
    )
    sent = waiting.values(nudged_at=at).returning(Relay.subscription_id)
    for subscription_id in session.scalars(sent, execution_options=UNSEEN).all():
        enqueue(session, TASK, subscription_id, lasts_s=NUDGE_LASTS_S)


def nudge_relays(session: Session, *, dataset_id: int, at: datetime) -> None:
    """Something of the dataset may be new to its subscribers: let their relays look, once this commits."""
    found = session.scalars(_living().where(Subscription.dataset_id == dataset_id)).all()
    if found:
        nudge(session, found, at=at)


def list_due_relays(session: Session) -> list[int]:
    """Ids of the subscriptions whose relay has a run open, or may have something to do."""
    newer = exists().where(
        Batch.dataset_id == Subscription.dataset_id,
        Batch.state == "settled",
        Batch.settled_at > Relay.reached_at,
    )
    due = _living().where(or_(Relay.reached_at.is_(None), newer))
    open_runs = select(Relay.subscription_id).where(Relay.marker.is_not(None))
    return sorted({*session.scalars(due), *session.scalars(open_runs)})


def _living() -> Select[int]:
    return (
        select(Relay.subscription_id)
        .join(Subscription, Subscription.id == Relay.subscription_id)
        .where(Subscription.state == "active", Relay.ended_at.is_(None))
    )


def _record(
    session: Session, subscription: Subscription, relay: Relay, act: str, *, actor: str, at: datetime
) -> None:
    append(
        session,
        actor=actor,
        act=f"subscription.{act}",
        subject=f"{SUBJECT}:{subscription.id}",
        bureau_id=subscription.bureau_id,
        at=at,
        before=None,
        after={"topic": relay.name},
    )
