"""Steps, states and who may not decide after whom."""

from typing import Any

import pytest

from approval.data import shipped_items
from approval.flow import (
    OPEN,
    Outcome,
    State,
    StepRule,
    allows,
    clash,
    needs_reason,
    parse_steps,
    taken_steps,
)
from approval.wording import ACTS, NOTICES, PROCEDURES, STATES, word


def step(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key, "name_zh": "环节", "name_en": "step", "role": "operator", "scope": "office",
        "limit_days": 2, "differs_from": ["applicant"], **changes,
    }  # fmt: skip


RULES = parse_steps(
    [
        step("accept"),
        step("first_review"),
        step("review"),
        step("verify", differs_from=["applicant", "review"]),
    ]
)


def outcome(state: State, result: Any) -> Outcome:
    return Outcome(1, "BD-2026-000001", state, result, 1, None, None, "request", 1)


def test_the_shipped_items_are_sound_and_say_who_decides_in_how_many_work_days() -> None:
    items = {item["code"]: parse_steps(item["steps"]) for item in shipped_items()}
    told = {
        code: [(rule.key, rule.scope, rule.limit_days) for rule in rules] for code, rules in items.items()
    }
    assert told == {
        "resource-request": [
            ("accept", "office", 3), ("first_review", "county", 2), ("review", "office", 2),
            ("verify", "office", 2),
        ],
        "data-subscription-conditional": [("decide", "provider", 10)],
        "data-subscription-unconditional": [("answer", "provider", 1)],
    }  # fmt: skip
    assert [rule.automatic for rules in items.values() for rule in rules] == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ([], "distinct keys"),
        ([step("a"), step("a")], "distinct keys"),
        ([step("a"), step("accept")], "'accept' first"),
        ([step("a", limit_days=0)], "'a' needs a limit"),
        ([step("a", role=None)], "a role unless it is automatic"),
        ([step("a", automatic=True)], "a role unless it is automatic"),
        ([step("a", differs_from=["b"]), step("b")], "do not come before it"),
        ([step("accept")], "a step that somebody decides"),
        ([step("accept"), step("a", role=None, automatic=True)], "a step that somebody decides"),
    ],
)
def test_steps_that_contradict_themselves_are_refused(document: list[dict[str, Any]], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_steps(document)


def test_steps_can_be_skipped_but_not_all_and_no_unknown_ones() -> None:
    assert [rule.key for rule in taken_steps(RULES, ["first_review"])] == ["accept", "review", "verify"]
    with pytest.raises(ValueError, match="no steps"):
        taken_steps(RULES, ["fist_review"])
    with pytest.raises(ValueError, match="all of its steps"):
        taken_steps(RULES, [rule.key for rule in RULES])


def test_no_skipping_makes_acceptance_the_decision() -> None:
    with pytest.raises(ValueError, match="a step that somebody decides"):
        taken_steps(RULES, ["first_review", "review", "verify"])


@pytest.mark.parametrize(
    ("key", "person_id", "expected"),
    [
        ("accept", 1, "applicant"),
        ("accept", 2, None),
        ("review", 2, None),
        ("verify", 1, "applicant"),
        ("verify", 2, "review"),
        ("verify", 3, None),
    ],
)
def test_applicant_reviewer_and_verifier_are_three(key: str, person_id: int, expected: str | None) -> None:
    rule: StepRule = next(rule for rule in RULES if rule.key == key)
    assert clash(rule, person_id, applicant_id=1, decided_by={"accept": 3, "review": 2}) == expected


def test_refusals_and_returns_say_why() -> None:
    assert not needs_reason("approve")
    assert needs_reason("refuse")
    assert needs_reason("return")


def test_an_applicant_may_edit_and_withdraw_until_it_is_decided() -> None:
    for state in State:
        assert allows("withdraw", state) == allows("edit", state) == (state in OPEN)
    assert set(State) - set(OPEN) == {State.decided, State.withdrawn, State.abandoned}


def test_an_outcome_says_whether_it_was_decided_and_how() -> None:
    assert outcome(State.decided, "approved").approved
    assert not outcome(State.decided, "refused").approved
    assert outcome(State.decided, "refused").decided
    assert not outcome(State.accepted, None).decided


def test_every_state_and_act_has_words_in_both_languages() -> None:
    assert set(STATES) == set(State)
    facts = {
        "number": "BD-2026-000001",
        "step_zh": "审核",
        "step_en": "review",
        "due_on": "2026-03-04",
        "reason": "x",
    }
    for code in NOTICES:
        assert "BD-2026-000001" in word(code, facts, "zh")
        assert word(code, facts, "zh") != word(code, facts, "en")
    assert all(zh != en for table in (STATES, ACTS, PROCEDURES) for zh, en in table.values())
