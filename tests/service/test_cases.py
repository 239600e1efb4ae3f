"""Cases from draft to decision: steps, who decides them, edits, withdrawal; items and the journal."""

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from approval.data import shipped_items
from approval.errors import (
    ItemChanged,
    NotApplicant,
    PlaceMissing,
    ReasonNeeded,
    RoleNeeded,
    SamePerson,
    StepNotActive,
    WrongState,
)
from approval.models import Case, Item
from approval.queries import (
    find_case_of,
    get_case,
    list_cases,
    list_notices,
)
from approval.service import (
    accept,
    decide,
    edit_case,
    load_items,
    open_case,
    submit_case,
    withdraw,
)
from infra.database import transaction
from infra.errors import NotFound, Stale
from tests.factories import Hall, make_hall
from tests.service.casework import acts_of, city, clock, decision, done, made, refused, seen


@pytest.fixture
def hall(database: Engine) -> Hall:
    with transaction(database) as session:
        return make_hall(session, at=city(2026, 1, 5))


def test_a_resource_request_goes_through_accept_first_review_review_and_verify(
    database: Engine, hall: Hall
) -> None:
    case = made(database, hall, skip_steps=())
    by = [hall.operators[0], hall.county_reviewer, hall.operators[0], hall.operators[1]]
    steps = ["accept", "first_review", "review", "verify"]
    outcomes = [
        done(database, decide, **decision(hall, case, step, person_id=person))
        for step, person in zip(steps, by, strict=True)
    ]
    assert [each.next_step for each in outcomes] == ["first_review", "review", "verify", None]
    assert [each.next_bureau_id for each in outcomes] == [hall.county, hall.city, hall.city, None]
    assert [each.decided for each in outcomes] == [False, False, False, True]
    assert (outcomes[3].outcome, outcomes[3].approved, outcomes[3].subject_id) == ("approved", True, 1)
    view = seen(database, case, date(2026, 3, 4))
    assert [(each.decision, each.person_id) for each in view.decisions] == [("approve", one) for one in by]
    assert all(each.ended_at for each in view.clocks)
    with transaction(database) as session:
        codes = [notice.code for notice in list_notices(session, person_id=hall.applicant)]
    assert codes == ["case_approved", "case_accepted"]


def test_accepting_is_the_approval_of_the_first_step(database: Engine, hall: Hall) -> None:
    case = made(database, hall)
    hand = {"person_id": hall.operators[0], "revision_seen": 1, "at": city(2026, 3, 3)}
    outcome = done(database, accept, case_id=case.id, **hand)
    assert (outcome.state, outcome.next_step) == ("accepted", "review")
    refused(database, NotFound, accept, case_id=999, **hand)


def test_an_item_that_is_not_there_opens_no_case(database: Engine, hall: Hall) -> None:
    error = refused(
        database, NotFound, open_case, item_code="passport", applicant_id=hall.applicant, bureau_id=hall.town,
        subject_kind="request", subject_id=1, at=city(2026, 3, 2),
    )  # fmt: skip
    assert error.facts["key"] == "passport"


def test_numbers_count_within_a_year_and_a_case_is_found_by_its_subject(database: Engine, hall: Hall) -> None:
    numbers = [
        made(database, hall, at=at).number for at in [city(2026, 3, 2), city(2026, 3, 2), city(2025, 3, 3)]
    ]
    assert numbers == ["BD-2026-000001", "BD-2026-000002", "BD-2025-000001"]
    with transaction(database) as session:
        assert find_case_of(session, "request", 2) is None
        newest = find_case_of(session, "request", 1)
        assert newest is not None
        assert newest.number == "BD-2025-000001"
        pages = list_cases(
            session, limit=2, bureau_ids=[hall.town], applicant_id=hall.applicant, state="submitted"
        )
        rest = list_cases(session, before_id=pages[-1].id)
    assert [case.number for case in pages] == ["BD-2025-000001", "BD-2026-000002"]
    assert [case.number for case in rest] == ["BD-2026-000001"]


def test_stale_eyes_do_not_decide(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    done(database, edit_case, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=city(2026, 3, 3))
    error = refused(database, Stale, decide, **decision(hall, case, "review"))
    assert error.facts == {"seen": 1, "now": 2}
    refused(
        database,
        Stale,
        edit_case,
        case_id=case.id,
        person_id=hall.applicant,
        revision_seen=1,
        at=city(2026, 3, 3),
    )


def test_an_edit_voids_earlier_approvals_and_starts_the_steps_again(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="verify", skip_steps=())
    outcome = done(
        database, edit_case, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=city(2026, 3, 3)
    )
    assert (outcome.state, outcome.next_step, outcome.revision) == ("accepted", "first_review", 2)
    view = seen(database, case, date(2026, 3, 3))
    assert all(each.voided_at for each in view.decisions)
    assert [(step.round, step.key, step.state) for step in view.steps if step.round == 2] == [
        (2, "first_review", "active"),
        (2, "review", "waiting"),
        (2, "verify", "waiting"),
    ]
    assert [each.ended_at is None for each in view.clocks if each.kind == "handling"] == [True]
    approve = {"revision_seen": 2}
    for step, person in [
        ("first_review", hall.county_reviewer), ("review", hall.operators[1]), ("verify", hall.operators[0])
    ]:  # fmt: skip
        outcome = done(database, decide, **decision(hall, case, step, person_id=person, **approve))
    assert outcome.approved


def test_a_draft_can_be_edited_and_has_no_steps_yet(database: Engine, hall: Hall) -> None:
    at = city(2026, 3, 2)
    with transaction(database) as session:
        case = open_case(
            session,
            item_code="resource-request",
            applicant_id=hall.applicant,
            bureau_id=hall.town,
            subject_kind="request",
            subject_id=9,
            at=at,
        )
    outcome = done(database, edit_case, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=at)
    assert (outcome.state, outcome.revision, outcome.next_step) == ("draft", 2, None)
    submission = {"case_id": case.id, "person_id": hall.applicant, "at": at}
    error = refused(database, PlaceMissing, submit_case, **submission, places={"office": hall.city})
    assert error.facts["scope"] == "county"
    refused(database, NotFound, decide, **decision(hall, case, "review"))
    assert done(database, submit_case, **submission, places=hall.places).next_step == "accept"
    refused(database, WrongState, submit_case, **submission, places=hall.places)


def test_applicant_reviewer_and_verifier_are_three_people(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="verify")
    error = refused(database, SamePerson, decide, **decision(hall, case, "verify"))
    assert error.facts["part_en"] == "review"
    assert "审核" in error.message("zh")
    own: dict[str, Any] = {
        "applicant_id": hall.operators[0],
        "bureau_id": hall.city,
        "subject_kind": "request",
        "subject_id": 2,
    }
    at = city(2026, 3, 2)
    with transaction(database) as session:
        mine = open_case(session, item_code="resource-request", at=at, **own)
        submit_case(
            session, case_id=mine.id, person_id=hall.operators[0], places=hall.places, at=at,
            skip_steps=("first_review",),
        )  # fmt: skip
    error = refused(database, SamePerson, decide, **decision(hall, mine, "accept"))
    assert error.facts["part_zh"] == "申请人"


@pytest.mark.parametrize("who", ["applicant", "county_reviewer", "steward"])
def test_only_the_steps_role_at_its_bureau_or_above_decides(database: Engine, hall: Hall, who: str) -> None:
    case = made(database, hall)
    error = refused(
        database, RoleNeeded, decide, **decision(hall, case, "accept", person_id=getattr(hall, who))
    )
    assert error.facts["role"] == "operator"
    with transaction(database) as session:
        assert get_case(session, case.id).state == "submitted"


def test_a_step_is_decided_once_and_in_its_turn(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    done_before = refused(database, StepNotActive, decide, **decision(hall, case, "accept"))
    assert "decided before" in str(done_before)
    not_yet = refused(database, StepNotActive, decide, **decision(hall, case, "verify"))
    assert "turn has not come" in str(not_yet)


@pytest.mark.parametrize("verdict", ["refuse", "return"])
def test_refusals_and_returns_need_a_reason(database: Engine, hall: Hall, verdict: str) -> None:
    case = made(database, hall, upto="review")
    refused(database, ReasonNeeded, decide, **decision(hall, case, "review", decision=verdict, reason="  "))


def test_a_refusal_ends_the_case_with_its_reason(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="review")
    verdict = decision(hall, case, "review", decision="refuse", reason="超出本年度预算")
    outcome = done(database, decide, **verdict)
    assert (outcome.decided, outcome.outcome, outcome.next_step) == (True, "refused", None)
    refused(database, StepNotActive, decide, **decision(hall, case, "verify", person_id=hall.operators[1]))
    refused(database, WrongState, withdraw, case_id=case.id, person_id=hall.applicant, at=city(2026, 3, 3))
    with transaction(database) as session:
        notice = list_notices(session, person_id=hall.applicant)[0]
    assert (notice.code, notice.facts["reason"]) == ("case_refused", "超出本年度预算")


def test_a_return_waits_for_the_applicants_edit(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="verify")
    back = decision(
        hall, case, "verify", person_id=hall.operators[1], decision="return", reason="缺少网络区域"
    )
    assert done(database, decide, **back).state == "returned"
    again = done(
        database, edit_case, case_id=case.id, person_id=hall.applicant, revision_seen=1, at=city(2026, 3, 4)
    )
    assert (again.state, again.next_step, again.revision) == ("accepted", "review", 2)


def test_the_applicant_alone_withdraws_until_it_is_decided(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="verify")
    facts = {"case_id": case.id, "at": city(2026, 3, 3)}
    refused(database, NotApplicant, withdraw, **facts, person_id=hall.operators[0])
    outcome = done(database, withdraw, **facts, person_id=hall.applicant)
    assert (outcome.state, outcome.outcome, outcome.next_step) == ("withdrawn", None, None)
    view = seen(database, case, date(2026, 3, 3))
    assert all(each.ended_at for each in view.clocks)
    refused(database, StepNotActive, decide, **decision(hall, case, "verify", person_id=hall.operators[1]))


def test_conditional_subscriptions_wait_for_the_provider_and_unconditional_ones_for_nobody(
    database: Engine, hall: Hall
) -> None:
    case = made(database, hall, item_code="data-subscription-conditional", skip_steps=(), upto="decide")
    view = seen(database, case, date(2026, 3, 2))
    assert (view.case.state, clock(view, "step").stands) == ("accepted", date(2026, 3, 16))
    refused(database, RoleNeeded, decide, **decision(hall, case, "decide"))
    assert done(database, decide, **decision(hall, case, "decide", person_id=hall.steward)).approved
    with transaction(database) as session:
        at = city(2026, 3, 7)
        automatic = open_case(
            session, item_code="data-subscription-unconditional", applicant_id=hall.applicant,
            bureau_id=hall.town, subject_kind="subscription", subject_id=1, at=at,
        )  # fmt: skip
        outcome = submit_case(
            session, case_id=automatic.id, person_id=hall.applicant, places=hall.places, at=at
        )
    assert outcome.approved
    assert [
        (each.basis, each.decision) for each in seen(database, automatic, date(2026, 3, 7)).decisions
    ] == [("automatic", "approve")]


def test_loading_items_twice_loads_once_and_a_version_never_changes(database: Engine, hall: Hall) -> None:
    at = city(2026, 3, 2)
    case = made(database, hall, upto="verify")
    assert done(database, load_items, at=at) == 0
    changed = [{**shipped_items()[0], "promised_days": 5}]
    error = refused(database, ItemChanged, load_items, at=at, items=changed)
    assert error.facts == {"item": "resource-request", "version": 1}
    newer = [{**changed[0], "version": 2, "steps": shipped_items()[0]["steps"][:2]}]
    assert done(database, load_items, at=at, items=newer) == 1
    outcome = done(database, decide, **decision(hall, case, "verify", person_id=hall.operators[1]))
    assert outcome.approved
    with transaction(database) as session:
        versions = session.execute(
            select(Item.version, func.count(Case.id)).join(Case).group_by(Item.version)
        ).all()
    assert [tuple(row) for row in versions] == [(1, 1)]
    assert seen(database, made(database, hall, skip_steps=()), date(2026, 3, 2)).item.version == 2


def test_every_act_is_journalled(database: Engine, hall: Hall) -> None:
    case = made(database, hall, upto="verify")
    done(
        database, withdraw, case_id=case.id, person_id=hall.applicant, at=city(2026, 3, 3), reason="另行申请"
    )
    with transaction(database) as session:
        acts = acts_of(session, case)
    operator, applicant = f"person:{hall.operators[0]}", f"person:{hall.applicant}"
    assert acts == [
        ("case.opened", applicant),
        ("case.submitted", applicant),
        ("case.decided", operator),
        ("case.decided", operator),
        ("case.withdrawn", applicant),
    ]
