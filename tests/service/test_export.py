"""Files of what a subscription shows: the latest of each key, recorded, reconciled, broken off."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pyarrow import parquet
from sqlalchemy import Engine, select, update

from exchange import files
from exchange.batch import Change
from exchange.errors import ExportChanged, ExportTooLarge, ExportUnfit, NotEntitled
from exchange.files import FORMATS
from exchange.masking import Mask
from exchange.models import Delivery
from exchange.queries import list_deliveries
from exchange.schema import Item
from exchange.service import export as exporting
from exchange.service.entitlements import narrow_subscription, revoke_subscription
from exchange.service.export import Export, export
from exchange.service.reconcile import reconcile
from infra.clock import Clock
from infra.database import reading, transaction
from infra.journal import JournalEntry
from tests.service.desk import Desk, upserts
from tests.service.provider import open_provider

RESIDENT = "130602199003070078"
ITEMS = (
    Item("id", "resident_id", sensitivity="sensitive"),
    Item("name", "text", sensitivity="personal", mask=Mask("keep_ends", head=1)),
    Item("n", "integer"),
)


@pytest.fixture(params=["database", "sqlite_database", "kafka"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, at: datetime) -> Iterator[Desk]:
    kind = "kafka" if request.param == "kafka" else "embedded"
    engine: Engine = request.getfixturevalue("database" if kind == "kafka" else request.param)
    with open_provider(engine, tmp_path, at, kind=kind) as provider:
        yield Desk(provider)


class At(Clock):
    """The desk's time."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at


def made(desk: Desk, form: Any) -> Export:
    return export(
        desk.engine,
        desk.log,
        subscription_id=desk.subscription_id,
        system_id=desk.place.subscriber_id,
        actor="token:1",
        clock=At(desk.at),
        form=form,
    )


def rows_of(content: bytes, form: str, folder: Path) -> list[dict[str, Any]]:
    if form == "ndjson":
        return [json.loads(line) for line in content.splitlines()]
    if form == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    (folder / f"a.{form}").write_bytes(content)
    if form == "parquet":
        return list(parquet.read_table(folder / "a.parquet").to_pylist())
    names, *rows = load_workbook(folder / "a.xlsx").active.iter_rows(values_only=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("update_mode", ["incremental", "full"])
def test_the_latest_of_each_key_is_in_the_file(
    desk: Desk, form: str, update_mode: str, tmp_path: Path
) -> None:
    desk.catalogue(update_mode=update_mode, partitions=2)
    desk.subscribe("id", "name", filters=[{"item": "name", "operator": "ne", "values": ["hidden"]}])
    desk.publish(*upserts(*"abcd", name="old"))
    if update_mode == "incremental":
        desk.publish(*upserts("a", "b", "e", name="new"), Change({"id": "c"}, delete=True))
        desk.publish(*upserts("d", name="hidden"))
        expected = {"a": "new", "b": "new", "e": "new"}
    else:
        desk.publish(*upserts("a", "b", name="new"), *upserts("d", name="hidden"))
        expected = {"a": "new", "b": "new"}
    file = made(desk, form)
    found = rows_of(b"".join(file.pieces), form, tmp_path)
    assert {row["id"]: row["name"] for row in found} == expected
    assert file.count == len(found) == len(expected)
    with reading(desk.engine) as session:
        [delivery] = list_deliveries(session, subscription_id=desk.subscription_id)
    assert (delivery.way, delivery.id, delivery.count) == ("file", file.delivery_id, file.count)
    assert delivery.digest == file.digest
    assert held(desk)
    with transaction(desk.engine) as session:
        session.execute(update(Delivery).values(count=Delivery.count + 1))
    assert not held(desk)


def held(desk: Desk) -> bool:
    start, end = desk.at - timedelta(1), desk.at + timedelta(1)
    return all(one.agrees for one in reconcile(desk.engine, desk.log, start=start, end=end))


def test_it_moves_no_place_is_masked_and_journalled(desk: Desk, tmp_path: Path) -> None:
    desk.catalogue(items=ITEMS)
    desk.subscribe("id", "name", "n")
    desk.publish(Change({"id": RESIDENT, "name": "张三丰", "n": 5}))
    content = b"".join(made(desk, "xlsx").pieces)
    assert rows_of(content, "xlsx", tmp_path) == [{"id": RESIDENT, "name": "张**", "n": 5}]
    assert len(desk.pull().records) == 1
    with reading(desk.engine) as session:
        acts = session.scalars(select(JournalEntry).where(JournalEntry.act == "dataset.delivered")).all()
    assert [entry.personal for entry in acts] == [True, True]
    assert RESIDENT not in str([entry.after for entry in acts])


def test_nothing_is_a_file_too(desk: Desk) -> None:
    desk.catalogue()
    desk.subscribe("id")
    file = made(desk, "csv")
    assert (b"".join(file.pieces), file.count) == ("\ufeffid\r\n".encode(), 0)
    desk.catalogue(update_mode="full")
    desk.subscribe("id")
    assert b"".join(made(desk, "ndjson").pieces) == b""
    assert held(desk)


def act(desk: Desk, what: Any, **how: Any) -> None:
    with transaction(desk.engine) as session:
        seen = {"subscription_id": desk.subscription_id, "revision_seen": 2}
        what(session, **seen, actor="person:1", at=desk.at, **how)


@pytest.mark.parametrize("form", ["csv", "ndjson", "xlsx"])
def test_it_breaks_off_once_it_is_revoked_or_shows_otherwise(
    desk: Desk, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LOOKS_EVERY_S", 0)
    monkeypatch.setattr(exporting, "PIECE_BYTES", 1_000)
    monkeypatch.setattr(files, "PIECE_BYTES", 1_000)
    desk.catalogue()
    desk.subscribe("id", "name")
    desk.publish(*upserts(*map(str, range(2_000))))
    changed, revoked = made(desk, form), made(desk, form)
    next(changed.pieces)
    act(desk, narrow_subscription, filters=[{"item": "id", "operator": "eq", "values": ["1"]}])
    with pytest.raises(ExportChanged):
        b"".join(changed.pieces)
    with transaction(desk.engine) as session:
        own = {"subscription_id": desk.subscription_id, "revision_seen": 3}
        revoke_subscription(session, **own, actor="person:1", reason="用途不符", at=desk.at)
    with pytest.raises(NotEntitled):
        b"".join(revoked.pieces)
    with pytest.raises(NotEntitled):
        made(desk, form)


def test_what_does_not_fit_is_refused_and_not_recorded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "XLSX_MOST_ROWS", 2)
    desk.catalogue(items=(Item("id", "text"), Item("note", "text")))
    desk.subscribe("id", "note")
    desk.publish(*(Change({"id": id, "note": id * 40_000}) for id in "abc"))
    with pytest.raises(ExportTooLarge):
        made(desk, "xlsx")
    monkeypatch.setattr(exporting, "XLSX_MOST_ROWS", 3)
    with pytest.raises(ExportUnfit) as refused:
        made(desk, "xlsx")
    assert refused.value.facts["item"] == "note"
    with reading(desk.engine) as session:
        assert list_deliveries(session, subscription_id=desk.subscription_id) == []
