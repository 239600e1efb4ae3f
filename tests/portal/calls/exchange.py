"""Calls of the routes on the catalogue, batches, subscriptions and records."""

from datetime import timedelta
from typing import Any

from approval.service import load_items
from exchange.batch import Change
from exchange.broker.connect import connect_broker
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from exchange.service.publish import publish_batch
from exchange.service.recalls import Scope, recall
from exchange.service.subscriptions import request_subscription
from exchange.version_queries import list_versions
from identity.queries import get_bureau, get_system
from identity.service.people import find_person_by_login
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.walk import Call, Named

PROVIDER, SUBSCRIBER = "1306-zhb", "1306-mzj"
CODE = "walked/000001"
ITEM = {"name": "id", "type": "text"}
ENTRY = {
    "code": "walked/new",
    "provider": PROVIDER,
    "name": "新目录",
    "share_type": "unconditional",
    "update_mode": "incremental",
    "items": [ITEM],
    "key_items": ["id"],
}
WISH = {
    "dataset": CODE,
    "system": f"{SUBSCRIBER}-s1",
    "items": ["id"],
    "purpose": "核验",
    "until_on": "{exchange_until}",
}

NARROWER = {"item": "id", "operator": "starts_with", "values": ["1306"]}


def provider(route: str, **how: Any) -> Call:
    """A call at the provider's."""
    return Call(route, bureau=PROVIDER, names={"code": CODE}, **how)


def subscription(route: str, bureau: str | tuple[str, ...] = PROVIDER, **how: Any) -> Call:
    """A call on the prepared subscription."""
    names = {"number": "{exchange_subscription}"}
    return Call(
        f"{route.partition(' ')[0]} /api/v1/subscriptions/{{number}}{route.partition(' ')[2]}",
        bureau=bureau,
        names=names,
        **how,
    )


def registry(route: str, *, json: Any = None, **names: str) -> Call:
    """A call of the registry of schemas, which is the same for the whole city."""
    method, _, path = route.partition(" ")
    return Call(f"{method} /api/v1/registry{path}", names=names, json=json)


def batch(route: str, **how: Any) -> Call:
    """A call on the prepared receipt."""
    return Call(route, bureau=PROVIDER, names={"receipt_id": "{exchange_receipt}"}, **how)


SEEN = {"if-match": '"r1"'}
CALLS = [
    Call("GET /api/v1/datasets"),
    Call("POST /api/v1/datasets", bureau=PROVIDER, json=ENTRY),
    provider("GET /api/v1/datasets/{code:path}"),
    provider("PATCH /api/v1/datasets/{code:path}", json={"summary": "改"}, headers=SEEN),
    provider("GET /api/v1/datasets/{code:path}/versions"),
    provider("POST /api/v1/datasets/{code:path}/versions", json={"items": [ITEM]}, headers=SEEN),
    provider("POST /api/v1/datasets/{code:path}/versions/withdrawal", headers=SEEN),
    registry("GET /schemas/types"),
    registry("GET /schemas/ids/{schema_id}", schema_id="{exchange_schema}"),
    registry("GET /schemas/ids/{schema_id}/versions", schema_id="{exchange_schema}"),
    registry("GET /subjects"),
    registry("GET /subjects/{subject:path}/versions", subject=CODE),
    registry("POST /subjects/{subject:path}/versions", json={"schema": "true"}, subject=CODE),
    registry("GET /subjects/{subject:path}/versions/{version}", subject=CODE, version="latest"),
    registry("POST /subjects/{subject:path}", json={"schema": "true"}, subject=CODE),
    registry("GET /config"),
    registry("GET /config/{subject:path}", subject=CODE),
    registry("GET /mode"),
    provider("GET /api/v1/datasets/{code:path}/batches"),
    provider(
        "POST /api/v1/datasets/{code:path}/batches",
        query={"system": f"{PROVIDER}-s2"},
        json=[{"value": {"id": "1"}}],
        headers={"idempotency-key": "walk"},
    ),
    provider(
        "POST /api/v1/datasets/{code:path}/recalls",
        query={"system": f"{PROVIDER}-s2"},
        json={"keys": [{"id": "1"}], "reason": "走查"},
        headers={"idempotency-key": "walk"},
    ),
    provider("GET /api/v1/datasets/{code:path}/recalls"),
    Call("GET /api/v1/recalls/{recall_id}", bureau=PROVIDER, names={"recall_id": "{exchange_recall}"}),
    Call(
        "POST /api/v1/subscriptions/{number}/recalls/{recall_id}",
        bureau=SUBSCRIBER,
        names={"number": "{exchange_subscription}", "recall_id": "{exchange_recall}"},
        json={"answer": "deleted"},
    ),
    batch("GET /api/v1/batches/{receipt_id}"),
    batch("GET /api/v1/batches/{receipt_id}/proof"),
    batch("GET /api/v1/batches/{receipt_id}/quarantine"),
    batch("GET /api/v1/batches/{receipt_id}/quarantine/raw"),
    batch("GET /api/v1/batches/{receipt_id}/quarantine/file"),
    batch(
        "POST /api/v1/batches/{receipt_id}/quarantine/corrections", json=[{"place": 2, "value": {"id": "2"}}]
    ),
    batch("POST /api/v1/batches/{receipt_id}/quarantine/discarding", json={"places": [2], "reason": "测试"}),
    Call("GET /api/v1/subscriptions"),
    Call("POST /api/v1/subscriptions", bureau=SUBSCRIBER, json=WISH),
    subscription("GET ", (SUBSCRIBER, PROVIDER)),
    subscription("GET /deliveries", (SUBSCRIBER, PROVIDER)),
    subscription("GET /records", SUBSCRIBER),
    subscription("GET /export", SUBSCRIBER),
    subscription("GET /proof", (SUBSCRIBER, PROVIDER), query={"from": "2026-03-02", "to": "2026-03-02"}),
    subscription("POST /acknowledgement", SUBSCRIBER, json={"cursor": "none"}),
    subscription("POST /rewind", SUBSCRIBER, json={}),
    subscription("GET /recalls", (SUBSCRIBER, PROVIDER)),
    subscription("PUT /webhook", SUBSCRIBER, json={"url": "https://a.example/in"}),
    subscription("GET /webhook", (SUBSCRIBER, PROVIDER)),
    subscription("POST /webhook/secret", SUBSCRIBER, json={}),
    subscription("POST /webhook/redrive", SUBSCRIBER),
    subscription("POST /webhook/skip", SUBSCRIBER, json={"reason": "补录"}),
    subscription("DELETE /webhook", SUBSCRIBER),
    subscription("PUT /topic", SUBSCRIBER),
    subscription("GET /topic", (SUBSCRIBER, PROVIDER)),
    subscription("POST /topic/credential", SUBSCRIBER),
    subscription("DELETE /topic", SUBSCRIBER),
    subscription("PATCH ", SUBSCRIBER, json={"purpose": "改"}, headers=SEEN),
    subscription("POST /withdrawal", SUBSCRIBER, json={}),
    subscription("POST /decision", json={"decision": "approve"}, headers=SEEN),
    subscription("POST /pause", json={"reason": "暂停"}, headers=SEEN),
    subscription("POST /resumption", headers=SEEN),
    subscription("POST /release", json={"items": ["id"]}, headers=SEEN),
    subscription("POST /prolongation", json={"until_on": "2039-01-01"}, headers=SEEN),
    subscription("POST /narrowing", json={"filters": [NARROWER]}, headers=SEEN),
    subscription("POST /revocation", json={"reason": "终止"}, headers=SEEN),
]


def prepare(installation: Installation) -> Named:
    """A dataset with a batch of one good and one bad record, and a subscription of the neighbour's system."""
    at = installation.clock.now()
    until_on = city_date(at) + timedelta(days=30)
    with transaction(installation.engine) as session:
        load_items(session, at=at)
        entry = Entry(
            code=CODE,
            name="走查",
            bureau_id=get_bureau(session, code=PROVIDER).id,
            share_type="conditional",
            share_condition="核验",
            update_mode="incremental",
            items=[Item("id", "text")],
            key_items=["id"],
        )
        dataset_id = create_dataset(session, entry, actor="person:1", at=at).id
        [version] = list_versions(session, dataset_id=dataset_id)
        schema_id = version.id
        publisher_id = get_system(session, code=f"{PROVIDER}-s2").id
        applicant = find_person_by_login(session, login="minzheng")
        assert applicant is not None
        subscription_id = request_subscription(
            session,
            dataset_id=dataset_id,
            system_id=get_system(session, code="1306-mzj-s1").id,
            person_id=applicant.id,
            items=["id"],
            purpose="核验",
            basis="依据",
            until_on=until_on,
            at=at,
        ).id
    broker = connect_broker(installation.settings)
    receipt = publish_batch(
        installation.engine,
        broker,
        dataset_id=dataset_id,
        publisher_id=publisher_id,
        key="prepared",
        changes=[Change({"id": "1"}), Change({"id": 2})],
        at=at,
        now=installation.clock.now,
    )
    taken_back = recall(
        installation.engine,
        broker,
        dataset_id=dataset_id,
        publisher_id=publisher_id,
        key="prepared",
        scope=Scope(receipt.id),
        reason="走查",
        actor="person:1",
        at=at,
        now=installation.clock.now,
    )
    broker.close()
    return {
        "exchange_recall": taken_back.id,
        "exchange_subscription": subscription_id,
        "exchange_receipt": receipt.id,
        "exchange_schema": schema_id,
        "exchange_until": until_on.isoformat(),
    }
