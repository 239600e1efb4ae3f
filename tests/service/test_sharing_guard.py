"""The exchange's word when bureaus are abolished and systems are retired or handed over."""

from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from exchange.broker.embedded import EmbeddedLog
from exchange.errors import AnswersOwed, DatasetEnded, SubscriptionsHeld
from exchange.models import Dataset
from exchange.queries import (
    get_dataset,
    get_dataset_by_code,
    get_subscription,
    list_datasets_without_topic,
    list_entries,
)
from exchange.service.catalogue import edit_dataset
from exchange.service.entitlements import revoke_subscription
from exchange.service.guard import SharingGuard
from exchange.service.versions import add_version
from exchange.version_queries import get_items, list_versions
from identity.errors import StillHolding
from identity.queries import get_bureau_by_id, get_system_by_id
from identity.service.systems import retire_system, transfer_system
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from portal.guards import SYSTEM_GUARDS
from tests.factories import LONG_AGO, Exchange, make_dataset, make_exchange
from tests.service.desk import Desk, upserts
from tests.service.ending_provider import (
    abolish_provider,
    empty_provider,
    make_successor,
    merge_provider,
    subscribe,
)
from tests.service.provider import Provider

GUARD = SharingGuard()


@pytest.fixture
def place(database: Engine, at: datetime) -> Exchange:
    with transaction(database) as session:
        return make_exchange(session, at=at)


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


@pytest.fixture
def successor_id(database: Engine, place: Exchange) -> int:
    with transaction(database) as session:
        return make_successor(session, place)


def test_a_merger_hands_datasets_to_the_successor_and_stops_nobody(
    database: Engine, place: Exchange, subscription_id: int, successor_id: int, at: datetime, tmp_path: Path
) -> None:
    with transaction(database) as session:
        merge_provider(session, place, successor_id, at)
    with reading(database) as session:
        dataset = get_dataset_by_code(session, code="people")
        assert (dataset.bureau_id, dataset.revision) == (successor_id, 2)
        entry = session.scalars(select(JournalEntry).where(JournalEntry.act == "dataset.handed_over")).one()
        assert (entry.subject, entry.bureau_id) == (f"dataset:{dataset.id}", successor_id)
        assert get_bureau_by_id(session, bureau_id=place.hall.provider).abolished_at == at
    log = EmbeddedLog(tmp_path / "log.sqlite")
    desk = Desk(Provider(database, log, place, at))
    desk.dataset_id, desk.subscription_id = dataset.id, subscription_id
    desk.publish(*upserts("a"))
    assert [record.value for record in desk.pull_all()] == [{"id": "a"}]
    log.close()


def test_a_provider_that_owes_an_answer_is_not_merged(
    database: Engine, place: Exchange, successor_id: int, at: datetime
) -> None:
    with transaction(database) as session:
        dataset = make_dataset(session, place, at=at, share_type="conditional", share_condition="核验")
        waiting = subscribe(session, place, dataset.id, at)
    with pytest.raises(AnswersOwed) as refused, transaction(database) as session:
        merge_provider(session, place, successor_id, at)
    assert f"（{waiting}）" in refused.value.message("zh")
    assert f"({waiting})" in refused.value.message("en")
    assert held(database, place)[place.hall.provider] == ["subscribers"]


def test_datasets_that_nobody_receives_end_with_their_bureau(
    database: Engine, place: Exchange, subscription_id: int, successor_id: int, at: datetime, tmp_path: Path
) -> None:
    empty_provider(database, place, successor_id, at)
    with pytest.raises(StillHolding) as refused, transaction(database) as session:
        abolish_provider(session, place, at)
    assert refused.value.facts["held"] == {"H-P": ["subscribers"]}
    revoke(database, subscription_id, at)
    with transaction(database) as session:
        abolish_provider(session, place, at)
    with reading(database) as session:
        dataset = get_dataset_by_code(session, code="people")
        assert (dataset.ended_at, dataset.bureau_id) == (at, place.hall.provider)
        assert list_entries(session) == []
        assert list_datasets_without_topic(session) == []
        assert len(list_versions(session, dataset_id=dataset.id)) == 1
        entry = session.scalars(select(JournalEntry).where(JournalEntry.act == "dataset.ended")).one()
        assert (entry.subject, entry.bureau_id) == (f"dataset:{dataset.id}", place.hall.provider)
    with pytest.raises(DatasetEnded), transaction(database) as session:
        subscribe(session, place, dataset.id, at)
    seen = dataset.revision
    with pytest.raises(DatasetEnded), transaction(database) as session:
        edit_dataset(
            session, dataset_id=dataset.id, revision=seen, changes={"name": "人口"}, actor="person:1", at=at
        )
    with reading(database) as session:
        items = get_items(session, dataset_id=dataset.id, version=1)
    with pytest.raises(DatasetEnded), transaction(database) as session:
        add_version(session, dataset_id=dataset.id, revision=seen, items=items, actor="person:1", at=at)
    log = EmbeddedLog(tmp_path / "log.sqlite")
    with pytest.raises(DatasetEnded, match=city_date(at).isoformat()):
        Provider(database, log, place, at).publish(dataset.id, upserts("a"))
    log.close()


def test_what_ended_before_its_bureau_was_restored_does_not_end_again(
    database: Engine, place: Exchange, successor_id: int, at: datetime
) -> None:
    with transaction(database) as session:
        dataset_id = make_dataset(session, place, at=at).id
        session.get_one(Dataset, dataset_id).ended_at = LONG_AGO
    empty_provider(database, place, successor_id, at)
    with transaction(database) as session:
        abolish_provider(session, place, at)
    with reading(database) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        assert (dataset.ended_at, dataset.revision) == (LONG_AGO, 1)
        assert session.scalars(select(JournalEntry).where(JournalEntry.act == "dataset.ended")).all() == []


def test_live_subscriptions_hold_the_subscriber_and_the_provider(
    database: Engine, place: Exchange, subscription_id: int, at: datetime
) -> None:
    assert held(database, place) == {
        place.hall.town: ["subscriptions"],
        place.hall.provider: ["subscribers"],
    }
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
