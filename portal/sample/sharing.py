"""Shared data of the sample city, all of it real: the divisions, which another bureau pulls, and its systems.

The divisions are shared with everybody; who asks for the list of systems waits for its provider's decision.
A third dataset is empty: the reader's to publish to.
Every step may be repeated: what was catalogued, published, asked for or pulled once is left as people made it
meanwhile.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from exchange.batch import Change
from exchange.broker.driver import Broker
from exchange.digest import canonical, chain_by_partition, combine, sm3
from exchange.models import Dataset, Delivery, Subscription
from exchange.queries import find_batch, find_dataset, list_subscriptions
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from exchange.service.positions import acknowledge
from exchange.service.publish import publish_batch
from exchange.service.pull import MAX_PAGE, pull
from exchange.service.receipts import Receipt, receipt_of
from exchange.service.shown import DeliveredRecord
from exchange.service.subscriptions import request_subscription
from identity.data import DIVISIONS
from identity.phase1 import read_phase1
from identity.queries import get_system
from identity.service.people import find_person_by_login
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.city import ACTOR, bureau_of, system_codes

PROVIDER, SUBSCRIBER, OFFICE = "1306-mzj", "1306-rsj", "1306-zhb"
DIVISIONS_CODE, SYSTEMS_CODE = f"{PROVIDER}/000001", f"{OFFICE}/000001"
CHANGES_CODE = f"{PROVIDER}/000002"
FOR_DAYS = timedelta(days=365)
BASIS = "《河北省政务数据共享应用管理办法》"
Record = dict[str, Any]

_ENTRIES: dict[str, dict[str, Any]] = {
    DIVISIONS_CODE: {
        "name": "行政区划代码",
        "summary": "保定市四级行政区划的代码、名称、级别和上级代码。",
        "share_type": "unconditional",
        "legal_basis": BASIS,
        "update_mode": "full",
        "update_cycle": "每年",
        "items": (
            Item("code", "division_code", sensitivity="public", required=True, label="代码"),
            Item("name", "text", length=255, sensitivity="public", required=True, label="名称"),
            Item("level", "text", length=16, sensitivity="public", required=True, label="级别"),
            Item("parent_code", "division_code", sensitivity="public", label="上级代码"),
        ),
        "key_items": ("code",),
    },
    SYSTEMS_CODE: {
        "name": "政务信息系统名录",
        "summary": "一期政务云承载的信息系统、所属部门和网络安全等级（拆分为示意）。",
        "share_type": "conditional",
        "share_condition": "限用于政务信息系统的统筹管理",
        "legal_basis": BASIS,
        "update_mode": "full",
        "update_cycle": "每季度",
        "items": (
            Item("code", "text", length=64, required=True, label="系统代码"),
            Item("name", "text", length=255, required=True, label="系统名称"),
            Item("bureau_code", "text", length=32, required=True, label="部门代码"),
            Item("bureau_name", "text", length=255, required=True, label="部门名称"),
            Item("mlps_grade", "integer", required=True, label="网络安全等级"),
        ),
        "key_items": ("code",),
    },
    CHANGES_CODE: {
        "name": "行政区划变更",
        "summary": "保定市行政区划的设立、更名和撤销，逐条发布。",
        "share_type": "unconditional",
        "legal_basis": BASIS,
        "update_mode": "incremental",
        "update_cycle": "实时",
        "items": (
            Item("code", "division_code", sensitivity="public", required=True, label="代码"),
            Item("name", "text", length=255, sensitivity="public", required=True, label="名称"),
        ),
        "key_items": ("code",),
    },
}


@dataclass(frozen=True)
class Shared:
    """What one bureau published and another received; both digests are SM3 over the records."""

    published: int
    delivered: int
    published_digest: str
    delivered_digest: str


def share_divisions(here: Installation, broker: Broker) -> Shared:
    """市民政局 publishes the divisions; 市人社局 subscribes and pulls all of them, once a generation."""
    receipt = _publish(here, broker, DIVISIONS_CODE, _divisions())
    subscription = _subscribe(
        here, DIVISIONS_CODE, bureau=SUBSCRIBER, login="renshe", purpose="社会保险经办网点按行政区划统计"
    )
    with reading(here.engine) as session:
        past = select(Delivery.count, Delivery.digest).where(
            Delivery.subscription_id == subscription.id, Delivery.generation == receipt.id
        )
        received = [(count, digest) for count, digest in session.execute(past)]
    whole = (receipt.upserts, receipt.digest)
    if whole not in received and subscription.state == "active":
        received.append(_pull_all(here, broker, subscription))
    delivered = whole if whole in received else received[-1] if received else (0, "")
    return Shared(receipt.upserts, delivered[0], receipt.digest, delivered[1])


def share_systems(here: Installation, broker: Broker) -> None:
    """The office shares the list of systems on condition; 市民政局 has asked and waits for its answer."""
    _publish(here, broker, SYSTEMS_CODE, _systems())
    _subscribe(here, SYSTEMS_CODE, bureau=PROVIDER, login="minzheng", purpose="核对本局信息系统的定级备案")


def catalogue_changes(here: Installation) -> None:
    """市民政局 catalogues the changes of divisions, of which the reader publishes the first."""
    with transaction(here.engine) as session:
        _catalogue(session, here, CHANGES_CODE)


def _catalogue(session: Session, here: Installation, code: str) -> Dataset:
    known = find_dataset(session, code=code)
    if known is not None:
        return known
    provider = bureau_of(session, code.partition("/")[0])
    entry = Entry(code=code, bureau_id=provider.id, **_ENTRIES[code])
    return create_dataset(session, entry, actor=ACTOR, at=here.clock.now())


def _publish(here: Installation, broker: Broker, code: str, records: Sequence[Record]) -> Receipt:
    at, key = here.clock.now(), sm3(canonical(list(records))).hex()
    with transaction(here.engine) as session:
        dataset = _catalogue(session, here, code)
        publisher = get_system(session, code=f"{code.partition('/')[0]}-s1")
        past = find_batch(session, dataset_id=dataset.id, publisher_id=publisher.id, key=key)
        if past is not None and past.state == "settled":
            return receipt_of(past)
    return publish_batch(
        here.engine,
        broker,
        dataset_id=dataset.id,
        publisher_id=publisher.id,
        key=key,
        changes=[Change(record) for record in records],
        at=at,
        now=here.clock.now,
    )


def _subscribe(here: Installation, code: str, *, bureau: str, login: str, purpose: str) -> Subscription:
    """The subscription of the bureau's first system to all items, asked for if it never was."""
    at = here.clock.now()
    with transaction(here.engine) as session:
        dataset = find_dataset(session, code=code)
        person = find_person_by_login(session, login=login)
        if dataset is None or person is None:
            raise RuntimeError(f"the sample city has no dataset {code} or no person {login}")
        system = get_system(session, code=f"{bureau}-s1")
        known = list_subscriptions(session, dataset_id=dataset.id, system_id=system.id)
        if known:
            return known[-1]
        return request_subscription(
            session,
            dataset_id=dataset.id,
            system_id=system.id,
            person_id=person.id,
            items=[item.name for item in _ENTRIES[code]["items"]],
            purpose=purpose,
            basis=BASIS,
            until_on=city_date(at + FOR_DAYS),
            at=at,
        )


def _pull_all(here: Installation, broker: Broker, subscription: Subscription) -> tuple[int, str]:
    """How many records came, now acknowledged, and the digest over them, as the subscriber computes it."""
    received: list[DeliveredRecord] = []
    cursor = None
    while True:
        page = pull(
            here.engine,
            broker,
            subscription_id=subscription.id,
            system_id=subscription.system_id,
            actor=ACTOR,
            at=here.clock.now(),
            cursor=cursor,
            limit=MAX_PAGE,
        )
        received += page.records
        cursor = page.cursor
        if page.complete:
            break
    with transaction(here.engine) as session:
        acknowledge(
            session,
            subscription_id=subscription.id,
            system_id=subscription.system_id,
            cursor=cursor,
            at=here.clock.now(),
        )
    by_partition = chain_by_partition((one.partition, sm3(canonical(one.value))) for one in received)
    return len(received), combine(by_partition)


def _divisions() -> list[Record]:
    """The rows of the city's own file, with the names that the catalogue gives their items."""
    with DIVISIONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: row[name] for name in ("code", "name", "level")}
        | ({"parent_code": row["parent_code"]} if row["parent_code"] else {})
        for row in rows
    ]


def _systems() -> list[Record]:
    return [
        {
            "code": code,
            "name": group.system,
            "bureau_code": group.bureau_code,
            "bureau_name": group.bureau_name,
            "mlps_grade": group.mlps_grade,
        }
        for code, group in system_codes(read_phase1()).items()
    ]
