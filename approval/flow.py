"""How a case moves: its states, its steps, and who may not decide after whom. Pure; no rows, no clock."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, NamedTuple

ACCEPT = "accept"
APPLICANT = "applicant"

Decision = Literal["approve", "refuse", "return"]
DECISIONS: tuple[Decision, ...] = ("approve", "refuse", "return")


class State(StrEnum):
    """Where a case is."""

    draft = "draft"
    submitted = "submitted"
    supplement = "supplement"
    accepted = "accepted"
    returned = "returned"
    decided = "decided"
    withdrawn = "withdrawn"
    abandoned = "abandoned"


OPEN = (State.draft, State.submitted, State.supplement, State.accepted, State.returned)
ALLOWED: Mapping[str, tuple[State, ...]] = {
    "submit": (State.draft,),
    "ask_supplement": (State.submitted,),
    "answer_supplement": (State.supplement,),
    "edit": OPEN,
    "withdraw": OPEN,
    "suspend": (State.accepted,),
    "resume": (State.accepted,),
    "decide": (State.submitted, State.accepted),
}


class HeldRole(NamedTuple):
    """A role that a person holds at a bureau and all below it."""

    role: str
    bureau_id: int


@dataclass(frozen=True)
class StepRule:
    """A step as its item has it. No role: nobody is asked, the step decides itself."""

    key: str
    name_zh: str
    name_en: str
    role: str | None
    scope: str
    limit_days: int
    differs_from: tuple[str, ...]
    automatic: bool = False


@dataclass(frozen=True)
class Outcome:
    """What an act did to a case; if that did not end it, `next_step` may wait at `next_bureau_id`."""

    case_id: int
    number: str
    state: State
    outcome: Literal["approved", "refused"] | None
    revision: int
    next_step: str | None
    next_bureau_id: int | None
    subject_kind: str
    subject_id: int

    @property
    def decided(self) -> bool:
        """Whether the case has been decided."""
        return self.state == State.decided

    @property
    def approved(self) -> bool:
        """Whether the case has been decided in the applicant's favour."""
        return self.outcome == "approved"


def parse_steps(document: Iterable[Mapping[str, Any]]) -> tuple[StepRule, ...]:
    """The steps of an item in order; ValueError if they contradict themselves."""
    rules = tuple(
        StepRule(**{**entry, "differs_from": tuple(entry.get("differs_from", ()))}) for entry in document
    )
    keys = [rule.key for rule in rules]
    if not rules or len(set(keys)) < len(keys) or ACCEPT in keys[1:]:
        raise ValueError(f"steps need distinct keys, with {ACCEPT!r} first if at all: {keys}")
    for position, rule in enumerate(rules):
        if rule.limit_days < 1 or rule.automatic != (rule.role is None):
            raise ValueError(f"step {rule.key!r} needs a limit, and a role unless it is automatic")
        if unknown := set(rule.differs_from) - {APPLICANT, *keys[:position]}:
            raise ValueError(f"step {rule.key!r} differs from steps that do not come before it: {unknown}")
    _check_acceptance(rules)
    return rules


def taken_steps(rules: Sequence[StepRule], skip: Iterable[str]) -> tuple[StepRule, ...]:
    """The steps of `rules` that a case takes; ValueError for unknown ones, or if none is left."""
    skipped = set(skip)
    if unknown := skipped - {rule.key for rule in rules}:
        raise ValueError(f"there are no steps {sorted(unknown)} to skip")
    left = tuple(rule for rule in rules if rule.key not in skipped)
    if not left:
        raise ValueError("a case cannot skip all of its steps")
    _check_acceptance(left)
    return left


def clash(rule: StepRule, person_id: int, *, applicant_id: int, decided_by: Mapping[str, int]) -> str | None:
    """The part that keeps the person from this step, having it already: 'applicant' or a step's key.

    `decided_by`: step key to person, in this round.
    """
    parts = {APPLICANT: applicant_id, **decided_by}
    return next((part for part in rule.differs_from if parts.get(part) == person_id), None)


def needs_reason(decision: Decision) -> bool:
    """Refusals and returns say why."""
    return decision != "approve"


def allows(act: str, state: str) -> bool:
    """Whether `act` (a key of ALLOWED) is possible in `state`."""
    return state in ALLOWED[act]


def _check_acceptance(rules: Sequence[StepRule]) -> None:
    """To accept a case, by hand or by silence, is never to approve it: a person decides afterwards.

    Source: 《行政许可法》 articles 32 and 34: acceptance (受理) comes before the examination and is not it.
    """
    if rules[0].key == ACCEPT and (len(rules) == 1 or rules[1].automatic):
        raise ValueError(f"{ACCEPT!r} is followed by a step that somebody decides")
