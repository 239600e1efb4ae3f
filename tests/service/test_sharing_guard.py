"""The exchange's word when bureaus are abolished and systems are retired or handed over."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.errors import SubscriptionsHeld
from exchange.queries import get_subscription
from exchange.service.entitlements import revoke_subscription
from exchange.service.guard import SharingGuard
from exchange.service.subscriptions import request_subscription
from identity.errors import StillHolding
from identity.queries import get_system_by_id
from identity.service.systems import retire_system, transfer_system
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import NotFound
from portal.guards import SYSTEM_GUARDS
from tests.factories import Exchange, make_dataset, make_exchange

GUARD = SharingGuard()


@pytest.fixture
def place(database: Engine, at: datetime) -> Exchange:
    with transaction(database) as session:
        return make_exchange(session, at=at)


def subscribe(session: Session, place: Exchange, dataset_id: int, at: datetime) -> int:
    subscription = request_subscription(
        session,
        dataset_id=dataset_id,
        system_id=place.subscriber_id,
        person_id=place.hall.applicant,
        items=["id"],
        purpose="核验",
        basis="",
        until_on=city_date(at) + timedelta(days=300),
        at=at,
    )
    return subscription.id


@pytest.fixture
def subscription_id(database: Engine, place: Exchange, at: datetime) -> int:
    with transaction(database) as session:
        return subscribe(session, place, make_dataset(session, place, at=at).id, at)


def held(engine: Engine, place: Exchange) -> dict[int, list[str]]:
    with reading(engine) as session:
        everyone = (place.hall.city, place.hall.provider, place.hall.town)
        return GUARD.holdings(session, bureau_ids=everyone)


def revoke(engine: Engine, subscription_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        seen = get_subscription(session, subscription_id=subscription_id).revision
        revoke_subscription(
            session,
            subscription_id=subscription_id,
            revision_seen=seen,
            actor="person:1",
            reason="不再需要",
            at=at,
        )


def test_live_subscriptions_hold_the_subscriber_and_the_provider(
    database: Engine, place: Exchange, subscription_id: int, at: datetime
) -> None:
    assert held(database, place) == {place.hall.town: ["subscriptions"], place.hall.provider: ["subscribers"]}
    revoke(database, subscription_id, at)
    assert held(database, place) == {}


def test_a_system_is_retired_when_nothing_is_released_to_it_any_more(
    database: Engine, place: Exchange, subscription_id: int, at: datetime
) -> None:
    with pytest.raises(StillHolding) as refused, transaction(database) as session:
        retire_system(session, system_id=place.subscriber_id, at=at, actor="person:1", guards=SYSTEM_GUARDS)
    assert refused.value.facts["held"] == {"E-3": ["subscriptions"]}
    revoke(database, subscription_id, at)
    with transaction(database) as session:
        retire_system(session, system_id=place.subscriber_id, at=at, actor="person:1", guards=SYSTEM_GUARDS)
    with pytest.raises(NotFound), transaction(database) as session:
        subscribe(session, place, 1, at)


def test_a_system_does_not_carry_data_into_another_bureau(
    database: Engine, place: Exchange, subscription_id: int, at: datetime
) -> None:
    def hand_over() -> None:
        with transaction(database) as session:
            transfer_system(
                session,
                system_id=place.subscriber_id,
                bureau_id=place.hall.city,
                at=at,
                actor="person:1",
                guards=SYSTEM_GUARDS,
            )

    with pytest.raises(SubscriptionsHeld) as refused:
        hand_over()
    assert f"（{subscription_id}）" in refused.value.message("zh")
    with reading(database) as session:
        assert get_system_by_id(session, system_id=place.subscriber_id).bureau_id == place.hall.town
    revoke(database, subscription_id, at)
    hand_over()
    with reading(database) as session:
        assert get_system_by_id(session, system_id=place.subscriber_id).bureau_id == place.hall.city
