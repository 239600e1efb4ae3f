"""A case as people look at it: its steps as a timeline, who decided what and why, its clocks and rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from approval.deadline import NotYetPublished, Paused, Standing, WorkCalendar
from approval.models import CaseDecision, CaseStep
from approval.queries import CaseView, ClockView, find_active_step, get_case, view_case
from approval.service.steps import check_hand
from identity.models import Bureau
from identity.queries import find_bureaus, list_names
from identity.roles import ROLE_NAMES, Role
from infra.clock import city_date
from infra.errors import SijiError
from infra.workdays import load_calendar
from portal.badges import CASE, Badge

Pair = tuple[str, str]

DECIDED: dict[str, Badge] = {
    "approve": Badge("good", "通过", "approved"),
    "refuse": Badge("bad", "不予通过", "refused"),
    "return": Badge("warn", "退回修改", "sent back"),
}
ACCEPTED = Badge("good", "已受理", "accepted")
WAITING = Badge("plain", "尚未轮到", "not yet")
ACTIVE = Badge("busy", "待办理", "waits")
VOID = Badge("plain", "作废", "void")
BASES: dict[str, Pair] = {
    "silence": ("逾期未告知，视为已受理", "counts as accepted, as nobody answered in time"),
    "automatic": ("系统自动办理", "decided by itself"),
}
CLOCKS: dict[str, Pair] = {
    "acceptance": ("受理期限", "Limit of acceptance"),
    "handling": ("办理期限", "Limit of handling"),
    "step": ("本环节期限", "Limit of the step"),
}


@dataclass(frozen=True)
class StepShown:
    """A step of the timeline; `by` decided it, or it waits at `bureau` for who holds `role`."""

    key: str
    name: Pair
    badge: Badge
    is_active: bool
    bureau: Bureau
    role: Pair | None
    by: str | None
    basis: Pair | None
    reason: str
    at: datetime | None
    clock: ClockView | None


@dataclass(frozen=True)
class CaseShown:
    """A case with its present round, the rounds before it (newest first) and what to call who acted."""

    view: CaseView
    badge: Badge
    applicant: str
    bureau: Bureau
    steps: list[StepShown]
    earlier: list[list[StepShown]]
    clocks: list[ClockView]

    @property
    def active(self) -> StepShown | None:
        """The step that waits for somebody."""
        return next((step for step in self.steps if step.is_active), None)


def due_words(stands: Standing) -> Pair:
    """When a limit ends, or why nobody can tell."""
    match stands:
        case NotYetPublished(year):
            return f"{year} 年工作日历尚未公布", f"calendar of {year} not yet published"
        case Paused(since_on):
            return f"自 {since_on} 起暂停计时", f"paused since {since_on}"
        case date() as day:
            return f"{day}", f"{day}"


def show_case(
    session: Session, *, case_id: int, at: datetime, calendar: WorkCalendar | None = None
) -> CaseShown:
    """The case as it stands at `at`. Raises NotFound."""
    calendar = load_calendar(session) if calendar is None else calendar
    view = view_case(session, case_id=case_id, calendar=calendar, on=city_date(at))
    case = view.case
    decisions = {one.step_id: one for one in view.decisions}
    people = [case.applicant_id, *(one.person_id for one in view.decisions if one.person_id is not None)]
    names = list_names(session, person_ids=people)
    bureaus = find_bureaus(session, [case.bureau_id, *(step.bureau_id for step in view.steps)])
    rounds: dict[int, list[StepShown]] = {}
    for step in view.steps:
        shown = _show_step(view, step, decisions.get(step.id), names, bureaus)
        rounds.setdefault(step.round, []).append(shown)
    present = rounds.pop(case.round, [])
    return CaseShown(
        view=view,
        badge=CASE[case.outcome or case.state],
        applicant=names[case.applicant_id],
        bureau=bureaus[case.bureau_id],
        steps=present,
        earlier=[rounds[number] for number in sorted(rounds, reverse=True)],
        clocks=[clock for clock in view.clocks if clock.kind != "step" and clock.ended_at is None],
    )


def why_not(session: Session, *, case_id: int, person_id: int, at: datetime) -> SijiError | None:
    """Why the person may not decide the step that waits; None if they may, or if none waits."""
    case = get_case(session, case_id)
    step = find_active_step(session, case)
    if step is None:
        return None
    try:
        check_hand(session, case, step, person_id, at)
    except SijiError as refusal:
        return refusal
    return None


def _show_step(
    view: CaseView,
    step: CaseStep,
    decision: CaseDecision | None,
    names: dict[int, str],
    bureaus: dict[int, Bureau],
) -> StepShown:
    rule = next(rule for rule in view.rules if rule.key == step.key)
    running = [clock for clock in view.clocks if clock.step_key == step.key and clock.ended_at is None]
    is_active = step.state == "active"
    return StepShown(
        key=step.key,
        name=(rule.name_zh, rule.name_en),
        badge=_badge(step, decision),
        is_active=is_active,
        bureau=bureaus[step.bureau_id],
        role=ROLE_NAMES[Role(step.role)] if step.role else None,
        by=None if decision is None or decision.person_id is None else names[decision.person_id],
        basis=None if decision is None else BASES.get(decision.basis),
        reason="" if decision is None else decision.reason,
        at=None if decision is None else decision.decided_at,
        clock=_last(running) if is_active else None,
    )


def _badge(step: CaseStep, decision: CaseDecision | None) -> Badge:
    if decision is not None:
        return (
            ACCEPTED if (step.key, decision.decision) == ("accept", "approve") else DECIDED[decision.decision]
        )
    return {"waiting": WAITING, "active": ACTIVE}.get(step.state, VOID)


def _last(clocks: Sequence[ClockView]) -> ClockView | None:
    return clocks[-1] if clocks else None
