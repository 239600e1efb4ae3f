"""Acts on one subscription or dataset at the same time, over real connections: none is lost or undone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from exchange.errors import NotShared, SubscriptionState
from exchange.models import Subscription
from exchange.queries import get_dataset, get_subscription
from exchange.service.catalogue import edit_dataset
from exchange.service.entitlements import (
    expire_subscriptions,
    pause_subscription,
    resume_subscription,
    revoke_subscription,
)
from exchange.service.versions import add_version
from infra.clock import city_date
from infra.database import reading, transaction
from infra.errors import Stale
from tests.factories import make_entry
from tests.service.desk import Desk
from tests.service.provider import open_provider
from tests.waiting import held_up

MONTH, YEAR = timedelta(days=30), timedelta(days=365)


@pytest.fixture
def desk(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    with open_provider(database, tmp_path, at) as provider:
        desk = Desk(provider)
        desk.catalogue()
        desk.subscribe("id", until_on=city_date(at) + MONTH)
        yield desk


def revoke(session: Session, desk: Desk, *, revision_seen: int) -> None:
    revoke_subscription(
        session,
        subscription_id=desk.subscription_id,
        revision_seen=revision_seen,
        actor="person:2",
        reason="数据外泄",
        at=desk.at,
    )


def subscription(desk: Desk) -> Subscription:
    with reading(desk.engine) as session:
        return get_subscription(session, subscription_id=desk.subscription_id)


def test_what_was_revoked_while_one_waited_does_not_come_back(desk: Desk) -> None:
    """Who resumes has read the subscription before, as every page and every call does."""
    with transaction(desk.engine) as session:
        pause_subscription(
            session,
            subscription_id=desk.subscription_id,
            revision_seen=2,
            actor="person:1",
            reason="核查",
            at=desk.at,
        )

    def resume() -> None:
        with transaction(desk.engine) as session:
            found = get_subscription(session, subscription_id=desk.subscription_id)
            with pytest.raises(SubscriptionState):
                resume_subscription(
                    session, subscription_id=found.id, revision_seen=3, actor="person:3", at=desk.at
                )

    with held_up(desk.engine, resume) as session:
        revoke(session, desk, revision_seen=3)
    left = subscription(desk)
    assert (left.state, left.reason, left.revision) == ("revoked", "数据外泄", 4)


def test_the_sweep_leaves_alone_what_was_revoked_while_it_waited(desk: Desk) -> None:
    expired: list[int] = []

    def sweep() -> None:
        with transaction(desk.engine) as session:
            expired.append(expire_subscriptions(session, at=desk.at + YEAR))

    with held_up(desk.engine, sweep) as session:
        revoke(session, desk, revision_seen=2)
    left = subscription(desk)
    assert (left.state, left.reason, expired) == ("revoked", "数据外泄", [0])


def test_a_new_request_leaves_alone_what_was_revoked_while_it_waited(desk: Desk, at: datetime) -> None:
    first, desk.at = desk.subscription_id, at + YEAR
    with held_up(desk.engine, lambda: desk.subscribe("id", until_on=city_date(desk.at) + MONTH)) as session:
        revoke(session, desk, revision_seen=2)
    assert desk.subscription_id != first
    desk.subscription_id = first
    left = subscription(desk)
    assert (left.state, left.reason) == ("revoked", "数据外泄")


def test_of_two_edits_of_one_revision_the_second_is_stale(desk: Desk) -> None:
    act: dict[str, Any] = {"revision": 1, "actor": "person:1", "at": desk.at}
    items = make_entry(desk.place).items

    def edit_too() -> None:
        with transaction(desk.engine) as session:
            found = get_dataset(session, dataset_id=desk.dataset_id)
            with pytest.raises(Stale):
                edit_dataset(session, dataset_id=found.id, **act, changes={"name": "乙"})
            with pytest.raises(Stale):
                add_version(session, dataset_id=found.id, **act, items=items)

    with held_up(desk.engine, edit_too) as session:
        edit_dataset(session, dataset_id=desk.dataset_id, **act, changes={"name": "甲"})
    with reading(desk.engine) as session:
        found = get_dataset(session, dataset_id=desk.dataset_id)
    assert (found.name, found.revision, found.version) == ("甲", 2, 1)


def test_a_request_is_for_the_dataset_as_an_edit_left_it_that_it_waited_for(desk: Desk) -> None:
    def ask() -> None:
        with pytest.raises(NotShared):
            desk.subscribe("id", system_id=desk.place.publisher_id)

    with held_up(desk.engine, ask) as session:
        edit_dataset(
            session,
            dataset_id=desk.dataset_id,
            revision=1,
            changes={"share_type": "none", "legal_basis": "保密规定"},
            actor="person:1",
            at=desk.at,
        )
