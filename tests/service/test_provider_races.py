"""A provider is merged or abolished while others act on its datasets: none is lost, none kills another."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from approval.models import CaseStep
from exchange.errors import DatasetEnded
from exchange.queries import get_dataset
from exchange.service import publish as publishing
from exchange.service.catalogue import edit_dataset
from exchange.service.guard import SharingGuard
from identity.errors import BureauAbolished
from identity.queries import get_bureau_by_id
from infra.database import reading, transaction
from tests.factories import Exchange, make_dataset
from tests.service.ending_provider import (
    abolish_provider,
    empty_provider,
    make_successor,
    merge_provider,
    subscribe,
)
from tests.service.provider import Provider, open_provider, people
from tests.waiting import WAITING_FOR_LOCKS, held_up, wait_until


@pytest.fixture
def provider(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Provider]:
    with open_provider(database, tmp_path, at) as opened:
        yield opened


@pytest.fixture
def place(provider: Provider) -> Exchange:
    return provider.place


@pytest.fixture
def successor_id(database: Engine, place: Exchange) -> int:
    with transaction(database) as session:
        return make_successor(session, place)


class Halfway(SharingGuard):
    """Lets `act` begin once a merger holds bureaus and systems; the merger goes on when it waits."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor, act: Callable[[], object]) -> None:
        self.engine, self.pool, self.act = engine, pool, act
        self.begun: Future[object] | None = None

    def on_merge(self, session: Session, **facts: Any) -> None:
        """Begin the act, then do as sharing does."""
        self.begun = begun = self.pool.submit(self.act)
        wait_until(lambda: begun.done() or self._somebody_waits())
        super().on_merge(session, **facts)

    def _somebody_waits(self) -> bool:
        with reading(self.engine) as session:
            return bool(session.scalar(WAITING_FOR_LOCKS))


def merge_meanwhile(provider: Provider, successor_id: int, act: Callable[[], object]) -> None:
    """Merge the provider, and begin `act` halfway. Raises what either raises."""
    with ThreadPoolExecutor(1) as pool:
        halfway = Halfway(provider.engine, pool, act)
        with transaction(provider.engine) as session:
            merge_provider(session, provider.place, successor_id, provider.at, guards=[halfway])
        assert halfway.begun is not None
        halfway.begun.result()


def test_a_batch_that_comes_halfway_through_a_merger_is_stored(provider: Provider, successor_id: int) -> None:
    dataset_id = provider.catalogue()
    merge_meanwhile(provider, successor_id, lambda: provider.publish(dataset_id, people(3)))
    assert len(provider.stored(dataset_id)) == 3


def test_a_merger_that_comes_while_a_batch_is_claimed_waits_for_it(
    provider: Provider, successor_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset_id = provider.catalogue()

    def merge_now() -> None:
        with transaction(provider.engine) as session:
            merge_provider(session, provider.place, successor_id, provider.at)

    def claiming(engine: Engine) -> Any:
        monkeypatch.undo()
        return held_up(engine, merge_now)

    monkeypatch.setattr(publishing, "transaction", claiming)
    assert provider.publish(dataset_id, people(3)).state == "settled"
    with reading(provider.engine) as session:
        assert get_dataset(session, dataset_id=dataset_id).bureau_id == successor_id


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


def test_a_request_that_comes_halfway_through_a_merger_is_the_successors_to_answer(
    provider: Provider, successor_id: int
) -> None:
    """It waits for the tree before it holds the dataset, for which the merger would wait in its turn."""
    dataset_id = provider.catalogue(share_type="conditional", share_condition="核验")

    def ask() -> None:
        with transaction(provider.engine) as session:
            seen = get_dataset(session, dataset_id=dataset_id)
            subscribe(session, provider.place, seen.id, provider.at)

    merge_meanwhile(provider, successor_id, ask)
    with reading(provider.engine) as session:
        steps = session.scalars(select(CaseStep).where(CaseStep.key == "decide")).all()
        assert [step.bureau_id for step in steps] == [successor_id]


def edit(session: Session, provider: Provider, dataset_id: int, **changes: Any) -> None:
    edit_dataset(
        session, dataset_id=dataset_id, revision=1, changes=changes, actor="person:1", at=provider.at
    )


def test_a_merger_hands_over_what_an_edit_made_while_it_waited(provider: Provider, successor_id: int) -> None:
    dataset_id = provider.catalogue()

    def merge_now() -> None:
        with transaction(provider.engine) as session:
            merge_provider(session, provider.place, successor_id, provider.at)

    with held_up(provider.engine, merge_now) as session:
        edit(session, provider, dataset_id, name="甲")
    with reading(provider.engine) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        assert (dataset.name, dataset.revision, dataset.bureau_id) == ("甲", 3, successor_id)


def test_an_abolition_ends_what_an_edit_made_while_it_waited(provider: Provider, successor_id: int) -> None:
    dataset_id = provider.catalogue()
    empty_provider(provider.engine, provider.place, successor_id, provider.at)

    def abolish_now() -> None:
        with transaction(provider.engine) as session:
            abolish_provider(session, provider.place, provider.at)

    with held_up(provider.engine, abolish_now) as session:
        edit(session, provider, dataset_id, name="甲")
    with reading(provider.engine) as session:
        dataset = get_dataset(session, dataset_id=dataset_id)
        assert (dataset.name, dataset.revision, dataset.ended_at) == ("甲", 3, provider.at)
