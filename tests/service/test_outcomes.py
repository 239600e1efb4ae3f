"""Deliveries that are on their way are chained once it is known how they ended, filters and all."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from exchange.message_models import Message
from exchange.models import Webhook
from exchange.service.entitlements import revoke_subscription
from exchange.service.export import Export, export
from exchange.service.messages import MessageBreak, seal_messages, sign_messages, verify_messages
from exchange.service.outcomes import FILE_LASTS, end_left
from exchange.service.proofs import Wanted, check_proof, write_proof
from exchange.service.reconcile import reconcile
from exchange.service.webhooks import remove_webhook, skip
from infra.database import reading, transaction
from infra.journal import KEY_FILE, make_or_load_key
from tests.receiver import Receiver, plainly, receiving
from tests.service.desk import upserts
from tests.service.provider import open_provider
from tests.service.test_webhooks import Clock, Hook

FILTERS = [{"item": "id", "operator": "in", "values": ["a", "𠮷"]}]


@pytest.fixture(params=["database", "sqlite_database"])
def hook(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Hook]:
    with open_provider(request.getfixturevalue(request.param), tmp_path, at) as provider:
        desk = Hook(provider)
        desk.clock = Clock(at)
        desk.catalogue()
        desk.subscribe("id", "name", filters=FILTERS)
        desk.publish(*upserts("a", "b", "𠮷"))
        yield desk


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def failing(receiver: Receiver) -> None:
    receiver.answer = lambda handler, _: plainly(handler, 500)


def seal(hook: Hook) -> None:
    seal_messages(hook.engine, at=hook.clock.at)


def chained(engine: Engine) -> list[Any]:
    with reading(engine) as session:
        said = session.scalars(select(Message).where(Message.kind == "delivery").order_by(Message.seq))
        return [json.loads(one.content) for one in said]


def outcomes(hook: Hook) -> list[tuple[str, int | None]]:
    """What is chained of deliveries, as (outcome, count); all must agree with the ledger and the log."""
    seal(hook)
    found = verify_messages(hook.engine)
    assert (found.whole, found.unsealed) == (True, 0)
    start, end = hook.at - timedelta(days=1), hook.clock.at + timedelta(days=1)
    assert all(one.agrees for one in reconcile(hook.engine, hook.log, start=start, end=end))
    return [(one.get("outcome", "-"), one["count"]) for one in chained(hook.engine)]


def made(hook: Hook) -> Export:
    return export(
        hook.engine,
        hook.log,
        subscription_id=hook.subscription_id,
        system_id=hook.place.subscriber_id,
        actor="token:1",
        clock=hook.clock,  # type: ignore[arg-type]
        form="ndjson",
    )


def test_a_message_is_chained_once_it_was_taken(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    failing(receiver)
    hook.send()
    assert outcomes(hook) == []
    hook.clock.advance(60)
    receiver.answer = lambda handler, _: plainly(handler, 204)
    assert hook.send() == 1
    assert outcomes(hook) == [("done", 2)]


def test_what_was_skipped_or_removed_with_its_webhook_is_unconfirmed(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    failing(receiver)
    for _ in range(3):
        hook.send()
        hook.clock.advance(1000)
    assert outcomes(hook) == []
    hook.act(skip, reason="对方不再需要")
    assert outcomes(hook) == [("unconfirmed", 2)]
    hook.publish(*upserts("a"))
    hook.send()
    hook.act(remove_webhook)
    assert outcomes(hook) == [("unconfirmed", 2), ("unconfirmed", 1)]


def test_a_message_that_may_not_be_sent_again_is_unconfirmed_once_nobody_is_at_it(
    hook: Hook, receiver: Receiver
) -> None:
    hook.hook(receiver.url)
    failing(receiver)
    hook.send()
    until = hook.clock.at + timedelta(seconds=30)
    with transaction(hook.engine) as session:
        assert end_left(session, at=until) == 0
        session.get_one(Webhook, hook.subscription_id).claimed_until_at = until
    hook.act(revoke_subscription, revision_seen=2, reason="用途不符")
    with transaction(hook.engine) as session:
        assert end_left(session, at=until) == 0
    assert outcomes(hook) == []
    with transaction(hook.engine) as session:
        assert end_left(session, at=until + timedelta(seconds=1)) == 1
    assert outcomes(hook) == [("unconfirmed", 2)]


def test_a_file_is_chained_once_it_was_handed_out_or_broke_off(hook: Hook) -> None:
    whole, broken, never = made(hook), made(hook), made(hook)
    assert outcomes(hook) == []
    assert b"".join(whole.pieces)
    assert outcomes(hook) == [("done", 2)]
    next(iter(broken.pieces))
    broken.close()
    assert outcomes(hook) == [("done", 2), ("unconfirmed", 2)]
    hook.clock.advance((FILE_LASTS + timedelta(seconds=1)).total_seconds())
    with transaction(hook.engine) as session:
        assert end_left(session, at=hook.clock.at) == 1
    b"".join(never.pieces)  # too late: it is said already
    assert outcomes(hook) == [("done", 2), ("unconfirmed", 2), ("unconfirmed", 2)]


def test_filters_are_in_the_chain_and_a_change_of_them_shows(hook: Hook) -> None:
    hook.pull()
    seal(hook)
    (told,) = chained(hook.engine)
    assert [one["values"] for one in told["filters"]] == [["a", "𠮷"]]
    assert "outcome" not in told
    with transaction(hook.engine) as session:
        session.execute(text("UPDATE deliveries SET filters = '[]'"))
    assert verify_messages(hook.engine).broken == MessageBreak("ledger_changed", 2, "delivery", 1)


def test_how_it_ended_cannot_be_changed_unseen(hook: Hook, receiver: Receiver) -> None:
    hook.hook(receiver.url)
    hook.send()
    seal(hook)
    with transaction(hook.engine) as session:
        session.execute(text("UPDATE deliveries SET outcome = 'unconfirmed'"))
    assert verify_messages(hook.engine).broken == MessageBreak("ledger_changed", 2, "delivery", 1)


def test_what_was_chained_before_there_were_filters_holds(hook: Hook) -> None:
    """Such a message names neither; the migration gives its row no filters, and done."""
    hook.catalogue()
    hook.subscribe("id")
    hook.publish(*upserts("a"))
    hook.pull()
    seal(hook)
    (told,) = chained(hook.engine)
    then = "at count dataset digest digests generation id items kind masks ranges receiver subscription way"
    assert sorted(told) == then.split()
    assert verify_messages(hook.engine).whole


def test_a_proof_holds_messages_files_and_filters(hook: Hook, receiver: Receiver, tmp_path: Path) -> None:
    hook.pull()
    hook.hook(receiver.url)
    hook.send()
    b"".join(made(hook).pieces)
    seal(hook)
    sign_messages(hook.engine, data_dir=tmp_path, at=hook.clock.at)
    start = hook.at - timedelta(days=1)
    wanted = Wanted(hook.dataset_id, hook.subscription_id, start, hook.at + timedelta(days=1))
    key = make_or_load_key(tmp_path / KEY_FILE).public_key()
    proof = list(write_proof(hook.engine, wanted, named={"dataset": "open"}))
    found = check_proof(proof, [key])
    assert (found.deliveries, found.signed) == (3, True)
