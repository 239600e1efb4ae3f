"""A real worker is killed between posting to a webhook and noting what came of it: nothing is lost, and what
comes twice comes under the same id.
"""

import json
import threading
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import Engine

from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.models import Webhook
from exchange.queries import list_deliveries
from exchange.service.publish import publish_batch
from exchange.service.subscriptions import request_subscription
from exchange.service.webhooks import set_webhook
from infra.clock import Clock, city_date
from infra.database import reading, transaction
from infra.settings import Settings
from tests.factories import make_dataset, make_exchange
from tests.faults.conftest import Start
from tests.faults.test_workers_and_beat import SIJI
from tests.receiver import Got, plainly, receiving
from tests.waiting import wait_until

KILLS = 3
RECORDS = 2_500
"""More than two messages."""

pytestmark = pytest.mark.parametrize("environment", ["production"], indirect=True)


def test_a_worker_killed_between_posting_and_noting_repeats_under_the_same_id(
    records: Engine, told: Settings, start: Start
) -> None:
    at = Clock().now()
    with transaction(records) as session:
        place = make_exchange(session, at=at)
        dataset_id = make_dataset(session, place, at=at, code="hooked").id
        subscription_id = request_subscription(
            session,
            dataset_id=dataset_id,
            system_id=place.subscriber_id,
            person_id=place.hall.applicant,
            items=["id", "name"],
            purpose="核验",
            basis="依据",
            until_on=city_date(at).replace(year=9999),
            at=at,
        ).id
    log = connect_broker(told)
    with receiving() as receiver:
        more = {"SIJI_WEBHOOK_NETWORKS": '["127.0.0.0/8"]', "SIJI_WEBHOOK_RETRIES_S": "[1, 1, 1, 1, 1]"}
        dying = threading.Event()

        def answer(handler: Any, _: Got) -> None:
            if dying.is_set():
                workers[-1].kill()  # it has sent everything, and will never hear the answer
                workers[-1].wait()
                dying.clear()
            plainly(handler, 204)

        receiver.answer = answer
        with transaction(records) as session:
            set_webhook(
                session,
                subscription_id=subscription_id,
                url=receiver.url,
                networks=[ip_network("127.0.0.0/8")],
                actor="p",
                at=at,
            )
        dying.set()
        workers = [start(SIJI, "worker", "--threads=1", more=more)]
        changes = [Change({"id": str(n), "name": "n"}) for n in range(RECORDS)]
        publish_batch(
            records,
            log,
            dataset_id=dataset_id,
            publisher_id=place.publisher_id,
            key="k",
            changes=changes,
            at=at,
            now=Clock().now,
        )
        for kill in range(1, KILLS + 1):
            wait_until(lambda: workers[-1].poll() is not None)
            if kill < KILLS:
                dying.set()
            # the clock of the next one is past the dead one's claim
            workers.append(
                start(SIJI, "worker", "--threads=1", more=more | {"SIJI_CLOCK_SHIFT_S": f"{70 * kill}"})
            )
        wait_until(lambda: len(delivered(receiver.got)) == RECORDS and settled(records, subscription_id))
        got = list(receiver.got)
    log.close()
    by_id: dict[str, list[Got]] = {}
    for one in got:
        by_id.setdefault(one.headers["webhook-id"], []).append(one)
    assert sum(len(each) - 1 for each in by_id.values()) == KILLS
    assert all(len({one.body for one in each}) == 1 for each in by_id.values())
    assert delivered(got) == [str(n) for n in range(RECORDS)]  # in order, each once by the message's id
    with reading(records) as session:
        noted = list_deliveries(session, subscription_id=subscription_id)
    assert sum(one.count for one in noted) == RECORDS
    assert all(one.acknowledged_at for one in noted)


def delivered(got: list[Got]) -> list[str]:
    """The ids of the records as a receiver has them that knows messages by their id."""
    seen: set[str] = set()
    ids: list[str] = []
    for one in list(got):
        number = one.headers["webhook-id"]
        if number not in seen:
            seen.add(number)
            ids += [record["value"]["id"] for record in json.loads(one.body)["data"]["records"]]
    return ids


def settled(engine: Engine, subscription_id: int) -> bool:
    with reading(engine) as session:
        return session.get_one(Webhook, subscription_id).message_id is None
