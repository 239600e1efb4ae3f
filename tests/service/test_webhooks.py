"""Webhooks against a real receiver on loopback: order, repeats, bad receivers, dead letters, secrets."""

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.models import Notice
from exchange.batch import Change
from exchange.broker.driver import Slice
from exchange.errors import SubscriptionState, WebhookInvalid, WebhookState
from exchange.hooking import sign
from exchange.models import Delivery, Webhook
from exchange.posting import Answer, Poster
from exchange.queries import find_position, get_subscription, list_deliveries
from exchange.schema import Item
from exchange.service import hook_sending
from exchange.service.entitlements import narrow_subscription, pause_subscription, revoke_subscription
from exchange.service.hook_sending import Sender
from exchange.service.positions import rewind
from exchange.service.reconcile import reconcile
from exchange.service.webhooks import (
    list_due,
    redrive,
    remove_webhook,
    rotate_secret,
    set_webhook,
    skip,
)
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from infra.lab import processes
from infra.lab.kafka import certificates
from tests.receiver import Got, Receiver, plainly, receiving
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider

DOCUMENT = Path(__file__).parents[2] / "docs/delivering.md"
LOOPBACK = ("127.0.0.0/8",)
NETWORKS = [ip_network(one) for one in LOOPBACK]
RETRIES = (10, 100)


@dataclass
class Clock:
    at: datetime

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Hook(Desk):
    """A desk whose subscription has a webhook."""

    clock: Clock
    secret: str | None = None
    poster = Poster(LOOPBACK)

    def hook(self, url: str) -> None:
        with transaction(self.engine) as session:
            mine: dict[str, Any] = {"subscription_id": self.subscription_id, "at": self.clock.at}
            self.secret = (
                set_webhook(session, **mine, actor="p", url=url, networks=NETWORKS)[1] or self.secret
            )

    def send(self) -> int:
        sender = Sender(
            self.engine,
            self.log,
            self.poster,
            clock=self.clock,  # type: ignore[arg-type]
            retries_s=RETRIES,
            chance=lambda: 0.5,
        )
        return sender.send(self.subscription_id)

    def act(self, what: Any, **how: Any) -> Any:
        with transaction(self.engine) as session:
            return what(
                session, subscription_id=self.subscription_id, actor="person:1", at=self.clock.at, **how
            )

    @property
    def row(self) -> Webhook:
        with reading(self.engine) as session:
            return session.get_one(Webhook, self.subscription_id)

    def deliveries(self) -> list[Delivery]:
        with reading(self.engine) as session:
            return list_deliveries(session, subscription_id=self.subscription_id)[::-1]


@pytest.fixture(params=["database", "sqlite_database", "kafka"])
def hook(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Hook]:
    kind = "kafka" if request.param == "kafka" else "embedded"
    engine: Engine = request.getfixturevalue("database" if kind == "kafka" else request.param)
    with open_provider(engine, tmp_path, at, kind=kind) as provider:
        desk = Hook(provider)
        desk.clock = Clock(at)
        desk.catalogue()
        desk.subscribe("id", "name")
        yield desk


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def records_of(got: Got) -> list[Any]:
    return [record["value"].get("id") for record in json.loads(got.body)["data"]["records"]]


def test_records_come_in_order_signed_and_are_acknowledged_by_2xx(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_sending, "MAX_RECORDS", 4)
    hook.hook(receiver.url)
    hook.publish(*upserts(*"abcdefghij"))
    assert hook.send() == 3
    assert [records_of(got) for got in receiver.got] == [list("abcd"), list("efgh"), list("ij")]
    for got, delivery in zip(receiver.got, hook.deliveries(), strict=True):
        told = got.headers
        stamp = int(told["webhook-timestamp"])
        wanted = sign([str(hook.secret)], message_id=told["webhook-id"], timestamp=stamp, body=got.body)
        assert told["webhook-signature"] == wanted
        assert (got.path, told["content-type"]) == ("/hook?x=1", "application/json")
        data = json.loads(got.body)["data"]
        assert (data["delivery"], data["count"], data["digest"]) == (
            delivery.id,
            delivery.count,
            delivery.digest,
        )
        assert (delivery.way, delivery.acknowledged_at) == ("webhook", hook.clock.at)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 3
    assert hook.pull().records == ()  # it stands where the webhook has come to
    assert hook.send() == 0
    assert len(receiver.got) == 3
    accounts = list(
        reconcile(hook.engine, hook.log, start=hook.at - timedelta(1), end=hook.at + timedelta(1))
    )
    assert all(one.agrees for one in accounts)


def test_the_check_in_the_documentation_takes_what_is_signed_and_nothing_else(
    hook: Hook, receiver: Receiver
) -> None:
    [check] = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    told: dict[str, Any] = {}
    exec(check, told)  # noqa: S102
    is_from_siji = told["is_from_siji"]
    hook.clock.at = datetime.now(UTC)
    hook.hook(receiver.url)
    hook.act(rotate_secret, overlap_hours=1)
    hook.publish(*upserts("a"))
    hook.clock.at = datetime.now(UTC)
    assert hook.send() == 1
    [got] = receiver.got
    secret = str(hook.secret)
    assert is_from_siji(secret, got.headers, got.body)
    assert not is_from_siji(secret, got.headers, got.body + b" ")
    assert not is_from_siji(secret, got.headers | {"webhook-id": "msg_x"}, got.body)
    assert not is_from_siji(secret, got.headers | {"webhook-timestamp": "1764571234"}, got.body)
    assert not is_from_siji("whsec_" + "A" * 43 + "=", got.headers, got.body)


def test_a_batch_that_settles_makes_it_due(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.send()
    assert due(hook) == []
    hook.publish(*upserts("a"))
    assert due(hook) == [hook.subscription_id]
    hook.send()
    assert due(hook) == []
    hook.clock.advance(301)
    assert due(hook) == [hook.subscription_id]  # a nudge may get lost


def due(hook: Hook) -> list[int]:
    with reading(hook.engine) as session:
        return list_due(session, at=hook.clock.at)


def test_a_lost_answer_is_sent_again_under_the_same_id_and_nothing_overtakes_it(
    hook: Hook, receiver: Receiver
) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a", "b"))
    receiver.answer = lambda handler, _: handler.connection.shutdown(socket.SHUT_RDWR)
    assert hook.send() == 0
    assert (hook.row.attempts, hook.row.last_status, hook.deliveries()[0].acknowledged_at) == (1, None, None)
    hook.publish(*upserts("c"))
    assert hook.send() == 0
    assert len(receiver.got) == 1  # it waits
    receiver.answer = lambda handler, _: plainly(handler, 200)
    hook.clock.advance(10)
    assert hook.send() == 2
    first, again, rest = receiver.got
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert again.headers["webhook-timestamp"] != first.headers["webhook-timestamp"]
    assert records_of(rest) == ["c"]
    assert [(one.count, one.acknowledged_at is not None) for one in hook.deliveries()] == [
        (2, True),
        (1, True),
    ]


def test_after_the_last_try_it_stops_tells_and_is_redriven(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = lambda handler, _: plainly(handler, 500)
    for wait in (0, 10, 100, 10_000):
        hook.clock.advance(wait)
        assert hook.send() == 0
    assert len(receiver.got) == 3
    row = hook.row
    assert (row.state, row.attempts, row.last_status, row.last_fault) == ("dead", 3, 500, "status")
    with reading(hook.engine) as session:
        [notice] = session.scalars(select(Notice).where(Notice.code == "webhook_dead")).all()
        assert notice.facts["attempts"] == 3
        assert notice.bureau_id == hook.place.hall.town
    receiver.answer = lambda handler, _: plainly(handler, 204)
    hook.act(redrive)
    assert hook.send() == 1
    assert {got.headers["webhook-id"] for got in receiver.got} == {row.message_id}
    assert (hook.row.state, hook.row.message_id) == ("active", None)


def test_skipping_needs_a_reason_and_is_journalled(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    with pytest.raises(WebhookState):
        hook.act(skip, reason="没有要跳过的")
    hook.publish(*upserts("a"))
    receiver.answer = lambda handler, _: plainly(handler, 400)
    for wait in (0, 10, 100):
        hook.clock.advance(wait)
        hook.send()
    hook.publish(*upserts("b"))
    with pytest.raises(WebhookInvalid):
        hook.act(skip, reason=" ")
    receiver.answer = lambda handler, _: plainly(handler, 204)
    hook.act(skip, reason="对方已人工补录")
    assert hook.send() == 1
    assert records_of(receiver.got[-1]) == ["b"]
    assert [one.acknowledged_at is not None for one in hook.deliveries()] == [False, True]
    with reading(hook.engine) as session:
        [entry] = session.scalars(select(JournalEntry).where(JournalEntry.act == "webhook.skipped")).all()
        assert (entry.after or {})["reason"] == "对方已人工补录"
        assert (entry.before or {})["delivery_id"] == hook.deliveries()[0].id


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_waited_for(hook: Hook, receiver: Receiver, status: int) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = lambda handler, _: plainly(handler, status, Retry_After="77")
    hook.send()
    assert hook.row.next_at - hook.clock.at == timedelta(seconds=77)


def test_410_stops_it_until_it_is_redriven(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = lambda handler, _: plainly(handler, 410)
    hook.send()
    hook.clock.advance(10_000)
    assert (hook.row.state, hook.send(), len(receiver.got)) == ("paused", 0, 1)
    with reading(hook.engine) as session:
        assert "webhook_paused" in session.scalars(select(Notice.code)).all()
    receiver.answer = lambda handler, _: plainly(handler, 200)
    hook.hook(receiver.url)  # named anew, it goes on too
    assert hook.send() == 1


def _redirect(handler: Any, _: Got) -> None:
    plainly(handler, 307, Location=f"http://127.0.0.1:{handler.server.server_address[1]}/elsewhere")


def _no_http(handler: Any, _: Got) -> None:
    handler.wfile.write(b"SSH-2.0-x\r\n")


def _endless_headers(handler: Any, _: Got) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(100_000):
        handler.wfile.write(b"X-%d: %s\r\n" % (n, b"x" * 1000))


@pytest.mark.parametrize(
    ("answer", "status", "fault"),
    [(_redirect, 307, "status"), (_no_http, None, "answer"), (_endless_headers, None, "answer")],
)
def test_what_is_no_2xx_of_its_own_is_a_failure(
    hook: Hook, receiver: Receiver, answer: Any, status: int | None, fault: str
) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = answer
    assert hook.send() == 0
    assert (hook.row.last_status, hook.row.last_fault) == (status, fault)
    assert len(receiver.got) == 1


def test_a_huge_answer_is_not_read(hook: Hook, receiver: Receiver) -> None:
    def huge(handler: Any, _: Got) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 2**16)

    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = huge
    begun = time.monotonic()
    assert hook.send() == 1
    assert time.monotonic() - begun < 3


def _hang(handler: Any, _: Got) -> None:
    time.sleep(5)


def _drip(handler: Any, _: Got) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1000:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [_hang, _drip])
def test_who_hangs_or_drips_is_given_up(
    hook: Hook, receiver: Receiver, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exchange.posting.ANSWER_WITHIN_S", 0.7)
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    receiver.answer = answer
    begun = time.monotonic()
    assert hook.send() == 0
    assert (hook.row.last_fault, time.monotonic() - begun < 3) == ("timeout", True)


def test_who_does_not_take_what_is_sent_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exchange.posting.SEND_WITHIN_S", 0.7)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = time.monotonic()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert Poster(LOOPBACK).post(url, b"x" * 50_000_000, {}) == Answer(None, "timeout")
        assert Poster(LOOPBACK).post(url.replace("http", "https"), b"x", {}) == Answer(None, "timeout")
        assert time.monotonic() - begun < 5


def test_over_tls_the_certificate_must_be_trusted_and_of_that_host(hook: Hook, tmp_path: Path) -> None:
    certificates.ensure(tmp_path / "made", processes.myself())
    with receiving(tmp_path / "made/broker.pem") as receiver:
        hook.hook(receiver.url)
        hook.publish(*upserts("a"))
        assert hook.send() == 0
        assert hook.row.last_fault == "certificate"
        hook.poster = Poster(LOOPBACK, ca_file=tmp_path / "made/ca.pem")
        hook.clock.advance(10)
        assert hook.send() == 1
    with receiving(tmp_path / "made/broker.pem", host="127.0.0.2") as other:
        assert hook.poster.post(other.url, b"x", {}) == Answer(None, "certificate")
        assert other.got == []


def test_only_listed_or_public_addresses_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        assert Poster(()).post(receiver.url, b"x", {}) == Answer(None, "address")
        assert Poster(()).post(receiver.url.replace("127.0.0.1", "localhost"), b"x", {}).fault == "address"
        assert Poster(("10.0.0.0/8",)).post(receiver.url, b"x", {}) == Answer(None, "address")
        resolve = socket.getaddrinfo

        def two(host: str, port: int, **how: Any) -> Any:
            return [*resolve("127.0.0.1", port, **how), *resolve("169.254.169.254", port, **how)]

        monkeypatch.setattr(socket, "getaddrinfo", two)
        assert Poster(LOOPBACK).post(receiver.url, b"x", {}) == Answer(None, "address")
        assert receiver.got == []


def test_what_cannot_be_reached_is_a_fault_of_its_kind() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert Poster(LOOPBACK).post(f"http://127.0.0.1:{port}/", b"x", {}) == Answer(None, "connect")
    assert Poster(LOOPBACK).post("http://no-such-host.invalid/", b"x", {}) == Answer(None, "name")


def test_both_secrets_sign_while_they_overlap(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    old, new = str(hook.secret), hook.act(rotate_secret, overlap_hours=1)
    with pytest.raises(WebhookInvalid):
        hook.act(rotate_secret, overlap_hours=10_000)
    for ids, secrets in (("a", [new, old]), ("b", [new])):
        hook.publish(*upserts(ids))
        assert hook.send() == 1
        got = receiver.got[-1]
        number, stamp = got.headers["webhook-id"], int(got.headers["webhook-timestamp"])
        wanted = sign(secrets, message_id=number, timestamp=stamp, body=got.body)
        assert got.headers["webhook-signature"] == wanted
        hook.clock.advance(3601)
    with reading(hook.engine) as session:
        told_of = str([(e.before, e.after) for e in session.scalars(select(JournalEntry))])
    assert "whsec" not in told_of


def test_what_shows_otherwise_now_is_another_message(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a", "b"))
    receiver.answer = lambda handler, _: plainly(handler, 500)
    hook.send()
    with reading(hook.engine) as session:
        seen = get_subscription(session, subscription_id=hook.subscription_id).revision
    only_b = {"item": "id", "operator": "eq", "values": ["b"]}
    hook.act(narrow_subscription, filters=[only_b], revision_seen=seen)
    receiver.answer = lambda handler, _: plainly(handler, 200)
    hook.clock.advance(10)
    assert hook.send() == 1
    first, second = receiver.got
    assert records_of(second) == [None, "b"]
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert [one.acknowledged_at is not None for one in hook.deliveries()] == [False, True]


def test_what_is_filtered_out_is_passed_over(hook: Hook, receiver: Receiver) -> None:
    hook.subscribe(
        "id",
        system_id=hook.place.second_subscriber_id,
        filters=[{"item": "id", "operator": "eq", "values": ["z"]}],
    )
    hook.hook(receiver.url)
    hook.publish(*upserts(*"abc"))
    hook.send()
    assert receiver.got == []
    with reading(hook.engine) as session:
        position = find_position(session, subscription_id=hook.subscription_id)
    assert position is not None
    assert position.content["p"]["0"] >= 3  # Kafka counts a transaction's end too
    hook.publish(*upserts("z"))
    hook.send()
    assert [records_of(got) for got in receiver.got] == [["z"]]


def test_a_read_that_gives_nothing_for_once_is_not_the_end(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a poll of Kafka that runs out of time."""
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    read, nothing = hook.log.read, iter([Slice((), 0)])
    monkeypatch.setattr(hook.log, "read", lambda *one, **how: next(nothing, None) or read(*one, **how))
    assert hook.send() == 1
    assert records_of(receiver.got[0]) == ["a"]


def test_put_back_it_sends_again_from_there(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    hook.send()
    hook.publish(*upserts("b"))
    receiver.answer = lambda handler, _: plainly(handler, 500)
    hook.send()
    hook.act(rewind, system_id=hook.place.subscriber_id)
    receiver.answer = lambda handler, _: plainly(handler, 200)
    hook.clock.advance(301)
    hook.send()
    assert records_of(receiver.got[-1]) == ["a", "b"]


def test_a_generation_is_posted_whole_and_says_so(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_sending, "MAX_RECORDS", 2)
    hook.catalogue(update_mode="full", partitions=2)
    hook.subscribe("id")
    hook.hook(receiver.url)
    first = hook.publish(*upserts(*"abcde"))
    failing = [True]
    receiver.answer = lambda handler, _: (
        plainly(handler, 500 if failing.pop() else 200) if failing else plainly(handler, 200)
    )
    hook.send()
    second = hook.publish(*upserts("x"))
    hook.clock.advance(10)
    hook.send()
    told = [json.loads(got.body)["data"] for got in receiver.got]
    assert [one["generation"] for one in told] == [first.id] * 4 + [second.id]
    assert [one["generation_complete"] for one in told] == [False, False, False, True, True]
    values = [record["value"]["id"] for one in told[1:4] for record in one["records"]]
    assert sorted(values) == list("abcde")


def test_a_page_that_is_too_large_is_sent_in_parts(
    hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hook_sending, "MAX_BODY_BYTES", 3_000)
    hook.hook(receiver.url)
    hook.publish(*upserts(*(str(n) for n in range(30)), name="x" * 200))
    assert hook.send() > 3
    assert [i for got in receiver.got for i in records_of(got)] == [str(n) for n in range(30)]
    assert all(len(got.body) < 4_000 for got in receiver.got)


def test_paused_or_revoked_nothing_is_posted(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    hook.act(pause_subscription, revision_seen=2, reason="核查")
    assert (due(hook), hook.send(), receiver.got) == ([], 0, [])
    hook.act(revoke_subscription, revision_seen=3, reason="用途不符")
    hook.clock.advance(1000)
    assert (due(hook), hook.send(), receiver.got) == ([], 0, [])
    with pytest.raises(SubscriptionState):
        hook.hook(receiver.url)


def test_two_workers_at_once_send_each_message_once(hook: Hook, receiver: Receiver) -> None:
    def slowly(handler: Any, _: Got) -> None:
        time.sleep(0.2)
        plainly(handler, 200)

    receiver.answer = slowly
    hook.hook(receiver.url)
    hook.publish(*upserts("a"))
    threads = [Thread(target=hook.send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.got) == 1


def test_values_are_in_no_log_and_no_column(
    hook: Hook, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    planted = "130602199003070078"
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, logger="kafka")  # below it the library shows what it sends, byte by byte

    def echo(handler: Any, got: Got) -> None:
        handler.send_response(500, planted)
        handler.send_header("X-Echo", planted)
        handler.send_header("Content-Length", str(len(got.body)))
        handler.end_headers()
        handler.wfile.write(got.body)

    hook.catalogue(items=(Item("id", "text"),))
    hook.subscribe("id")
    hook.hook(receiver.url)
    hook.publish(Change({"id": planted}))
    receiver.answer = echo
    hook.send()
    assert planted in receiver.got[0].body.decode()
    assert planted not in caplog.text
    row = hook.row
    assert planted not in str([getattr(row, column.name) for column in Webhook.__table__.columns])


def test_it_is_removed(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.act(remove_webhook)
    hook.publish(*upserts("a"))
    assert hook.send() == 0
    with pytest.raises(NotFound):
        hook.act(remove_webhook)
    with pytest.raises(WebhookInvalid):
        hook.hook("ftp://a.example/")
