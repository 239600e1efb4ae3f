"""Calls that are made later: in their order, and not once they are forgotten."""

from threading import Event

from infra.later import Later

HANGS_AFTER_S = 60


def test_they_are_made_in_the_order_of_their_times_and_none_that_was_forgotten() -> None:
    later, made, ended = Later(), list[str](), Event()
    later.call(lambda: made.append("forgotten"), after_s=0.02)
    later.forget()
    later.call(lambda: made.append("second"), after_s=0.06)
    later.call(lambda: made.append("first"), after_s=0.03)
    later.call(ended.set, after_s=0.12)
    assert ended.wait(HANGS_AFTER_S)
    assert made == ["first", "second"]
