"""A call under an idempotency key is done once, whoever else makes it at the same time."""

import threading
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, func, select

from infra.database import reading, transaction
from infra.idempotency import AnsweredCall, Asked, KeyReused, begin, finish, forget_old_calls

ASKED = Asked("person:1", "键-𠮷", "POST /x", "d1")


@pytest.fixture(params=["database", "sqlite_database"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def test_the_second_call_gets_the_first_ones_answer(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        assert begin(session, ASKED, at=at) is None
        finish(session, ASKED, answer={"id": 7})
    with transaction(engine) as session:
        known = begin(session, ASKED, at=at)
    assert known is not None
    assert known.answer == {"id": 7}


@pytest.mark.parametrize("changed", [{"call": "POST /y"}, {"digest": "d2"}])
def test_a_key_with_another_call_or_content_is_refused(
    engine: Engine, at: datetime, changed: dict[str, str]
) -> None:
    with transaction(engine) as session:
        begin(session, ASKED, at=at)
    with pytest.raises(KeyReused), transaction(engine) as session:
        begin(session, Asked(**{**vars(ASKED), **changed}), at=at)


def test_another_callers_key_is_another_key(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        begin(session, ASKED, at=at)
        assert begin(session, Asked("person:2", ASKED.key, "POST /y", "d2"), at=at) is None


def test_an_act_that_fails_leaves_its_key_free(engine: Engine, at: datetime) -> None:
    def fail() -> None:
        with transaction(engine) as session:
            begin(session, ASKED, at=at)
            raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError):
        fail()
    with transaction(engine) as session:
        assert begin(session, ASKED, at=at) is None


def test_of_simultaneous_calls_one_acts_and_the_others_hear_its_answer(engine: Engine, at: datetime) -> None:
    acted, heard = [], []
    start = threading.Barrier(5)

    def call(number: int) -> None:
        start.wait()
        with transaction(engine) as session:
            known = begin(session, ASKED, at=at)
            if known is None:
                acted.append(number)
                finish(session, ASKED, answer=number)
            else:
                heard.append(known.answer)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acted) == 1
    assert heard == acted * 4


def test_old_calls_are_forgotten_and_recent_ones_kept(engine: Engine, at: datetime) -> None:
    with transaction(engine) as session:
        begin(session, ASKED, at=at - timedelta(days=8))
        begin(session, Asked("person:2", "k", "POST /x", "d"), at=at)
        assert forget_old_calls(session, at=at) == 1
        assert forget_old_calls(session, at=at) == 0
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(AnsweredCall)) == 1
