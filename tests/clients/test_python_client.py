"""The Python client against a portal process: everything once, also where the portal is killed meanwhile."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from siji_client import Client, Delete, KeyReused, NotAllowed, Refused, TooLarge, Tries, Unavailable
from tests.clients.conftest import DATASET, FULL, PortalProcess

PATIENT = Tries(most=60, first_s=0.05, longest_s=1.0)


@pytest.fixture
def client(portal: PortalProcess, token: str) -> Iterator[Client]:
    with Client(portal.url, token=token, tries=PATIENT) as opened:
        yield opened


def people(count: int) -> Iterator[dict[str, Any]]:
    return ({"id": f"{number:06}", "name": f"王{number} 阜平县"} for number in range(count))


def pulled(client: Client, subscription: int) -> list[str]:
    return [one.value["id"] for page in client.pull(subscription) for one in page.records]


def test_records_go_in_batches_and_come_back_page_by_page(client: Client, subscription: int) -> None:
    heard: list[int] = []
    receipts = client.publish(DATASET, people(2500), key="k", batch=1000, progress=heard.append)
    assert [one.received for one in receipts] == [1000, 1000, 500]
    assert [one.key for one in receipts] == ["k", "k#2", "k#3"]
    assert heard == [1000, 2000, 2500]
    again = client.publish(DATASET, people(2500), key="k", batch=1000)
    assert [one.id for one in again] == [one.id for one in receipts]
    assert [one.was_before for one in receipts + again] == [False] * 3 + [True] * 3
    pages = list(client.pull(subscription, limit=1000))
    assert [len(page.records) for page in pages] == [1000, 1000, 500]
    assert list(client.pull(subscription, cursor=pages[-1].cursor)) == []
    rest = list(client.pull(subscription, cursor=pages[0].cursor, items=["id"], limit=2000))
    assert sum(len(page.records) for page in rest) == 1500
    assert set(rest[0].records[0].value) == {"id"}
    mixed: list[dict[str, Any] | Delete] = [Delete({"id": "000001"}), {"id": "x", "name": "甲" * 41}]
    [receipt] = client.publish(DATASET, mixed, key="mixed")
    assert (receipt.deletes, receipt.quarantined) == (1, 1)
    [page] = client.pull(subscription, cursor=pages[-1].cursor)
    assert [one.op for one in page.records] == ["delete"]
    [empty] = client.publish(DATASET, [], key="empty")
    assert empty.received == 0


def test_what_was_acknowledged_does_not_come_again(client: Client, subscription: int) -> None:
    client.publish(DATASET, people(250), key="k")
    first = next(client.pull(subscription, limit=100))
    assert next(client.pull(subscription, limit=100)).records == first.records
    for _ in range(2):
        client.acknowledge(subscription, first.cursor)
    assert len(pulled(client, subscription)) == 150
    with pytest.raises(Refused) as refused:
        client.acknowledge(subscription, "none")
    assert refused.value.code == "cursor_invalid"


def test_refusals_say_what_and_are_not_tried_again(client: Client, portal: PortalProcess, token: str) -> None:
    client.publish(DATASET, people(3), key="k")
    with pytest.raises(KeyReused) as reused:
        client.publish(DATASET, people(2), key="k")
    assert (reused.value.status, reused.value.code) == (409, "idempotency_key_reused")
    with pytest.raises(TooLarge):
        client.publish(DATASET, ({"id": "1"} for _ in range(200_001)), key="large", batch=300_000)
    with pytest.raises(Refused) as full:
        client.publish(FULL, people(3), key="k", batch=2)
    assert full.value.code == "batch_refused"
    [whole] = client.publish(FULL, people(3), key="k", batch=3)
    assert whole.upserts == 3
    with Client(portal.url, token="siji_1_nonsense", language="en", tries=PATIENT) as stranger:
        with pytest.raises(NotAllowed) as refused:
            stranger.publish(DATASET, people(1), key="k")
        assert "token" in refused.value.detail
        with pytest.raises(NotAllowed):
            list(stranger.pull(1))
    with pytest.raises(ValueError, match="JSON"):
        client.publish(DATASET, [{"id": float("nan")}], key="nan")


def test_nobody_there_is_told_after_the_tries(portal: PortalProcess, token: str) -> None:
    portal.kill()
    with Client(portal.url, token=token, tries=Tries(most=3, first_s=0.01)) as client:
        with pytest.raises(Unavailable) as away:
            client.publish(DATASET, people(1), key="k")
        assert away.value.tries == 3


def test_a_portal_killed_again_and_again_stores_everything_once(
    client: Client, portal: PortalProcess, subscription: int
) -> None:
    ended = threading.Event()

    def kill_and_start() -> None:
        for _ in range(3):
            time.sleep(0.3)
            portal.kill()
            portal.start()
            while not portal.answers() and not ended.is_set():
                time.sleep(0.05)

    killer = threading.Thread(target=kill_and_start)
    killer.start()
    try:
        receipts = client.publish(DATASET, people(2000), key="k", batch=100)
    finally:
        ended.set()
        killer.join()
    assert len({one.id for one in receipts}) == 20
    assert sum(one.upserts for one in receipts) == 2000
    assert sorted(pulled(client, subscription)) == [one["id"] for one in people(2000)]
