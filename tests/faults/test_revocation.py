"""Revocation with the ways of delivery open at 100 records a second: real portal and worker processes.

A subscriber pulls, has a webhook and takes a large file all at once; once it is revoked nothing more comes on
any of the three, and its neighbour, who does the same, goes on.
"""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import Engine

from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.service.entitlements import revoke_subscription
from exchange.service.positions import rewind
from exchange.service.publish import publish_batch
from exchange.service.subscriptions import request_subscription
from exchange.service.webhooks import set_webhook
from identity.models import Bureau
from identity.service.tokens import issue_token
from infra.clock import Clock, city_date
from infra.database import transaction
from infra.settings import Settings
from tests.factories import Exchange, make_actor, make_dataset, make_exchange
from tests.faults.conftest import Start
from tests.faults.test_workers_and_beat import SIJI
from tests.receiver import Receiver, plainly, receiving
from tests.waiting import wait_until

LARGE, LARGE_CHARACTERS = 2_000, 50_000
"""More than the buffers on the way hold: 100 MB."""
EACH_S, A_TIME = 0.2, 20
BITES_WITHIN_S = 5.0
GOES_ON_S = 8.0

pytestmark = pytest.mark.parametrize("environment", ["production"], indirect=True)


@dataclass
class Subscriber:
    """Takes what comes on each way, and keeps when the last of it came."""

    subscription_id: int
    token: str
    port: int
    last: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def note(self, way: str, count: int) -> None:
        if count:
            self.last[way] = time.monotonic()
            self.counts[way] = self.counts.get(way, 0) + count

    @contextmanager
    def ask(self, path: str) -> Iterator[http.client.HTTPResponse]:
        told = {"Authorization": f"Bearer {self.token}"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as portal:
            portal.request("GET", f"/api/v1/subscriptions/{self.subscription_id}/{path}", headers=told)
            with portal.getresponse() as answer:
                yield answer

    def pull(self) -> None:
        cursor = ""
        while not self.stop.is_set():
            with self.ask(f"records?limit=500{'&cursor=' + cursor if cursor else ''}") as answer:
                told = json.loads(answer.read())
            if answer.status != 200:
                self.ended["pull"] = told["code"]
                return
            self.note("pull", len(told["records"]))
            cursor = told["cursor"]
            time.sleep(0.1)

    def take_file(self) -> None:
        """A record each 10 ms."""
        with (
            self.ask("export?format=ndjson") as answer,
            suppress(http.client.IncompleteRead, ConnectionError),
        ):
            assert answer.status == 200, answer.read()
            while answer.readline():
                self.note("file", 1)
                time.sleep(0.01)
        self.ended["file"] = "whole" if self.counts["file"] >= LARGE else "broken off"


def test_a_revocation_ends_every_way_within_seconds_and_nobody_elses(
    records: Engine, told: Settings, start: Start
) -> None:
    log = connect_broker(told)
    with transaction(records) as session:
        place = make_exchange(session, at=Clock().now())
        dataset_id = make_dataset(session, place, at=Clock().now(), code="open").id

    def publish(key: str, changes: list[Change]) -> None:
        at = Clock().now()
        publisher = place.publisher_id
        publish_batch(
            records,
            log,
            dataset_id=dataset_id,
            publisher_id=publisher,
            key=key,
            changes=changes,
            at=at,
            now=Clock().now,
        )

    for part in range(0, LARGE, 200):
        changes = [
            Change({"id": str(n), "name": "𠮷" * (LARGE_CHARACTERS // 4)}) for n in range(part, part + 200)
        ]
        publish(f"large-{part}", changes)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    more = {
        "SIJI_PORTAL_PORT": str(port),
        "SIJI_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
        "SIJI_WEBHOOK_RETRIES_S": "[1, 1, 1]",
    }
    start(SIJI, "serve", more=more)
    start(SIJI, "worker", "--threads=2", more=more)
    wait_until(lambda: answers(port))
    stop = threading.Event()
    with ExitStack() as stack:
        receivers = [stack.enter_context(receiving()) for _ in range(2)]
        systems = (place.subscriber_id, place.second_subscriber_id)
        revoked, neighbour = (
            subscribe(records, place, dataset_id, system, receiver, port)
            for system, receiver in zip(systems, receivers, strict=True)
        )
        threads = [begin(act) for one in (revoked, neighbour) for act in (one.pull, one.take_file)]
        threads.append(begin(lambda: keep_publishing(publish, stop)))
        wait_until(lambda: all(len(one.counts) == 3 for one in (revoked, neighbour)))
        time.sleep(2)
        begun = time.monotonic()
        with transaction(records) as session:
            own = {"subscription_id": revoked.subscription_id, "revision_seen": 2}
            revoke_subscription(session, **own, actor="person:1", reason="用途不符", at=Clock().now())
        done = time.monotonic()
        time.sleep(GOES_ON_S)
        late = {way: at - done for way, at in revoked.last.items()}
        since = {way: at - done for way, at in neighbour.last.items()}
        wait_until(lambda: "file" in neighbour.ended)
        stop.set()
        neighbour.stop.set()
        for thread in threads:
            thread.join()
    log.close()
    print(f"\nrevoked in {done - begun:.3f} s; last record after it: {late}; the neighbour's: {since}")
    assert max(late.values()) < BITES_WITHIN_S
    assert revoked.ended == {"pull": "not_entitled", "file": "broken off"}
    assert revoked.counts["file"] < LARGE
    assert min(since["pull"], since["webhook"], since["file"]) > BITES_WITHIN_S
    assert neighbour.ended == {"file": "whole"}


def subscribe(
    engine: Engine, place: Exchange, dataset_id: int, system_id: int, receiver: Receiver, port: int
) -> Subscriber:
    """One that stands behind the large records, with a token and a webhook."""
    at = Clock().now()
    with transaction(engine) as session:
        subscription_id = request_subscription(
            session,
            dataset_id=dataset_id,
            system_id=system_id,
            person_id=place.hall.applicant,
            items=["id", "name"],
            purpose="核验",
            basis="依据",
            until_on=city_date(at) + timedelta(days=300),
            at=at,
        ).id
        own: dict[str, Any] = {"subscription_id": subscription_id, "system_id": system_id}
        rewind(session, **own, actor="t", at=at, offsets={0: LARGE})
        issued = issue_token(
            session,
            actor=make_actor(session, session.get_one(Bureau, place.hall.town), role="bureau_admin"),
            system_id=system_id,
            label="走查",
            scopes=["datasets:pull"],
            expires_on=city_date(at) + timedelta(days=30),
            at=at,
        )
        networks = [ip_network("127.0.0.0/8")]
        subscriber = Subscriber(subscription_id, issued.text, port)

        def take(handler: Any, got: Any) -> None:
            subscriber.note("webhook", len(json.loads(got.body)["data"]["records"]))
            plainly(handler, 204)

        receiver.answer = take
        own_hook: dict[str, Any] = {"subscription_id": subscription_id, "actor": "t", "at": at}
        set_webhook(session, **own_hook, url=receiver.url, networks=networks)
    return subscriber


def keep_publishing(publish: Callable[[str, list[Change]], None], stop: threading.Event) -> None:
    """100 records a second."""
    number = 0
    while not stop.is_set():
        begun = time.monotonic()
        publish(f"small-{number}", [Change({"id": f"s{number + n}", "name": "n"}) for n in range(A_TIME)])
        number += A_TIME
        time.sleep(max(0, EACH_S - (time.monotonic() - begun)))


def begin(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
