"""The message log: every receipt and delivery once, what was changed shows, and a proof holds by itself."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, select, text

from exchange.errors import ProofBroken
from exchange.message_models import MESSAGES, Message
from exchange.service.messages import MessageBreak, seal_messages, sign_messages, verify_messages
from exchange.service.proofs import ProofFound, Wanted, check_proof, write_proof
from infra import journal
from infra.database import reading, transaction
from tests.service.desk import Desk
from tests.service.journalling import meddling
from tests.service.provider import open_provider, people


@pytest.fixture(params=["database", "sqlite_database"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(request.getfixturevalue(request.param), tmp_path, at) as provider:
        yield Desk(provider)


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """Two datasets, of which the second one's subscriber pulled twice: five messages."""
    desk.catalogue()
    desk.publish(*people(3))
    desk.catalogue()
    desk.subscribe("id")
    desk.publish(*people(5))
    page = desk.pull(limit=2)
    desk.publish(*people(1))
    desk.pull(page.cursor)
    assert seal_messages(desk.engine, at=desk.at) == 5
    return desk


def sign(desk: Desk, folder: Path) -> None:
    assert sign_messages(desk.engine, data_dir=folder, at=desk.at) is not None


def heads(folder: Path) -> Iterator[journal.Head]:
    return journal.read_own_heads(folder, chain=MESSAGES)


def test_each_receipt_and_delivery_is_there_once(busy: Desk) -> None:
    assert seal_messages(busy.engine, at=busy.at) == 0
    busy.publish(*people(2))
    assert seal_messages(busy.engine, at=busy.at) == 1
    with reading(busy.engine) as session:
        said = session.scalars(select(Message).order_by(Message.seq)).all()
    assert [one.kind for one in said] == ["receipt"] * 3 + ["delivery"] * 2 + ["receipt"]
    told = json.loads(said[4].content)
    assert (told["count"], told["way"], told["receiver"]) == (4, "pull", "E-3")
    found = verify_messages(busy.engine)
    assert (found.whole, found.sealed, found.unsealed) == (True, 6, 0)


def test_what_waits_is_counted(busy: Desk) -> None:
    busy.publish(*people(2))
    assert verify_messages(busy.engine).unsealed == 1


@pytest.mark.parametrize("statement", ["UPDATE messages SET content = ''", "DELETE FROM messages"])
def test_the_database_refuses_to_change_a_message(busy: Desk, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"), transaction(busy.engine) as session:
        session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("UPDATE messages SET content = replace(content, 'E-1', 'E-9') WHERE seq = 2", ("changed", 2)),
        ("UPDATE messages SET content_digest = digest WHERE seq = 3", ("changed", 3)),
        ("UPDATE messages SET digest = content_digest WHERE seq = 3", ("changed", 3)),
        ("DELETE FROM messages WHERE seq = 4", ("missing", 4)),
        ("UPDATE batches SET received = 99 WHERE message_seq = 2", ("ledger_changed", 2)),
        ("UPDATE deliveries SET count = 99 WHERE message_seq = 5", ("ledger_changed", 5)),
        ("DELETE FROM deliveries WHERE message_seq = 4", ("ledger_missing", 4)),
        ("UPDATE deliveries SET message_seq = 99 WHERE message_seq = 4", ("left_out", 99)),
    ],
)
def test_what_was_changed_or_taken_away_shows(busy: Desk, statement: str, shown: tuple[str, int]) -> None:
    with meddling(busy.engine) as connection:
        connection.execute(text(statement))
    broken = verify_messages(busy.engine).broken
    assert broken is not None
    assert (broken.why, broken.seq) == shown


def test_a_row_that_forgot_its_place_is_not_added_again(busy: Desk) -> None:
    with transaction(busy.engine) as session:
        session.execute(text("UPDATE batches SET message_seq = NULL"))
    busy.publish(*people(1))
    seal_messages(busy.engine, at=busy.at)
    found = verify_messages(busy.engine)
    assert (found.whole, found.sealed, found.unsealed) == (True, 6, 0)


def test_a_cut_tail_shows_by_the_ledger(busy: Desk) -> None:
    with meddling(busy.engine) as connection:
        connection.execute(text("DELETE FROM messages WHERE seq > 3"))
    assert verify_messages(busy.engine).broken == MessageBreak("left_out", 4, "delivery", 1)


def test_a_tail_cut_off_with_its_ledger_shows_by_the_heads(busy: Desk, tmp_path: Path) -> None:
    sign(busy, tmp_path)
    assert verify_messages(busy.engine, heads(tmp_path)).whole
    with meddling(busy.engine) as connection:
        connection.execute(text("DELETE FROM messages WHERE seq > 3"))
        connection.execute(text("DELETE FROM deliveries"))
    assert verify_messages(busy.engine).whole, "the rest of the chain is in order"
    assert verify_messages(busy.engine, heads(tmp_path)).broken == MessageBreak("tail_cut", 4)


def test_a_chain_made_anew_shows_by_the_heads(busy: Desk, tmp_path: Path) -> None:
    sign(busy, tmp_path)
    with meddling(busy.engine) as connection:
        connection.execute(text("DELETE FROM messages"))
        connection.execute(text("UPDATE batches SET message_seq = NULL, received = received + 1"))
        connection.execute(text("UPDATE deliveries SET message_seq = NULL"))
    seal_messages(busy.engine, at=busy.at)
    found = verify_messages(busy.engine, heads(tmp_path)).broken
    assert found == MessageBreak("head_mismatch", 5)
    with pytest.raises(journal.HeadBeyondJournal, match="siji messages verify"):
        sign_messages(busy.engine, data_dir=tmp_path, at=busy.at)


def test_a_head_of_the_journal_is_none_of_the_messages(busy: Desk, tmp_path: Path) -> None:
    key = journal.make_or_load_key(tmp_path / journal.KEY_FILE)
    journal.seal(busy.engine, at=busy.at)
    file = tmp_path / MESSAGES.heads_file
    assert journal.sign_head(busy.engine, key=key, heads_file=file, at=busy.at)
    assert [head.genuine for head in heads(tmp_path)] == [False]


@pytest.fixture
def proof(busy: Desk, tmp_path: Path) -> Callable[..., list[bytes]]:
    """Writes a proof of the second dataset, or of a subscription to it."""
    sign(busy, tmp_path)

    def write(subscription_id: int | None = None) -> list[bytes]:
        day = timedelta(days=1)
        wanted = Wanted(busy.dataset_id, subscription_id, busy.at - day, busy.at + day)
        return list(write_proof(busy.engine, wanted, named={"dataset": "people-1"}))

    return write


def made(line: bytes, **otherwise: Any) -> bytes:
    return json.dumps(json.loads(line) | otherwise).encode()


def check(lines: list[bytes], folder: Path) -> ProofFound:
    public = journal.load_public_key(journal.public_key_file(folder / journal.KEY_FILE))
    return check_proof(lines, [public])


def test_a_proof_holds_by_itself(busy: Desk, proof: Callable[..., list[bytes]], tmp_path: Path) -> None:
    found = check(proof(), tmp_path)
    assert (found.receipts, found.deliveries, found.records) == (2, 2, 6 + 6)
    assert (found.first, found.last, found.signed, found.of["dataset"]) == (2, 5, True, "people-1")
    found = check(proof(busy.subscription_id), tmp_path)
    assert (found.receipts, found.deliveries, found.records) == (0, 2, 6)


def test_a_subscription_s_proof_holds_its_deliveries_alone(
    busy: Desk, proof: Callable[..., list[bytes]], tmp_path: Path
) -> None:
    first, second = busy.subscription_id, busy.place.second_subscriber_id
    busy.subscribe("id", system_id=second)
    busy.pull(system_id=second)
    seal_messages(busy.engine, at=busy.at)
    busy.pull(subscription_id=first)
    seal_messages(busy.engine, at=busy.at)
    found = check(proof(busy.subscription_id), tmp_path)
    assert (found.deliveries, found.records, found.first, found.last) == (1, 6, 6, 6)
    found = check(proof(first), tmp_path)
    assert (found.deliveries, found.records, found.first, found.last) == (3, 12, 4, 7)
    assert check(proof(), tmp_path).deliveries == 4


def test_a_proof_tells_nothing_of_others(busy: Desk, proof: Callable[..., list[bytes]]) -> None:
    busy.provider.publish(busy.provider.catalogue(), people(7))
    busy.publish(*people(1))
    assert seal_messages(busy.engine, at=busy.at) == 2
    lines = b"".join(proof())
    assert b"people-1" in lines
    assert b"people-0" not in lines
    assert b"people-2" not in lines


def test_of_nothing_there_is_an_empty_proof(busy: Desk, tmp_path: Path) -> None:
    sign(busy, tmp_path)
    wanted = Wanted(busy.dataset_id, None, busy.at - timedelta(days=9), busy.at - timedelta(days=8))
    found = check(list(write_proof(busy.engine, wanted, named={})), tmp_path)
    assert (found.receipts, found.deliveries, found.first, found.last) == (0, 0, 1, 0)


def test_what_is_not_yet_signed_is_told(
    busy: Desk, proof: Callable[..., list[bytes]], tmp_path: Path
) -> None:
    busy.publish(*people(2))
    seal_messages(busy.engine, at=busy.at)
    found = check(proof(), tmp_path)
    assert (found.last, found.signed_to, found.signed) == (6, 5, False)


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace(b'"received":5', b'"received":4'), *lines[2:]], -1),
        (lambda lines: [*lines[:2], *lines[3:]], 3),
        (lambda lines: [*lines[:-1], lines[-1].replace(b'"at":"2', b'"at":"3')], -1),
        (lambda lines: lines[1:], 1),
        (lambda lines: lines[:-2], -2),
        (lambda lines: [], 1),
        (lambda lines: [made(lines[0], before="", first=1, last=0), b'{"head":{}}'], 2),
        (lambda lines: [*lines, b"{"], 0),
        (lambda lines: [*lines, b"[]"], 0),
        (lambda lines: [*lines, b'{"others":["xy"]}'], 0),
        (lambda lines: [*lines, b'{"others":7}'], 0),
        (lambda lines: [*lines, b'{"seq":6,"message":{"kind":"other"}}'], 0),
        (lambda lines: [*lines, b'{"head":{"seq":5}}'], 0),
    ],
)
def test_a_proof_that_was_touched_does_not_hold(
    proof: Callable[..., list[bytes]],
    tmp_path: Path,
    spoil: Callable[[list[bytes]], list[bytes]],
    line: int,
) -> None:
    lines = proof()
    with pytest.raises(ProofBroken) as broken:
        check(spoil(lines), tmp_path)
    told = {0: len(lines) + 1, -1: len(lines), -2: len(lines) - 2}
    assert broken.value.facts["line"] == told.get(line, line)


def test_another_installation_s_key_vouches_for_nothing(proof: Callable[..., list[bytes]]) -> None:
    with pytest.raises(ProofBroken):
        check_proof(proof(), [Ed25519PrivateKey.generate().public_key()])


def test_two_sealers_at_once_add_each_message_once(database: Engine, tmp_path: Path, at: datetime) -> None:
    with open_provider(database, tmp_path, at) as provider:
        desk = Desk(provider)
        desk.catalogue()
        for _ in range(30):
            desk.publish(*people(1))
        with ThreadPoolExecutor(4) as pool:
            counts = list(pool.map(lambda _: seal_messages(database, at=at), range(4)))
    assert sum(counts) == 30
    assert verify_messages(database).whole


def test_after_a_change_of_the_key_both_keys_check_what_each_signed(busy: Desk, tmp_path: Path) -> None:
    sign(busy, tmp_path / "old")
    busy.publish(*people(2))
    seal_messages(busy.engine, at=busy.at)
    sign(busy, tmp_path / "new")
    old, new = (
        journal.load_public_key(journal.public_key_file(tmp_path / name / journal.KEY_FILE))
        for name in ("old", "new")
    )
    start, end = busy.at - timedelta(days=1), busy.at + timedelta(days=1)
    lines = list(write_proof(busy.engine, Wanted(busy.dataset_id, None, start, end), named={"dataset": "d"}))
    assert sum(b'"head"' in line for line in lines) == 2
    for keys in ([new, old], [old, new]):
        assert check_proof(lines, keys).signed
    for keys in ([old], [new], []):
        with pytest.raises(ProofBroken):
            check_proof(lines, keys)
