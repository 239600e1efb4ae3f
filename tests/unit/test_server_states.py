"""The table of a server's working states: whole, and every way through it comes to rest."""

from provisioning.models import SERVER_STATES, WORKING
from provisioning.service.settling import SETTLED_STATES
from provisioning.service.states import PASSING, RECLAIMABLE, RELEASABLE, RULES
from provisioning.wording import NOTICES
from provisioning.wording import SERVER_STATES as WORDS


def test_every_working_state_has_its_rule_and_no_other_has_one() -> None:
    assert set(RULES) == set(WORKING)
    assert set(WORDS) == set(SERVER_STATES)


def test_what_follows_is_a_state_and_every_alarm_has_its_words() -> None:
    for state, rule in RULES.items():
        assert {rule.done, rule.gone or rule.done, rule.broken or rule.done} <= set(SERVER_STATES), state
        assert rule.alarm is None or rule.alarm in NOTICES, state


def test_every_way_comes_to_rest() -> None:
    resting = {state: 0 for state in SERVER_STATES if state not in WORKING}
    for _ in WORKING:
        for state, rule in RULES.items():
            follows = {rule.done, rule.gone or rule.done, rule.broken or rule.done}
            if follows <= resting.keys():
                resting.setdefault(state, 1 + max(resting[one] for one in follows))
    assert set(resting) == set(SERVER_STATES)


def test_what_undoes_or_lets_go_is_never_given_up_with_quota_held() -> None:
    endless = {state for state, rule in RULES.items() if rule.broken is None}
    assert endless == {"cleaning", "releasing", "pruning", "reverting", "measuring"}
    others = {rule.broken for state, rule in RULES.items() if state not in endless}
    undone = {"cleaning", "pruning", "reverting", "measuring"}
    assert others == undone | {"active", "stopped", "releasing", "failed"}


def test_what_makes_a_server_or_takes_it_down_never_finds_it_gone() -> None:
    never = {state for state, rule in RULES.items() if rule.gone is None}
    assert never == {"pending", "creating", "adopting", "cleaning", "releasing"}


def test_a_server_is_given_up_where_no_line_of_a_request_waits_for_it() -> None:
    assert set(RECLAIMABLE) < set(RELEASABLE)
    assert set(RELEASABLE).isdisjoint(("pending", "creating", "attaching", "resizing", "reverting"))
    assert {"active", "stopped"} <= set(RELEASABLE) & set(SETTLED_STATES)


def test_a_server_that_was_built_passes_through_its_changes_and_what_undoes_them() -> None:
    changes = {"attaching", "pruning", "resizing", "reverting", "extending", "measuring"}
    assert set(PASSING) == changes | {"stopping", "starting", "rebooting", "resetting"}
