"""Catalogue entries: what is refused, edits and new items."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select

from exchange.errors import (
    CatalogueInvalid,
    DatasetExists,
    Incompatible,
)
from exchange.masking import Mask
from exchange.schema import Item
from exchange.service.catalogue import edit_dataset
from exchange.service.versions import add_version
from exchange.version_queries import get_items
from infra.database import reading, transaction
from infra.errors import Stale
from infra.journal import JournalEntry
from tests.factories import Exchange, make_dataset, make_entry, make_exchange


@pytest.fixture
def place(database: Engine, at: datetime) -> Exchange:
    with transaction(database) as session:
        return make_exchange(session, at=at)


def catalogue(engine: Engine, place: Exchange, *, at: datetime, **changes: Any) -> int:
    with transaction(engine) as session:
        return make_dataset(session, place, at=at, **changes).id


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": "a b"},
        {"name": " "},
        {"share_type": "some"},
        {"share_type": "conditional"},
        {"share_type": "none"},
        {"update_mode": "sometimes"},
        {"partitions": 0},
        {"items": ()},
        {"key_items": ("other",)},
        {"items": (Item("id", "text", mask=Mask("generalise")),)},
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(
    database: Engine, place: Exchange, at: datetime, wrong: dict[str, Any]
) -> None:
    with pytest.raises(CatalogueInvalid) as refusal:
        catalogue(database, place, at=at, **wrong)
    assert refusal.value.message("zh") != refusal.value.message("en")


def test_entries_are_edited_and_get_new_items(database: Engine, place: Exchange, at: datetime) -> None:
    dataset_id = catalogue(database, place, at=at, code="one")
    act: dict[str, Any] = {"dataset_id": dataset_id, "actor": "person:1", "at": at}
    with pytest.raises(DatasetExists):
        catalogue(database, place, at=at, code="one")
    with transaction(database) as session:
        edited = edit_dataset(session, revision=1, changes={"name": "新名", "legal_basis": "依据"}, **act)
        assert (edited.name, edited.revision, edited.version) == ("新名", 2, 1)
        with pytest.raises(Stale):
            edit_dataset(session, revision=1, changes={"name": "旧"}, **act)
    with pytest.raises(CatalogueInvalid), transaction(database) as session:
        edit_dataset(session, revision=2, changes={"partitions": 2}, **act)
    with pytest.raises(CatalogueInvalid), transaction(database) as session:
        edit_dataset(session, revision=2, changes={"share_type": "conditional"}, **act)
    with pytest.raises(Incompatible) as refusal, transaction(database) as session:
        add_version(
            session, revision=2, items=(Item("id", "text"), Item("must", "text", required=True)), **act
        )
    assert "must" in refusal.value.message("en")
    assert "name" in refusal.value.message("zh")
    with transaction(database) as session:
        items = (*make_entry(place).items, Item("new", "date"))
        assert add_version(session, revision=2, items=items, **act).version == 2
    with reading(database) as session:
        acts = session.scalars(
            select(JournalEntry.act)
            .where(JournalEntry.subject == f"dataset:{dataset_id}")
            .order_by(JournalEntry.id)
        )
        assert list(acts) == ["dataset.created", "dataset.edited", "dataset.version_added"]
        assert [item.name for item in get_items(session, dataset_id=dataset_id, version=2)][-1] == "new"
