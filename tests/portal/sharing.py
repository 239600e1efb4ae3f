"""Shared data in the sample city: a dataset of the smart-city office, who asked for it, a bad batch."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from approval.service import load_items
from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.masking import Mask
from exchange.queries import get_dataset_by_code
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from exchange.service.publish import publish_batch
from exchange.service.pull import pull
from exchange.service.subscriptions import case_revision, decide_subscription, request_subscription
from exchange.service.versions import add_version
from exchange.version_queries import get_items
from identity.queries import get_bureau, list_systems
from identity.service.people import find_person_by_login
from identity.service.systems import register_system
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation

CODE = "1306-zhb/0001"
PLANTED = "130602199003070079"
"""A resident identity number whose check digit is wrong, so that its record goes to quarantine."""
DELIVERED = "130602199003070078"
ITEMS = (
    Item("id", "resident_id", sensitivity="sensitive", mask=Mask("digest"), label="身份号码"),
    Item("name", "text", length=64, sensitivity="personal", mask=Mask("keep_ends", head=1), label="姓名"),
    Item("town", "division_code", sensitivity="public", label="所在乡镇"),
)


@dataclass(frozen=True)
class Shared:
    """Ids of what was made; `office` and `minzheng` are codes of systems."""

    dataset_id: int
    batch_id: int
    pending: int
    active: int
    own: int
    office: str
    minzheng: str


def share(here: Installation) -> Shared:
    """Catalogue, publish, ask twice from 市民政局 (one pending, one granted), once within the office."""
    at = here.clock.now()
    until_on = city_date(at) + timedelta(days=300)
    with transaction(here.engine) as session:
        load_items(session, at=at)
        office = get_bureau(session, code="1306-zhb")
        minzheng = get_bureau(session, code="1306-mzj")
        systems = list_systems(session, bureau_id=office.id)
        first = list_systems(session, bureau_id=minzheng.id)[0]
        second = register_system(
            session,
            bureau_id=minzheng.id,
            code="1306-mzj-jz",
            name="社会救助核对平台",
            mlps_grade=3,
            zone="extranet",
            at=at,
            actor="person:1",
        )
        theirs = (first, second)
        entry = Entry(
            code=CODE,
            name="常住人口基础信息",
            bureau_id=office.id,
            share_type="conditional",
            share_condition="用于民生服务的资格核对",
            legal_basis="《河北省政务数据共享应用管理办法》",
            update_mode="incremental",
            update_cycle="每日",
            items=ITEMS,
            key_items=("id",),
            summary="全市常住人口的基础信息。",
        )
        dataset = create_dataset(session, entry, actor="person:1", at=at)
        people = {login: find_person_by_login(session, login=login) for login in ("minzheng", "shuju")}
        asked = {}
        for name, login, system in (
            ("pending", "minzheng", theirs[0]),
            ("active", "minzheng", theirs[1]),
            ("own", "shuju", systems[0]),
        ):
            person = people[login]
            assert person
            asked[name] = request_subscription(
                session,
                dataset_id=dataset.id,
                system_id=system.id,
                person_id=person.id,
                items=["id", "name"],
                purpose="低保资格核对",
                basis="《社会救助暂行办法》",
                until_on=until_on,
                at=at,
            )
        steward = people["shuju"]
        assert steward
        decide_subscription(
            session,
            subscription_id=asked["active"].id,
            person_id=steward.id,
            decision="approve",
            revision_seen=case_revision(session, subscription=asked["active"]),
            at=at,
        )
        made = {name: one.id for name, one in asked.items()}
        ids = (dataset.id, systems[0].id, theirs[1].id)
        codes = (systems[0].code, theirs[0].code)
    batch_id = _publish_and_pull(here, ids, made["active"])
    return Shared(ids[0], batch_id, made["pending"], made["active"], made["own"], *codes)


def _publish_and_pull(here: Installation, ids: tuple[int, int, int], subscription_id: int) -> int:
    dataset_id, publisher_id, subscriber_id = ids
    broker = connect_broker(here.settings)
    try:
        receipt = publish_batch(
            here.engine,
            broker,
            dataset_id=dataset_id,
            publisher_id=publisher_id,
            key="第一批",
            changes=[
                Change({"id": DELIVERED, "name": "王小明", "town": "130602"}),
                Change({"id": PLANTED, "name": "李大壮", "town": "130602"}),
            ],
            at=here.clock.now(),
            now=here.clock.now,
        )
        pull(
            here.engine,
            broker,
            subscription_id=subscription_id,
            system_id=subscriber_id,
            actor="token:1",
            at=here.clock.now(),
        )
    finally:
        broker.close()
    return receipt.id


def fail_once(installation: Installation) -> None:
    """Let the log break off the next batch, which stays claimed."""
    broker: Any = connect_broker(installation.settings)
    broker.inject("append", "down")
    broker.close()


def change_items(installation: Installation) -> None:
    """A version without the item `town`."""
    with transaction(installation.engine) as session:
        dataset = get_dataset_by_code(session, code=CODE)
        items = get_items(session, dataset_id=dataset.id, version=dataset.version)
        add_version(
            session,
            dataset_id=dataset.id,
            revision=dataset.revision,
            items=[item for item in items if item.name != "town"],
            actor="person:1",
            at=installation.clock.now(),
            force="依法不再共享",
        )
