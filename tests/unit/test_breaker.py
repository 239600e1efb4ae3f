"""A cloud that does not answer is left alone, tried by one call at a time, and used again once it answers."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infra.settings import OpenStackRegion
from provisioning.cloud.driver import Permanent, Retryable
from provisioning.cloud.openstack.breaker import (
    AFTER,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Circuit,
    answered,
    begun,
    given_up,
    lets_through,
    not_answered,
)
from provisioning.cloud.openstack.session import Session

AT = datetime(2026, 3, 2, 1, tzinfo=UTC)
SPREADS = st.floats(0, 1)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def opened(spread: float = 1.0) -> Circuit:
    circuit = Circuit()
    for _ in range(AFTER):
        circuit = not_answered(begun(circuit), AT, tried=False, spread=spread)
    return circuit


@given(SPREADS)
def test_it_opens_after_so_many_in_a_row_and_not_before(spread: float) -> None:
    circuit = Circuit()
    for _ in range(AFTER - 1):
        circuit = not_answered(begun(circuit), AT, tried=False, spread=spread)
        assert lets_through(circuit, AT)
    assert answered(circuit) == Circuit()
    circuit = not_answered(begun(circuit), AT, tried=False, spread=spread)
    assert not lets_through(circuit, AT)
    assert circuit.until is not None
    assert seconds(FIRST_PAUSE_S / 2) <= circuit.until - AT <= seconds(FIRST_PAUSE_S)


def test_after_the_pause_one_call_tries_and_the_others_wait_for_it() -> None:
    circuit, after = opened(), AT + seconds(FIRST_PAUSE_S)
    assert not lets_through(circuit, after - seconds(0.001))
    assert lets_through(circuit, after)
    trying = begun(circuit)
    assert not lets_through(trying, after + seconds(1_000))
    assert lets_through(answered(trying), after)
    assert lets_through(given_up(trying, tried=True), after)
    again = not_answered(trying, after, tried=True, spread=1.0)
    assert again.until == after + seconds(2 * FIRST_PAUSE_S)
    assert lets_through(again, again.until)


def test_a_call_from_before_lengthens_no_pause_and_frees_no_trial() -> None:
    circuit = opened()
    assert not_answered(circuit, AT + seconds(5), tried=False, spread=1.0).until == circuit.until
    trying = begun(circuit)
    assert given_up(trying, tried=False) == trying
    assert not_answered(trying, AT, tried=False, spread=1.0).trying


def test_a_clock_set_back_makes_no_pause_longer_than_the_longest() -> None:
    assert lets_through(opened(), AT - timedelta(hours=1))


class Outage(RuleBasedStateMachine):
    """Calls of many threads begin and end in any order while the cloud is away or back."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit, self.at = Circuit(), AT
        self.under_way: list[bool] = []

    @rule(by=st.floats(0, 2 * LONGEST_PAUSE_S))
    def wait(self, by: float) -> None:
        self.at += seconds(by)

    @rule()
    def begin(self) -> None:
        if lets_through(self.circuit, self.at):
            self.under_way.append(self.circuit.until is not None)
            self.circuit = begun(self.circuit)

    @precondition(lambda self: self.under_way)
    @rule(spread=SPREADS, outcome=st.sampled_from(["answered", "unanswered", "given up"]), data=st.data())
    def end(self, spread: float, outcome: str, data: st.DataObject) -> None:
        tried = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        if outcome == "answered":
            self.circuit = answered(self.circuit)
            assert lets_through(self.circuit, self.at)
        elif outcome == "unanswered":
            self.circuit = not_answered(self.circuit, self.at, tried=tried, spread=spread)
        else:
            self.circuit = given_up(self.circuit, tried=tried)

    @invariant()
    def it_lets_through_again_by_itself(self) -> None:
        """Unless a call tries, or one from before might still say that the cloud answers."""
        late = self.at + seconds(LONGEST_PAUSE_S)
        assert lets_through(self.circuit, late) or self.circuit.trying
        if self.circuit.trying:
            assert any(self.under_way)


TestOutage = Outage.TestCase


def test_a_session_asks_a_region_that_does_not_answer_only_so_often() -> None:
    """Nobody listens there: each call that is made fails at once, as unanswered."""
    asked: list[str] = []

    class Dead(Session):
        def admin(self) -> None:
            asked.append("again")
            raise OSError("nobody listens")

    now = [AT]
    session = Dead(OpenStackRegion(name="away", cloud="c", zones=()), None, lambda: now[0])

    def call() -> Retryable:
        with pytest.raises(Retryable) as caught, session.calling("find_server"):
            raise AssertionError("the call was made")
        return caught.value

    for _ in range(AFTER + 20):
        told = call()
    assert len(asked) == AFTER
    assert "09:00:" in told.message("zh")
    assert "pause until 09:00:" in told.message("en")
    now[0] += seconds(FIRST_PAUSE_S)
    call()
    call()
    assert len(asked) == AFTER + 1


def test_a_session_whose_region_refuses_goes_on_asking() -> None:
    class Stern(Session):
        def admin(self) -> None:
            return None

    session = Stern(OpenStackRegion(name="stern", cloud="c", zones=()), None, lambda: AT)
    for _ in range(3 * AFTER):
        with pytest.raises(Permanent), session.calling("create_server") as (_, failures):
            raise failures.refused("不行", "no")
    with session.calling("find_server"):
        pass
