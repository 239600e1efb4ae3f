"""Recalls: records taken back once, whatever happens meanwhile, and everybody named who got them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from approval.models import Notice
from exchange.broker.driver import BrokerRetryable
from exchange.errors import BatchInProgress, KeyReused, RecallAnswered, RecallInvalid
from exchange.models import Batch
from exchange.recall_models import Recall, RecallReceiver
from exchange.service.recalls import Scope, recall
from exchange.service.receivers import answer_recall, is_overdue, list_receivers, remind_receivers
from exchange.service.sweep import sweep
from infra.database import reading, transaction
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider


@pytest.fixture(params=["embedded", "kafka"])
def desk(request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at, kind=request.param) as provider:
        opened = Desk(provider)
        opened.catalogue(partitions=2)
        yield opened


def take_back(desk: Desk, scope: Scope, **other: Any) -> Recall:
    act: dict[str, Any] = {
        "dataset_id": desk.dataset_id,
        "publisher_id": desk.place.publisher_id,
        "key": "r",
        "reason": "错发",
        "actor": "person:1",
        "at": desk.at,
        "now": lambda: desk.at,
    }
    return recall(desk.engine, desk.log, scope=scope, **(act | other))


def named(desk: Desk, recall_id: int) -> list[tuple[int, int, list[str]]]:
    with reading(desk.engine) as session:
        return [(r.subscription_id, r.count, r.ways) for r in list_receivers(session, recall_id=recall_id)]


def stored(desk: Desk) -> list[str | None]:
    return [value and value["id"] for _, _, value in desk.provider.stored(desk.dataset_id)]


def test_who_got_them_is_named_and_sees_the_deletes(desk: Desk) -> None:
    number = desk.subscribe("id", "name")
    wrong = desk.publish(*upserts("a", "b", "c"))
    got = desk.pull_all()
    done = take_back(desk, Scope(wrong.id))
    assert (len(got), named(desk, done.id)) == (3, [(number, 3, ["pull"])])
    after = [record for record in desk.pull_all() if record.op == "delete"]
    assert [record.op for record in after] == ["delete"] * 3
    assert {record.ref for record in after} == {record.ref for record in got}
    with reading(desk.engine) as session:
        batch = session.get_one(Batch, done.receipt_id)
        assert (batch.upserts, batch.deletes, batch.state) == (0, 3, "settled")
        assert [one.code for one in session.scalars(select(Notice)) if one.code == "recall_told"] == [
            "recall_told"
        ]


def test_who_got_none_of_them_is_not_named(desk: Desk) -> None:
    desk.subscribe("id", "name", filters=[{"item": "name", "operator": "ne", "values": ["n"]}])
    desk.publish(*upserts("a", name="other"))
    desk.pull()
    wrong = desk.publish(*upserts("b"))
    desk.pull()
    assert named(desk, take_back(desk, Scope(wrong.id)).id) == []


def test_only_some_keys_and_nothing_newer_is_deleted(desk: Desk) -> None:
    number = desk.subscribe("id", "name")
    wrong = desk.publish(*upserts("a", "b", "c"))
    desk.pull()
    desk.publish(*upserts("a", name="mended"))
    done = take_back(desk, Scope(wrong.id, ({"id": "a"}, {"id": "b"})))
    assert (done.deletes, named(desk, done.id)) == ([{"id": "b"}], [(number, 2, ["pull"])])
    all_of_a = take_back(desk, Scope(None, ({"id": "a"},)), key="r2")
    assert (all_of_a.deletes, sum(map(len, all_of_a.offsets.values()))) == ([{"id": "a"}], 2)


def test_the_same_again_is_the_same_recall_and_another_is_refused(desk: Desk) -> None:
    wrong = desk.publish(*upserts("a", "b"))
    first = take_back(desk, Scope(wrong.id))
    assert take_back(desk, Scope(wrong.id)).receipt_id == first.receipt_id
    assert stored(desk).count(None) == 2
    with pytest.raises(KeyReused):
        take_back(desk, Scope(wrong.id), reason="别的")


@pytest.mark.parametrize(
    ("scope", "reason"),
    [(Scope(), "错发"), (Scope(keys=({"id": "zz"},)), "错发"), (Scope(keys=({"name": "n"},)), "错发"),
     (Scope(keys=({"id": "a"},)), " ")],
)  # fmt: skip
def test_what_names_nothing_is_refused(desk: Desk, scope: Scope, reason: str) -> None:
    desk.publish(*upserts("a"))
    with pytest.raises(RecallInvalid):
        take_back(desk, scope, reason=reason)
    assert stored(desk) == ["a"]


def test_several_at_once_delete_once(desk: Desk) -> None:
    number = desk.subscribe("id", "name")
    wrong = desk.publish(*upserts("a", "b"))
    desk.pull()

    def one(_: int) -> int | None:
        for _ in range(20):
            try:
                return take_back(desk, Scope(wrong.id)).id
            except BatchInProgress:
                continue
        return None

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(one, range(4)))
    assert len(found) == 1
    assert None not in found
    assert stored(desk).count(None) == 2
    assert named(desk, found.pop() or 0) == [(number, 2, ["pull"])]


class Lost(Exception):
    """The process is killed here."""


@pytest.mark.parametrize("stage", ["before", "after"])
def test_what_was_left_is_finished_by_the_sweep_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    number = desk.subscribe("id", "name")
    wrong = desk.publish(*upserts("a", "b"))
    real = desk.log.append

    def killed(topic: str, *, marker: str, records: Any) -> Any:
        if stage == "after":
            real(topic, marker=marker, records=records)
        raise Lost

    with monkeypatch.context() as patch:
        patch.setattr(desk.log, "append", killed)
        with pytest.raises(Lost):
            take_back(desk, Scope(wrong.id))
    page = desk.pull(limit=2)  # got between the beginning and the end of the recall
    sweep(desk.engine, desk.log, at=desk.at + timedelta(minutes=10))
    sweep(desk.engine, desk.log, at=desk.at + timedelta(minutes=20))
    assert stored(desk).count(None) == 2
    with reading(desk.engine) as session:
        [done] = session.scalars(select(Recall)).all()
        assert (done.done_at is not None, done.receipt_id is not None) == (True, True)
        assert session.scalar(select(func.count()).select_from(RecallReceiver)) == 1
    assert [one[0] for one in named(desk, done.id)] == [number]
    assert len(page.records) == 2


def test_an_answer_is_kept_and_who_is_silent_is_overdue_and_reminded_once(desk: Desk) -> None:
    number = desk.subscribe("id", "name")
    wrong = desk.publish(*upserts("a"))
    desk.pull()
    done = take_back(desk, Scope(wrong.id))
    later = desk.at + timedelta(days=20)

    def answer(what: str, why: str = "") -> RecallReceiver:
        with transaction(desk.engine) as session:
            return answer_recall(
                session,
                recall_id=done.id,
                subscription_id=number,
                answer=what,
                reason=why,
                actor="person:2",
                at=later,
            )

    with transaction(desk.engine) as session:
        assert not is_overdue(session, done, list_receivers(session, recall_id=done.id)[0], at=desk.at)
        assert remind_receivers(session, at=desk.at) == 0
        assert remind_receivers(session, at=later) == 1
        assert remind_receivers(session, at=later) == 0
    with pytest.raises(RecallInvalid):
        answer("kept", " ")
    answer("kept", "已归档，不能删除")
    answer("deleted")
    answer("deleted")
    with pytest.raises(RecallAnswered):
        answer("kept", "又不能")


def test_a_log_that_is_away_is_asked_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = desk.publish(*upserts("a"))

    def away(*_: Any, **__: Any) -> Any:
        raise BrokerRetryable(operation="append", topic="t", why_zh="试", why_en="try")

    with monkeypatch.context() as patch:
        patch.setattr(desk.log, "append", away)
        with pytest.raises(BrokerRetryable):
            take_back(desk, Scope(wrong.id))
    assert take_back(desk, Scope(wrong.id)).receipt_id is not None
    assert stored(desk).count(None) == 1
