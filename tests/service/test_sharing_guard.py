"""The exchange's word when bureaus are abolished and systems are retired or handed over."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from approval.models import CaseStep
from exchange.broker.embedded import EmbeddedLog
from exchange.errors import AnswersOwed, DatasetEnded, SubscriptionsHeld
from exchange.queries import (
    get_dataset,
    get_dataset_by_code,
    get_subscription,
    list_datasets_without_topic,
    list_entries,
    list_versions,
)
from exchange.service.catalogue import edit_dataset
from exchange.service.entitlements import revoke_subscription
from exchange.service.guard import SharingGuard
from exchange.service.subscriptions import request_subscription
from identity.errors import BureauAbolished, StillHolding
from identity.models import Bureau, BureauVersion, Person
from identity.queries import get_bureau_by_id, get_system_by_id
from identity.service.reorganise import abolish, merge
from identity.service.systems import retire_system, transfer_system
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import NotFound
from infra.journal import JournalEntry
from portal.guards import SYSTEM_GUARDS, TREE_GUARDS
from tests.factories import LONG_AGO, Exchange, make_bureau, make_dataset, make_exchange
from tests.service.desk import Desk, upserts
from tests.waiting import held_up

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
        basis="依据",
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


def merge_provider(session: Session, place: Exchange, successor_id: int, at: datetime) -> None:
    merge(
        session,
        bureau_id=place.hall.provider,
        successor_id=successor_id,
        at=at,
        actor="person:1",
        guards=TREE_GUARDS,
        system_guards=SYSTEM_GUARDS,
    )


@pytest.fixture
def successor_id(database: Engine, place: Exchange, at: datetime) -> int:
    """Another bureau of the city, into which the provider can be merged."""
    with transaction(database) as session:
        session.add(
            BureauVersion(
                bureau_id=place.hall.provider,
                code="H-P",
                name="单位 H-P",
                level="city",
                parent_id=place.hall.city,
                valid_from=LONG_AGO,
            )
        )
        city = session.get_one(Bureau, place.hall.city)
        return make_bureau(session, parent=city, code="N-1", level="city").id


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
    desk = Desk(database, log, place, at)
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


def empty_provider(engine: Engine, place: Exchange, successor_id: int, at: datetime) -> None:
    """Its people and systems go to another bureau, its dataset stays."""
    with transaction(engine) as session:
        session.execute(
            update(Person).where(Person.bureau_id == place.hall.provider).values(bureau_id=successor_id)
        )
        for system_id in (place.publisher_id, place.second_publisher_id):
            transfer_system(
                session,
                system_id=system_id,
                bureau_id=successor_id,
                at=at,
                actor="person:1",
                guards=SYSTEM_GUARDS,
            )


def abolish_provider(session: Session, place: Exchange, at: datetime) -> None:
    abolish(session, bureau_id=place.hall.provider, at=at, actor="person:1", guards=TREE_GUARDS)


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
    log = EmbeddedLog(tmp_path / "log.sqlite")
    desk = Desk(database, log, place, at)
    desk.dataset_id = dataset.id
    with pytest.raises(DatasetEnded, match=city_date(at).isoformat()):
        desk.publish(*upserts("a"))
    log.close()


def test_a_request_that_comes_while_the_provider_ends_is_refused(
    database: Engine, place: Exchange, successor_id: int, at: datetime
) -> None:
    with transaction(database) as session:
        dataset_id = make_dataset(session, place, at=at).id
    empty_provider(database, place, successor_id, at)

    def ask() -> None:
        with transaction(database) as session:
            get_dataset(session, dataset_id=dataset_id)
            with pytest.raises(DatasetEnded):
                subscribe(session, place, dataset_id, at)

    with held_up(database, ask) as session:
        abolish_provider(session, place, at)


def test_nothing_is_catalogued_for_a_bureau_that_ends_meanwhile(
    database: Engine, place: Exchange, successor_id: int, at: datetime
) -> None:
    def catalogue() -> None:
        with transaction(database) as session:
            seen = get_bureau_by_id(session, bureau_id=place.hall.provider)
            with pytest.raises(BureauAbolished):
                make_dataset(session, place, bureau_id=seen.id, at=at)

    with held_up(database, catalogue) as session:
        merge_provider(session, place, successor_id, at)


def test_a_request_that_comes_during_a_merger_is_the_successors_to_answer(
    database: Engine, place: Exchange, successor_id: int, at: datetime
) -> None:
    with transaction(database) as session:
        dataset = make_dataset(session, place, at=at, share_type="conditional", share_condition="核验")

    def ask() -> None:
        with transaction(database) as session:
            seen = get_dataset(session, dataset_id=dataset.id)
            subscribe(session, place, seen.id, at)

    with held_up(database, ask) as session:
        merge_provider(session, place, successor_id, at)
    with reading(database) as session:
        steps = session.scalars(select(CaseStep).where(CaseStep.key == "decide")).all()
        assert [step.bureau_id for step in steps] == [successor_id]


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
