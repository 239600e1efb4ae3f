"""Subscriptions as cases: automatic, decided by the provider, refused; and what happens to them then."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from approval.errors import ReasonNeeded, RoleNeeded, StepNotActive
from approval.models import Case
from approval.queries import get_case
from approval.service import withdraw
from exchange.errors import NotShared, SubscriptionExists, SubscriptionInvalid, SubscriptionState
from exchange.masking import Mask
from exchange.models import Subscription
from exchange.queries import (
    find_subscription_of_case,
    get_subscription,
    list_subscriptions,
)
from exchange.schema import Item
from exchange.service.entitlements import (
    expire_subscriptions,
    pause_subscription,
    release_items,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.subscriptions import (
    case_revision,
    decide_subscription,
    edit_subscription,
    follow_case,
    request_subscription,
    withdraw_subscription,
)
from exchange.service.versions import add_version
from infra.clock import city_date, city_midnight
from infra.database import reading, transaction
from infra.errors import NotFound, SijiError, Stale
from infra.journal import JournalEntry
from tests.factories import Exchange, make_dataset, make_exchange

ITEMS = (
    Item("id", "resident_id", sensitivity="sensitive", mask=Mask("digest")),
    Item("name", "text", sensitivity="personal"),
    Item("born", "date"),
)
CONDITIONAL = {"share_type": "conditional", "share_condition": "办理业务需要", "items": ITEMS}
DAY = timedelta(days=1)


@pytest.fixture
def place(database: Engine, at: datetime) -> Exchange:
    with transaction(database) as session:
        return make_exchange(session, at=at)


@pytest.fixture
def catalogue(database: Engine, place: Exchange, at: datetime) -> Callable[..., int]:
    def make(**changes: Any) -> int:
        with transaction(database) as session:
            return make_dataset(session, place, at=at, **({"items": ITEMS} | changes)).id

    return make


def ask(
    session: Session, place: Exchange, dataset_id: int, at: datetime, *, days: int = 300, **changes: Any
) -> Subscription:
    """Ask at `at` for two items, until so many `days` later."""
    wish: dict[str, Any] = {
        "dataset_id": dataset_id,
        "system_id": place.subscriber_id,
        "person_id": place.hall.applicant,
        "items": ["id", "name"],
        "purpose": "核验身份",
        "basis": "《条例》第三条",
        "until_on": city_date(at) + days * DAY,
        "at": at,
    }
    return request_subscription(session, **(wish | changes))


def answer(
    session: Session, place: Exchange, subscription: Subscription, at: datetime, **changes: Any
) -> Subscription:
    word: dict[str, Any] = {
        "subscription_id": subscription.id,
        "person_id": place.hall.steward,
        "decision": "approve",
        "revision_seen": 1,
        "at": at,
    }
    return decide_subscription(session, **(word | changes))


def test_unconditional_sharing_is_granted_at_once(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue()
    with transaction(database) as session:
        granted = ask(session, place, dataset_id, at, basis="")
    assert (granted.state, granted.decided_at, granted.bureau_id) == ("active", at, place.hall.town)
    with reading(database) as session:
        assert granted.case_id is not None
        assert get_case(session, granted.case_id).outcome == "approved"
        found = find_subscription_of_case(session, case_id=granted.case_id)
        assert found is not None
        assert found.id == granted.id
        acts = session.scalars(
            select(JournalEntry.act)
            .where(JournalEntry.subject == f"subscription:{granted.id}")
            .order_by(JournalEntry.id)
        )
        assert list(acts) == ["subscription.requested", "subscription.active"]
        by_provider = list_subscriptions(session, provider_id=place.hall.provider, states=("active",))
        assert [s.id for s in by_provider] == [granted.id]
        assert list_subscriptions(session, bureau_id=place.hall.city) == []


def test_conditional_sharing_waits_for_the_providers_steward(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at, masks={"name": {"kind": "keep_ends", "head": 1}})
        assert asked.state == "pending"
        assert case_revision(session, subscription=asked) == 1
        with pytest.raises(RoleNeeded):
            answer(session, place, asked, at, person_id=place.hall.operators[0])
    later = at + timedelta(days=2)
    with transaction(database) as session:
        granted = answer(session, place, asked, later, masks={"id": {"kind": "drop"}}, reason="符合条件")
        assert (granted.state, granted.decided_at, granted.reason) == ("active", later, "符合条件")
        assert granted.masks == {"name": {"kind": "keep_ends", "head": 1}, "id": {"kind": "drop"}}
    with transaction(database) as session, pytest.raises(SubscriptionState):
        answer(session, place, asked, later)


def test_a_refusal_has_a_reason(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at)
    with pytest.raises(ReasonNeeded), transaction(database) as session:
        answer(session, place, asked, at, decision="refuse")
    with transaction(database) as session:
        refused = answer(session, place, asked, at, decision="refuse", reason="用途不明")
        assert (refused.state, refused.reason, refused.ended_at) == ("refused", "用途不明", at)
        assert ask(session, place, dataset_id, at).state == "pending"


def test_what_is_not_shared_is_refused_with_its_basis(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(share_type="none", legal_basis="《保密法》")
    with pytest.raises(NotShared) as refusal, transaction(database) as session:
        ask(session, place, dataset_id, at)
    assert "《保密法》" in refusal.value.message("zh")
    with reading(database) as session:
        assert session.scalar(select(func.count()).select_from(Case)) == 0


@pytest.mark.parametrize(
    "wish",
    [
        {"items": []},
        {"items": ["id", "id"]},
        {"items": ["id", "nobody"]},
        {"purpose": " "},
        {"purpose": "x" * 2001},
        {"basis": ""},
        {"days": -1},
        {"masks": {"born": {"kind": "drop"}}},
        {"masks": {"name": {"kind": "generalise"}}},
        {"masks": {"id": {"kind": "keep_ends", "head": 17}}},
        {"masks": {"name": None}},
    ],
)
def test_what_cannot_be_asked_for(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime, wish: dict[str, Any]
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with pytest.raises(SubscriptionInvalid), transaction(database) as session:
        ask(session, place, dataset_id, at, **wish)


def test_the_last_day_is_the_citys(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue()
    with transaction(database) as session:
        assert ask(session, place, dataset_id, at, days=0).state == "active"
        midnight = city_midnight(city_date(at) + DAY)
        assert expire_subscriptions(session, at=midnight - timedelta(minutes=1)) == 0
        assert expire_subscriptions(session, at=midnight) == 1
        assert expire_subscriptions(session, at=midnight) == 0
        assert list_subscriptions(session, dataset_id=dataset_id)[0].state == "expired"


def test_a_system_has_one_live_subscription_to_a_dataset(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue()

    def one(_turn: int) -> str:
        try:
            with transaction(database) as session:
                return ask(session, place, dataset_id, at).state
        except SijiError as error:
            return error.code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(one, range(4))) == ["active", *["subscription_exists"] * 3]
    with transaction(database) as session:
        other = ask(session, place, dataset_id, at, system_id=place.second_subscriber_id)
        assert other.state == "active"
    after = city_midnight(other.until_on + DAY)
    with transaction(database) as session:
        assert ask(session, place, dataset_id, after).state == "active"
        states = [s.state for s in list_subscriptions(session, system_id=place.subscriber_id)]
        assert states == ["expired", "active"]
    with pytest.raises(NotFound), transaction(database) as session:
        ask(session, place, dataset_id, at, system_id=999)


def test_an_edit_voids_what_the_steward_saw(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at, masks={"name": {"kind": "drop"}})
        act: dict[str, Any] = {"subscription_id": asked.id, "person_id": place.hall.applicant, "at": at}
        edited = edit_subscription(session, revision_seen=1, items=["born"], purpose="统计", **act)
        assert (edited.items, edited.purpose, edited.masks) == (["born"], "统计", {})
        with pytest.raises(Stale):
            answer(session, place, asked, at)
        with pytest.raises(Stale):
            edit_subscription(session, revision_seen=1, until_on=asked.until_on, basis="依据", **act)
    with transaction(database) as session:
        assert answer(session, place, asked, at, revision_seen=2).items == ["born"]


def test_a_return_is_answered_by_an_edit(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at)
        assert answer(session, place, asked, at, decision="return", reason="缩小范围").state == "pending"
        with pytest.raises(StepNotActive):
            answer(session, place, asked, at)
        edit_subscription(
            session,
            subscription_id=asked.id,
            person_id=place.hall.applicant,
            revision_seen=1,
            items=["name"],
            at=at,
        )
        assert answer(session, place, asked, at, revision_seen=2).state == "active"


def test_a_pending_one_is_withdrawn_through_it_or_through_its_case(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at)
        gone = withdraw_subscription(session, subscription_id=asked.id, person_id=place.hall.applicant, at=at)
        assert gone.state == "withdrawn"
        other = ask(session, place, dataset_id, at)
        assert other.case_id is not None
        follow_case(session, case_id=other.case_id, actor="person:1", at=at)
        assert other.state == "pending"
        withdraw(session, case_id=other.case_id, person_id=place.hall.applicant, at=at)
        follow_case(session, case_id=other.case_id, actor="person:1", at=at)
        follow_case(session, case_id=999, actor="person:1", at=at)
        assert other.state == "withdrawn"


def test_approval_too_late_is_refused(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue(**CONDITIONAL)
    with transaction(database) as session:
        asked = ask(session, place, dataset_id, at, days=1)
    with pytest.raises(SubscriptionInvalid), transaction(database) as session:
        answer(session, place, asked, at + timedelta(days=3))
    with transaction(database) as session, pytest.raises(SubscriptionExists):
        ask(session, place, dataset_id, at + timedelta(days=3))


def test_pause_resume_and_revoke(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue()
    with transaction(database) as session:
        granted = ask(session, place, dataset_id, at)
        act: dict[str, Any] = {"subscription_id": granted.id, "actor": "person:9", "at": at}
        seen = granted.revision
        paused = pause_subscription(session, revision_seen=seen, reason="核查", **act)
        assert (paused.state, paused.reason, paused.revision) == ("paused", "核查", seen + 1)
        with pytest.raises(SubscriptionState):
            pause_subscription(session, revision_seen=seen + 1, reason="核查", **act)
        with pytest.raises(Stale):
            resume_subscription(session, revision_seen=seen, **act)
        assert resume_subscription(session, revision_seen=seen + 1, **act).state == "active"
        with pytest.raises(SubscriptionInvalid):
            revoke_subscription(session, revision_seen=seen + 2, reason=" ", **act)
        revoked = revoke_subscription(session, revision_seen=seen + 2, reason="用途不符", **act)
        assert (revoked.state, revoked.ended_at) == ("revoked", at)
        with pytest.raises(SubscriptionState):
            resume_subscription(session, revision_seen=seen + 3, **act)
    with reading(database) as session:
        assert get_subscription(session, subscription_id=granted.id).state == "revoked"
        with pytest.raises(NotFound):
            get_subscription(session, subscription_id=999)


def test_new_items_are_seen_only_once_released(
    database: Engine, place: Exchange, catalogue: Callable[..., int], at: datetime
) -> None:
    dataset_id = catalogue()
    with transaction(database) as session:
        granted = ask(session, place, dataset_id, at)
        act: dict[str, Any] = {"subscription_id": granted.id, "actor": "person:9", "at": at}
        add_version(
            session,
            dataset_id=dataset_id,
            revision=1,
            items=(*ITEMS, Item("phone", "mobile", sensitivity="personal")),
            actor="person:9",
            at=at,
        )
        assert granted.items == ["id", "name"]
        seen = granted.revision
        released = release_items(
            session,
            items=["phone", "name"],
            masks={"phone": {"kind": "keep_ends", "tail": 4}},
            revision_seen=seen,
            **act,
        )
        assert released.items == ["id", "name", "phone"]
        assert released.masks == {"phone": {"kind": "keep_ends", "tail": 4}}
        with pytest.raises(SubscriptionInvalid):
            release_items(session, items=["nobody"], revision_seen=seen + 1, **act)
        with pytest.raises(Stale):
            release_items(session, items=["born"], revision_seen=seen, **act)
