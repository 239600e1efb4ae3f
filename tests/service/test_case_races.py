"""Simultaneous acts on one case, over real connections: one decision holds, and none on what was edited."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from approval.errors import StepNotActive
from approval.flow import Outcome
from approval.models import Case, CaseDecision, CaseStep
from approval.queries import find_step, get_case
from approval.service import decide, edit_case, list_to_remind, open_case, send_reminders, submit_case
from infra.database import open_database, transaction
from infra.errors import SijiError, Stale
from tests.factories import Hall, make_case, make_hall

PAIRS = 50
AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
Act = Callable[[], Outcome]


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=AT)


def together(*acts: Act) -> list[Outcome | SijiError]:
    """Run the acts at the same instant, each in a thread of its own; outcomes or refusals in their order."""
    gate = Barrier(len(acts))

    def run(act: Act) -> Outcome | SijiError:
        gate.wait()
        try:
            return act()
        except SijiError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def verdict(database: Engine, case: Case, person_id: int, decision: str) -> Act:
    def act() -> Outcome:
        with transaction(database) as session:
            return decide(
                session,
                case_id=case.id,
                step_key="verify",
                person_id=person_id,
                decision="approve" if decision == "approve" else "refuse",
                reason="超出预算",
                revision_seen=1,
                at=AT,
            )

    return act


def edit(database: Engine, case: Case, person_id: int) -> Act:
    def act() -> Outcome:
        with transaction(database) as session:
            return edit_case(session, case_id=case.id, person_id=person_id, revision_seen=1, at=AT)

    return act


def made(database: Engine, hall: Hall) -> Case:
    with transaction(database) as session:
        return make_case(session, hall, at=AT, upto="verify")


def test_50_pairs_of_simultaneous_approve_and_reject_end_in_one_decision_each(
    database: Engine, hall: Hall
) -> None:
    winners = []
    for _ in range(PAIRS):
        case = made(database, hall)
        results = together(
            verdict(database, case, hall.operators[1], "approve"),
            verdict(database, case, hall.operators[2], "refuse"),
        )
        held = [result for result in results if isinstance(result, Outcome)]
        lost = [result for result in results if isinstance(result, SijiError)]
        assert [type(error) for error in lost] == [StepNotActive]
        assert len(held) == 1
        winners.append(held[0].outcome)
        with transaction(database) as session:
            query = (
                select(CaseDecision.decision)
                .join(CaseStep, CaseStep.id == CaseDecision.step_id)
                .where(CaseDecision.case_id == case.id, CaseStep.key == "verify")
            )
            decisions = session.scalars(query).all()
            now = get_case(session, case.id)
        assert decisions == ["approve" if held[0].approved else "refuse"]
        assert (now.state, now.outcome) == ("decided", held[0].outcome)
    assert len(winners) == PAIRS


def test_the_database_itself_refuses_a_second_decision_on_a_step(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    with transaction(database) as session:
        step = find_step(session, case, "verify")
        assert step is not None

    def write(person_id: int, decision: str) -> None:
        with transaction(database) as session:
            session.add(
                CaseDecision(
                    case_id=case.id, step_id=step.id, round=1, person_id=person_id, basis="person",
                    decision=decision, reason="", revision_seen=1, decided_at=AT,
                )
            )  # fmt: skip

    write(hall.operators[1], "approve")
    with pytest.raises(IntegrityError, match="uq_case_decisions_step_id"):
        write(hall.operators[2], "refuse")


def test_an_edit_that_races_a_decision_is_never_decided_unseen(database: Engine, hall: Hall) -> None:
    for _ in range(PAIRS // 2):
        case = made(database, hall)
        edited, decided = together(
            edit(database, case, hall.applicant), verdict(database, case, hall.operators[1], "approve")
        )
        with transaction(database) as session:
            now = get_case(session, case.id)
        if isinstance(edited, Outcome):
            assert isinstance(decided, Stale)
            assert (now.state, now.revision, now.outcome) == ("accepted", 2, None)
        else:
            assert edited.code == "case_wrong_state"
            assert isinstance(decided, Outcome)
            assert (now.state, now.revision, now.outcome) == ("decided", 1, "approved")


def test_simultaneous_openings_get_distinct_numbers(database: Engine, hall: Hall) -> None:
    def opened() -> Outcome:
        with transaction(database) as session:
            case = open_case(
                session, item_code="data-subscription-unconditional", applicant_id=hall.applicant,
                bureau_id=hall.town, subject_kind="subscription", subject_id=1, at=AT,
            )  # fmt: skip
            return submit_case(session, case_id=case.id, person_id=hall.applicant, places=hall.places, at=AT)

    numbers = {result.number for result in together(*[opened] * 6) if isinstance(result, Outcome)}
    assert numbers == {f"BD-2026-{last:06d}" for last in range(1, 7)}


def test_two_sweeps_at_once_remind_once(database: Engine, hall: Hall) -> None:
    late = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
    for _ in range(5):
        made(database, hall)

    def swept() -> int:
        with transaction(database) as session:
            near = list_to_remind(session, at=late)
            return sum(send_reminders(session, case_id=one, at=late) for one in near)

    with ThreadPoolExecutor(2) as pool:
        counts = [future.result() for future in [pool.submit(swept), pool.submit(swept)]]
    assert sum(counts) == 5 * 2 * 2


def test_a_whole_case_runs_on_sqlite_too(sqlite_database: Engine) -> None:
    with transaction(sqlite_database) as session:
        hall = make_hall(session, at=AT)
    case = made(sqlite_database, hall)
    again = open_database(str(sqlite_database.url))
    outcome = verdict(again, case, hall.operators[1], "approve")()
    again.dispose()
    assert outcome.approved
    with transaction(sqlite_database) as session:
        assert session.scalar(select(func.count(CaseDecision.id))) == 3
