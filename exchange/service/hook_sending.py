"""Posting a subscription's records to its webhook: one message at a time, in order, until nothing is left.

Claim the row, read the log, record the delivery and the message, post it, settle. The message's id is kept
from its first try to its 2xx: what was lost on the way, or with the worker, comes again under the same id.
What the subscription shows is looked at anew for each try; if it is not the same, it is another message.
"""

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from approval.queries import holds_role
from approval.service import notify
from exchange.broker.driver import Broker
from exchange.errors import NotEntitled
from exchange.hooking import read_retry_after, sign, wait_s
from exchange.models import Batch, Delivery, Subscription, Webhook
from exchange.place import Place, read_place
from exchange.posting import Answer, Poster
from exchange.queries import get_dataset
from exchange.service.entitled import entitled
from exchange.service.outcomes import DONE, UNCONFIRMED, WEBHOOK, end_delivery
from exchange.service.pages import Read, generation_of, read_again, read_page, record_delivery
from exchange.service.positions import place_of, stand_behind
from exchange.service.shown import View, view_of
from exchange.service.webhooks import TASK, find_webhook, forget_message
from identity.roles import Role
from infra.clock import Clock
from infra.database import reading, transaction
from infra.jobs import enqueue

MAX_RECORDS = 1_000
MAX_BODY_BYTES = 4 * 2**20
CLAIM_LASTS = timedelta(seconds=60)
"""Longer than a message can take, so that a claim past it is a dead worker's."""
LOOKS_AGAIN_AFTER = timedelta(minutes=5)
"""When nothing was left, and in case that a nudge got lost."""
WORKS_FOR = timedelta(seconds=60)
"""After this a worker gives others their turn."""
ACTOR = "installation"
CHANCE = secrets.SystemRandom().random


@dataclass(frozen=True)
class _Message:
    """A page to post: `delivery_id` and `id` are None until it is recorded."""

    claim: str
    url: str
    secrets: tuple[str, ...]
    nudges: int
    subscription: Subscription
    view: View
    batch: Batch | None
    before: Place
    until: Place | None


class Sender:
    """Posts for one installation; `retries_s` are the seconds to wait after each failed try.

    `chance` gives the jitter, from 0 to 1.
    """

    def __init__(
        self,
        engine: Engine,
        broker: Broker,
        poster: Poster,
        *,
        clock: Clock,
        retries_s: tuple[int, ...],
        chance: Callable[[], float] = CHANCE,
    ) -> None:
        self._engine, self._broker, self._poster = engine, broker, poster
        self._clock, self._retries_s, self._chance = clock, retries_s, chance

    def send(self, subscription_id: int) -> int:
        """Post what there is, until a message fails or the turn is over; how many were taken."""
        begun, sent = self._clock.now(), 0
        while (taken := self._send_one(subscription_id)) is not None:
            sent += taken
            if self._clock.now() - begun > WORKS_FOR:
                with transaction(self._engine) as session:
                    enqueue(session, TASK, subscription_id)
                break
        return sent

    def _send_one(self, subscription_id: int) -> int | None:
        """Post one message: 1 if it was taken, 0 if none of it is to be seen, None if that is all for now."""
        message = self._claim(subscription_id)
        if message is None:
            return None
        try:
            read = self._read(message)
            if not read.records:
                return self._pass_over(message, read)
            noted = self._note(message, read)
        except NotEntitled:
            self._give_back(message)
            return None
        except BaseException:
            self._give_back(message)
            raise
        if noted is None:
            return None
        message_id, delivery = noted
        body = _body(message, read, delivery)
        answer = self._poster.post(message.url, body, self._headers(message, message_id, body))
        return 1 if self._settle(message, answer) else None

    def _claim(self, subscription_id: int) -> _Message | None:
        now = self._clock.now()
        with transaction(self._engine) as session:
            hook = find_webhook(session, subscription_id=subscription_id, lock=True)
            if hook is None or hook.state != "active" or hook.next_at > now:
                return None
            if hook.claimed_until_at is not None and hook.claimed_until_at > now:
                return None
            subscription = session.get_one(Subscription, subscription_id)
            try:
                entitled(session, subscription_id=subscription_id, system_id=subscription.system_id, at=now)
            except NotEntitled:
                hook.next_at = now + LOOKS_AGAIN_AFTER
                return None
            hook.claim, hook.claimed_until_at = secrets.token_hex(16), now + CLAIM_LASTS
            claimed = _Claimed(hook.claim, hook.url, _secrets_of(hook, now), hook.nudges)
        return self._view(subscription_id, claimed)

    def _view(self, subscription_id: int, claimed: "_Claimed") -> _Message:
        with reading(self._engine) as session:
            subscription = session.get_one(Subscription, subscription_id)
            hook = session.get_one(Webhook, subscription_id)
            view = view_of(session, subscription, None)
            place, until = place_of(session, subscription, None), None
            if hook.before is not None and hook.after is not None:
                before = read_place(hook.before)
                if before.rewinds == place.rewinds:  # else it was put back: what was on its way is void
                    place, until = before, read_place(hook.after)
            wanted = place if until is None else replace(place, generation=until.generation)
            batch = generation_of(session, subscription.dataset_id, wanted) if view.full else None
            session.expunge_all()
        return _Message(
            **asdict(claimed), subscription=subscription, view=view, batch=batch, before=place, until=until
        )

    def _read(self, message: _Message) -> Read:
        view, batch, place = message.view, message.batch, message.before
        if message.until is not None:
            return read_again(self._broker, view, batch, place, until=message.until)
        limit = MAX_RECORDS
        while True:
            read = read_page(self._broker, view, batch, place, limit=limit)
            if limit == 1 or _size(read) <= MAX_BODY_BYTES:
                return read
            limit = max(1, min(limit, len(read.records)) // 2)

    def _pass_over(self, message: _Message, read: Read) -> int | None:
        """Nothing of what was read is to be seen: 0 if there may be more."""
        now = self._clock.now()
        with transaction(self._engine) as session:
            hook = _mine(session, message)
            if hook is None:
                return None
            moved = read.after.positions != message.before.positions or (
                read.after.generation != message.before.generation
            )
            if moved:
                after = replace(read.after, rewinds=message.before.rewinds)
                stand_behind(session, subscription_id=hook.subscription_id, place=after.document(), at=now)
            forget_message(session, hook, UNCONFIRMED)
            hook.claim = hook.claimed_until_at = None
            is_idle = read.complete and not moved and hook.nudges == message.nudges
            hook.next_at = now + LOOKS_AGAIN_AFTER if is_idle else now
            return None if is_idle else 0

    def _note(self, message: _Message, read: Read) -> tuple[str, Delivery] | None:
        """Record the message before it is posted: its id and delivery; None if it may not be posted now."""
        now = self._clock.now()
        with transaction(self._engine) as session:
            hook = _mine(session, message)
            if hook is None:
                return None
            subscription = entitled(
                session,
                subscription_id=hook.subscription_id,
                system_id=message.subscription.system_id,
                at=now,
            )
            if subscription.revision != message.subscription.revision:
                hook.claim = hook.claimed_until_at = None
                return None  # what it shows has changed since it was read
            delivery = session.get(Delivery, hook.delivery_id) if hook.delivery_id else None
            if delivery is None or message.until is None or not _is_same(delivery, read, message.view):
                end_delivery(session, hook.delivery_id, UNCONFIRMED)
                made = record_delivery(
                    session, read, message.view, subscription, actor=ACTOR, at=now, way=WEBHOOK
                )
                delivery = session.get_one(Delivery, made)
                hook.delivery_id, hook.message_id = made, f"msg_{secrets.token_hex(16)}"
                hook.before = message.before.document()
                after = replace(read.after, delivery=made, rewinds=message.before.rewinds)
                hook.after = after.document()
                hook.attempts = hook.attempts if message.until is not None else 0
            hook.claimed_until_at = now + CLAIM_LASTS
            return str(hook.message_id), delivery

    def _headers(self, message: _Message, message_id: str, body: bytes) -> dict[str, str]:
        timestamp = int(self._clock.now().timestamp())
        return {
            "Content-Type": "application/json",
            "User-Agent": "siji",
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(message.secrets, message_id=message_id, timestamp=timestamp, body=body),
        }

    def _settle(self, message: _Message, answer: Answer) -> bool:
        """Note what came of it; whether it was taken."""
        now = self._clock.now()
        taken = answer.status is not None and 200 <= answer.status < 300
        with transaction(self._engine) as session:
            hook = _mine(session, message)
            if hook is None:
                return False
            hook.last_status, hook.last_tried_at = answer.status, now
            hook.last_fault = "" if taken else answer.fault or "status"
            hook.claim = hook.claimed_until_at = None
            if taken:
                delivery = session.get_one(Delivery, hook.delivery_id)
                delivery.acknowledged_at = now
                stand_behind(session, subscription_id=hook.subscription_id, place=hook.after or {}, at=now)
                forget_message(session, hook, DONE)
                hook.next_at = now
            else:
                self._wait(session, hook, answer, now)
        return taken

    def _wait(self, session: Session, hook: Webhook, answer: Answer, now: datetime) -> None:
        hook.attempts += 1
        asked_s = read_retry_after(answer.retry_after, at=now) if answer.status in (429, 503) else None
        wait = wait_s(self._retries_s, attempts=hook.attempts, chance=self._chance(), asked_s=asked_s)
        if answer.status == 410:
            hook.state = "paused"
        elif wait is None:
            hook.state = "dead"
        else:
            hook.next_at = now + timedelta(seconds=wait)
            enqueue(session, TASK, hook.subscription_id, lasts_s=60, after_s=wait)
        if hook.state != "active":
            _tell(session, hook, at=now)

    def _give_back(self, message: _Message) -> None:
        with transaction(self._engine) as session:
            hook = _mine(session, message)
            if hook is not None:
                hook.claim = hook.claimed_until_at = None
                hook.next_at = self._clock.now() + timedelta(seconds=self._retries_s[0])


@dataclass(frozen=True)
class _Claimed:
    claim: str
    url: str
    secrets: tuple[str, ...]
    nudges: int


def _secrets_of(hook: Webhook, now: datetime) -> tuple[str, ...]:
    old = hook.old_secret
    if old is None or hook.old_until_at is None or hook.old_until_at <= now:
        return (hook.secret,)
    return (hook.secret, old)


def _mine(session: Session, message: _Message) -> Webhook | None:
    """The webhook, locked, if nobody has claimed it since."""
    hook = find_webhook(session, subscription_id=message.subscription.id, lock=True)
    return hook if hook is not None and hook.claim == message.claim else None


def _is_same(delivery: Delivery, read: Read, view: View) -> bool:
    """Whether what is read now is what was recorded, record by record."""
    return (
        delivery.digest == read.digest
        and delivery.count == len(read.records)
        and (delivery.items == list(view.lens.items))
    )


def _size(read: Read) -> int:
    return len(_encoded([asdict(one) for one in read.records]))


def _body(message: _Message, read: Read, delivery: Delivery) -> bytes:
    return _encoded(
        {
            "type": "siji.records",
            "timestamp": delivery.at.isoformat(),
            "data": {
                "subscription": message.subscription.id,
                "dataset": message.view.dataset,
                "delivery": delivery.id,
                "generation": delivery.generation,
                "generation_complete": read.complete if delivery.generation is not None else None,
                "count": delivery.count,
                "digest": delivery.digest,
                "digests": delivery.digests,
                "records": [asdict(one) for one in read.records],
            },
        }
    )


def _encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _tell(session: Session, hook: Webhook, *, at: datetime) -> None:
    """A notice for the stewards of the subscriber's data, or its admins where it has none."""
    subscription = session.get_one(Subscription, hook.subscription_id)
    dataset = get_dataset(session, dataset_id=subscription.dataset_id)
    bureau_id = subscription.bureau_id
    stewards = holds_role(session, role=Role.data_steward, bureau_id=bureau_id, at=at, person_id=None)
    notify(
        session,
        key=f"webhook_{hook.state}:{hook.subscription_id}:{hook.message_id}:{hook.nudges}",
        code=f"webhook_{hook.state}",
        facts={
            "subscription": hook.subscription_id,
            "dataset": dataset.name,
            "attempts": hook.attempts,
        },
        subject_kind="subscription",
        subject_id=hook.subscription_id,
        at=at,
        role=(Role.data_steward if stewards else Role.bureau_admin).value,
        bureau_id=bureau_id,
    )
