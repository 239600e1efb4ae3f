"""ID numbers that are planted in records reach a subscriber of masked items on no way at all.

A further way of delivery is one more line of `PATHS`. Pages are in tests/portal/test_pages_sharing.py.
"""

import io
import logging
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from pyarrow import parquet
from sqlalchemy import Engine, select

from approval.models import Notice
from exchange.batch import Change
from exchange.errors import ExportUnfit
from exchange.files import Format
from exchange.masking import Mask
from exchange.message_models import Message
from exchange.models import Delivery, Position, QuarantinedRecord, Webhook
from exchange.schema import Item
from exchange.service.export import export
from exchange.service.messages import seal_messages
from exchange.service.proofs import Wanted, write_proof
from exchange.service.reconcile import reconcile
from exchange.service.relaying import Relayer
from exchange.service.relays import open_topic
from infra.database import reading, transaction
from infra.journal import JournalEntry
from metrics.exporter import registry_of
from tests.brokers import everything
from tests.receiver import Got, Receiver, plainly, receiving
from tests.service.provider import open_provider
from tests.service.test_webhooks import Clock, Hook

NUMBER = "11010519491231002X"
PLANTED = (NUMBER, NUMBER.lower(), "".join(chr(ord(c) + 0xFEE0) for c in NUMBER))
"""With upper and lower case x, and in full width."""
TEXT = "居民（𠮷）证号：{}，已核"
ITEMS = (
    Item("id", "text", sensitivity="sensitive", mask=Mask("digest")),
    Item("ends", "text", sensitivity="personal", mask=Mask("keep_ends", head=3, tail=2)),
    Item("note", "text", sensitivity="personal", mask=Mask("generalise", head=2)),
    Item("left_out", "text", sensitivity="personal", mask=Mask("drop")),
    Item("withheld", "text", sensitivity="personal"),
    Item("public", "text"),
)
RELEASED = ("id", "ends", "note", "left_out", "public")


@dataclass
class Scene:
    """What the subscriber, and whoever watches, gets to see."""

    hook: Hook
    receiver: Receiver
    log: pytest.LogCaptureFixture


def planted_in(shown: str) -> bool:
    """Whether one of the numbers is in it, however it is written."""
    plain = unicodedata.normalize("NFKC", shown).upper()
    for gap in " \n\t-":
        plain = plain.replace(gap, "")
    return NUMBER in plain or NUMBER[:-1] in plain


def records() -> list[Change]:
    """Good ones and bad ones, and a delete."""
    good = [
        Change(
            {
                "id": number,
                "ends": number,
                "note": TEXT.format(number),
                "left_out": number,
                "withheld": number,
                "public": "公开",
            }
        )
        for number in PLANTED
    ]
    in_lists = [Change({"id": f"list-{n}", "note": [[number]]}) for n, number in enumerate(PLANTED)]
    in_names = [Change({"id": f"name-{n}", number: "1"}) for n, number in enumerate(PLANTED)]
    return [*good, *in_lists, *in_names, Change({"id": PLANTED[1]}, delete=True)]


def rows_of(table: Any) -> Callable[[Scene], str]:
    """All that lies in a table."""

    def read(scene: Scene) -> str:
        with reading(scene.hook.engine) as session:
            return str([tuple(row) for row in session.execute(select(*table.__table__.columns))])

    return read


def pulled(scene: Scene) -> str:
    return str([scene.hook.pull(), scene.hook.pull_all()])


def posted(scene: Scene) -> str:
    assert scene.receiver.got
    return str([(got.path, got.headers, got.body.decode()) for got in scene.receiver.got])


def relayed(scene: Scene) -> str:
    """All that lies in the subscription's own topic, and its name."""
    hook = scene.hook
    with transaction(hook.engine) as session:
        told: dict[str, Any] = {
            "subscription_id": hook.subscription_id,
            "prefix": "siji",
            "actor": "p",
            "at": hook.at,
        }
        topic = open_topic(session, **told).name
    Relayer(hook.engine, hook.log, lambda: hook.clock.at).relay(hook.subscription_id)
    found = [everything(hook.log, topic, partition) for partition in range(hook.log.partitions(topic) or 0)]
    assert sum(map(len, found)) == len(hook.pull_all())
    return str(
        [
            topic,
            [(one.key.decode(), (one.value or b"").decode(), one.headers) for part in found for one in part],
        ]
    )


def measured(scene: Scene) -> str:
    return generate_latest(registry_of(scene.hook.engine)).decode()


def filed(form: Format) -> Callable[[Scene], str]:
    def read(scene: Scene) -> str:
        content = exported(scene, form)
        if form == "parquet":
            return str(parquet.read_table(io.BytesIO(content)).to_pylist())
        if form == "xlsx":
            with zipfile.ZipFile(io.BytesIO(content)) as parts:
                return "".join(parts.read(name).decode() for name in parts.namelist())
        return content.decode()

    return read


def exported(scene: Scene, form: Format) -> bytes:
    made = export(
        scene.hook.engine,
        scene.hook.log,
        subscription_id=scene.hook.subscription_id,
        system_id=scene.hook.place.subscriber_id,
        actor="token:1",
        clock=scene.hook.clock,  # type: ignore[arg-type]
        form=form,
    )
    assert made.count == 2
    return b"".join(made.pieces)


def reasons(scene: Scene) -> str:
    """What is said of the bad records; they themselves are for those alone who may look at them."""
    with reading(scene.hook.engine) as session:
        found = session.execute(select(QuarantinedRecord.reasons, QuarantinedRecord.place)).all()
    assert len(found) == 2 * len(PLANTED)
    return str(found)


def refused(scene: Scene) -> str:
    """An error that a value gave rise to."""
    scene.hook.publish(Change({"id": "long", "public": "x" * 40_000, "ends": NUMBER}))
    with pytest.raises(ExportUnfit) as caught:
        filed("xlsx")(scene)
    return f"{caught.value} {caught.value.zh} {caught.value.en} {caught.value.__dict__}"


def reconciled(scene: Scene) -> str:
    return str(list(reconcile(scene.hook.engine, scene.hook.log, **period(scene))))


def proved(scene: Scene) -> str:
    pulled(scene)
    seal_messages(scene.hook.engine, at=scene.hook.clock.at)
    wanted = Wanted(scene.hook.dataset_id, scene.hook.subscription_id, **period(scene))
    lines = b"".join(write_proof(scene.hook.engine, wanted, named={}))
    assert b'"message"' in lines
    return lines.decode()


def chained(scene: Scene) -> str:
    pulled(scene)
    seal_messages(scene.hook.engine, at=scene.hook.clock.at)
    return rows_of(Message)(scene)


def period(scene: Scene) -> dict[str, Any]:
    return {"start": scene.hook.at - timedelta(days=1), "end": scene.hook.clock.at + timedelta(days=1)}


PATHS: dict[str, Callable[[Scene], str]] = {
    "pull": pulled,
    "webhook: path, headers, body": posted,
    "webhook: what stopped": rows_of(Webhook),
    "topic: keys, values, headers": relayed,
    "file: CSV": filed("csv"),
    "file: NDJSON": filed("ndjson"),
    "file: XLSX": filed("xlsx"),
    "file: Parquet": filed("parquet"),
    "quarantine: reasons": reasons,
    "errors": refused,
    "notices": rows_of(Notice),
    "journal": rows_of(JournalEntry),
    "deliveries": rows_of(Delivery),
    "positions": rows_of(Position),
    "reconcile": reconciled,
    "message log": chained,
    "proof": proved,
    "metrics": measured,
}


@pytest.fixture
def scene(
    database: Engine, tmp_path: Path, at: datetime, caplog: pytest.LogCaptureFixture
) -> Iterator[Scene]:
    """Published, pulled, and posted to a receiver that sends a number back and takes nothing."""
    caplog.set_level(logging.DEBUG)

    def echo(handler: Any, _: Got) -> None:
        plainly(handler, 500, X_Echo=NUMBER)

    with open_provider(database, tmp_path, at) as provider, receiving() as receiver:
        hook = Hook(provider)
        hook.clock = Clock(at)
        hook.catalogue(items=ITEMS)
        hook.subscribe(*RELEASED)
        hook.publish(*records())
        receiver.answer = echo
        hook.hook(receiver.url)
        for _ in range(3):
            hook.send()
            hook.clock.advance(1_000)
        assert hook.row.state == "dead"
        yield Scene(hook, receiver, caplog)


@pytest.mark.parametrize("path", PATHS)
def test_no_planted_number_is_shown(scene: Scene, path: str) -> None:
    shown = PATHS[path](scene)
    assert shown
    assert not planted_in(shown)
    assert not planted_in(scene.log.text)


def test_the_search_finds_each_of_them(scene: Scene) -> None:
    raw = scene.hook.provider.stored(scene.hook.dataset_id)
    assert all(planted_in(str(value)) for _, _, value in raw if value is not None)
    assert all(planted_in(TEXT.format(number)) for number in (*PLANTED, "110105 19491231 002x"))
