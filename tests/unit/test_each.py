"""Many jobs in one task: what fails is named, and starves nothing behind it."""

import logging

import pytest

from infra.each import NAMED_AT_MOST, for_each


def test_what_fails_is_logged_named_and_passed(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def act(item: int) -> None:
        if item % 2:
            raise ValueError(item)
        done.append(item)

    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(ExceptionGroup, match="2 of 4 failed: job 1, job 3") as raised,
    ):
        for_each(range(4), act, what="job {}")
    assert done == [0, 2]
    assert [error.args for error in raised.value.exceptions] == [(1,), (3,)]
    assert [record.message for record in caplog.records] == [
        "job 1 failed; the others go on",
        "job 3 failed; the others go on",
    ]


def test_of_many_failures_the_first_are_named() -> None:
    def act(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ExceptionGroup, match=r"25 of 25 failed: 0, 1, .*19 and 5 more") as raised:
        for_each(range(25), act, what="{}")
    assert len(raised.value.exceptions) == NAMED_AT_MOST


def test_nothing_fails_of_nothing() -> None:
    for_each([], print, what="{}")
