"""New versions of a dataset's items: held to its level, announced or forced, and told to whom they hit."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from approval.models import Notice
from exchange.batch import Change
from exchange.errors import CatalogueInvalid, Incompatible, NothingAnnounced, NoticeTooShort, VersionAnnounced
from exchange.queries import get_dataset
from exchange.schema import Item
from exchange.service.catalogue import edit_dataset
from exchange.service.sweep import sweep
from exchange.service.versions import NOTICE, add_version, withdraw_version
from exchange.version_queries import list_versions
from infra.clock import city_date
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.desk import Desk
from tests.service.provider import open_provider

ID, NAME, TOWN = Item("id", "text"), Item("name", "text", length=20), Item("town", "text")


@pytest.fixture
def desk(database: Engine, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    """A dataset of three items, of which the subscriber receives two."""
    with open_provider(database, tmp_path, at) as provider:
        desk = Desk(provider)
        desk.catalogue(items=(ID, NAME, TOWN))
        desk.subscribe("id", "name")
        yield desk


def give(desk: Desk, *items: Item, revision: int = 1, **how: Any) -> int:
    with transaction(desk.engine) as session:
        return add_version(
            session,
            dataset_id=desk.dataset_id,
            revision=revision,
            items=items,
            actor="person:1",
            **({"at": desk.at} | how),
        ).version


def told(desk: Desk) -> list[tuple[str, Any]]:
    with reading(desk.engine) as session:
        notices = session.scalars(select(Notice).where(Notice.subject_kind == "subscription"))
        return [(one.code, one.facts.get("why_zh")) for one in notices.all()]


def acts(desk: Desk) -> list[str]:
    with reading(desk.engine) as session:
        query = select(JournalEntry.act).where(JournalEntry.act.startswith("dataset."))
        return list(session.scalars(query.order_by(JournalEntry.id)))


def version(desk: Desk) -> int:
    with reading(desk.engine) as session:
        return get_dataset(session, dataset_id=desk.dataset_id).version


def test_a_break_is_refused_with_everybody_whom_it_hits(desk: Desk) -> None:
    with pytest.raises(Incompatible) as refusal:
        give(desk, ID)
    assert refusal.value.facts["subscriptions"] == [desk.subscription_id]
    said = refusal.value.message("zh")
    assert [word for word in ("“name”被删除", "“town”被删除", "系统 3", "14 天") if word not in said] == []
    said = refusal.value.message("en")
    assert [word for word in ("“name” is removed", "系统 3", "14 days") if word not in said] == []
    with pytest.raises(Incompatible) as refusal:
        give(desk, ID, NAME)
    assert refusal.value.facts["subscriptions"] == []
    assert "没有已有申请受影响" in refusal.value.message("zh")
    assert version(desk) == 1


def test_a_forced_version_holds_at_once_and_its_receivers_are_told(desk: Desk) -> None:
    desk.publish(Change({"id": "1", "name": "王", "town": "阜平镇"}))
    assert give(desk, ID, TOWN, force="姓名依法不再共享") == 2
    assert told(desk) == [("version_in_force", "“name”被删除")]
    desk.publish(Change({"id": "2", "town": "平阳镇"}))
    assert [record.value for record in desk.pull_all()] == [{"id": "1", "name": "王"}, {"id": "2"}]
    assert acts(desk)[-1] == "dataset.version_added"


def test_an_announced_version_holds_from_its_day(desk: Desk) -> None:
    day = city_date(desk.at) + NOTICE
    with pytest.raises(NoticeTooShort) as refusal:
        give(desk, ID, from_on=day - timedelta(days=1))
    assert day.isoformat() in refusal.value.message("en")
    assert give(desk, ID, from_on=day) == 1
    assert told(desk) == [("version_announced", "“name”被删除")]
    with pytest.raises(VersionAnnounced):
        give(desk, ID, NAME, TOWN, revision=2)
    sweep(desk.engine, desk.log, at=desk.at + NOTICE - timedelta(days=1))
    assert version(desk) == 1
    for _ in range(2):
        sweep(desk.engine, desk.log, at=desk.at + NOTICE)
    assert version(desk) == 2
    assert [code for code, _ in told(desk)] == ["version_announced", "version_in_force"]
    assert acts(desk)[1:] == ["dataset.version_announced", "dataset.version_entered"]


def test_a_compatible_version_may_be_announced_for_tomorrow(desk: Desk) -> None:
    with pytest.raises(NoticeTooShort):
        give(desk, ID, NAME, TOWN, Item("new", "date"), from_on=city_date(desk.at))
    give(desk, ID, NAME, TOWN, Item("new", "date"), from_on=city_date(desk.at) + timedelta(days=1))
    assert told(desk) == []


def test_what_was_announced_can_be_taken_back(desk: Desk) -> None:
    def take_back(revision: int) -> None:
        with transaction(desk.engine) as session:
            withdraw_version(
                session, dataset_id=desk.dataset_id, revision=revision, actor="person:1", at=desk.at
            )

    with pytest.raises(NothingAnnounced):
        take_back(1)
    give(desk, ID, from_on=city_date(desk.at) + NOTICE)
    take_back(2)
    assert [code for code, _ in told(desk)] == ["version_announced", "version_withdrawn"]
    sweep(desk.engine, desk.log, at=desk.at + NOTICE)
    assert version(desk) == 1
    give(desk, ID, from_on=city_date(desk.at) + NOTICE, revision=3)
    assert [code for code, _ in told(desk)] == ["version_announced", "version_withdrawn", "version_announced"]
    take_back(4)
    assert give(desk, ID, NAME, TOWN, revision=5) == 2
    with reading(desk.engine) as session:
        assert [one.version for one in list_versions(session, dataset_id=desk.dataset_id)] == [1, 2]


def test_the_level_of_a_dataset_says_what_counts_as_a_break(desk: Desk) -> None:
    longer = Item("name", "text", length=30)

    def hold_to(level: str, revision: int) -> None:
        with transaction(desk.engine) as session:
            edit_dataset(
                session,
                dataset_id=desk.dataset_id,
                revision=revision,
                changes={"compatibility": level},
                actor="person:1",
                at=desk.at,
            )

    hold_to("forward", 1)
    with pytest.raises(Incompatible) as refusal:
        give(desk, ID, longer, TOWN, revision=2)
    assert refusal.value.facts["subscriptions"] == [desk.subscription_id]
    hold_to("none", 2)
    assert give(desk, ID, revision=3) == 2


def test_an_item_that_was_left_out_comes_back_as_it_was_or_under_another_name(desk: Desk) -> None:
    give(desk, ID, TOWN, force="停止共享")
    sensitive = Item("name", "text", length=20, sensitivity="sensitive")
    with pytest.raises(CatalogueInvalid) as refusal:
        give(desk, ID, TOWN, sensitive, revision=2)
    assert "name" in refusal.value.message("en")
    assert give(desk, ID, TOWN, NAME, revision=2) == 3
