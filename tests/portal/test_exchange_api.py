"""Shared data over HTTP: catalogued, published in batches, subscribed to, pulled by the subscriber."""

import json
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from approval.service import load_items
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from portal.api import batches
from tests.portal.conftest import Api, portal_over

API = "/api/v1"
CODE, PUBLISHER, SUBSCRIBER = "307003003/000009", "1306-zhb-s1", "1306-mzj-s1"
DATASET, BATCHES = f"{API}/datasets/{CODE}", f"{API}/datasets/{CODE}/batches"
ENTRY: dict[str, Any] = {
    "code": CODE,
    "provider": "1306-zhb",
    "name": "<b>常住人口</b>𠮷",
    "share_type": "unconditional",
    "update_mode": "incremental",
    "items": [
        {"name": "id", "type": "text", "length": 18, "label": "编号"},
        {
            "name": "name",
            "type": "text",
            "length": 64,
            "sensitivity": "personal",
            "mask": {"kind": "keep_ends", "head": 1},
        },
        {"name": "town", "type": "text", "length": 64, "sensitivity": "public"},
    ],
    "key_items": ["id"],
}
PEOPLE = [
    {"id": "1", "name": "王小明", "town": "阜平镇"},
    {"id": "2", "name": "李大壮", "town": "平阳镇"},
    {"id": "3", "name": "𠮷野家", "town": "阜平镇"},
]
BAD = {"id": 4, "name": "赵六"}


@pytest.fixture
def steward(api: Api, installation: Installation) -> TestClient:
    """The data steward of the smart-city office, whose dataset it will be."""
    with transaction(installation.engine) as session:
        load_items(session, at=installation.clock.now())
    return api("shuju")


def catalogue(steward: TestClient, **changes: Any) -> None:
    made = steward.post(f"{API}/datasets", json={**ENTRY, **changes})
    assert made.status_code == 201, made.text


def publish(client: TestClient, records: list[Any], key: str, **how: Any) -> Response:
    body = [{"value": one} for one in records]
    return client.post(
        BATCHES, params={"system": PUBLISHER}, json=body, headers={"idempotency-key": key}, **how
    )


def ask(client: TestClient, here: Installation, **changes: Any) -> Response:
    until_on = (city_date(here.clock.now()) + timedelta(days=90)).isoformat()
    wish = {"dataset": CODE, "system": SUBSCRIBER, "items": ["id", "name"], "purpose": "资格核对"}
    return client.post(f"{API}/subscriptions", json={**wish, "until_on": until_on, **changes})


def program(admin: TestClient, here: Installation) -> TestClient:
    """The subscriber's program, by a token of its own."""
    wish = {
        "label": "取数",
        "scopes": ["datasets:pull"],
        "expires_on": (city_date(here.clock.now()) + timedelta(days=30)).isoformat(),
    }
    issued = admin.post(f"{API}/systems/{SUBSCRIBER}/tokens", json=wish)
    assert issued.status_code == 201, issued.text
    client = TestClient(portal_over(here))
    client.headers["authorization"] = f"Bearer {issued.json()['text']}"
    return client


def test_an_entry_is_catalogued_once_and_edited_as_it_was_seen(
    api: Api, steward: TestClient, installation: Installation
) -> None:
    key = {"idempotency-key": "entry-1"}
    first = steward.post(f"{API}/datasets", json=ENTRY, headers=key)
    again = steward.post(f"{API}/datasets", json=ENTRY, headers=key)
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    taken = steward.post(f"{API}/datasets", json=ENTRY)
    assert (taken.status_code, taken.json()["code"]) == (409, "dataset_exists")
    shown = api("minzheng").get(DATASET)
    assert (shown.status_code, shown.json()["name"]) == (200, ENTRY["name"])
    assert api("minzheng").post(f"{API}/datasets", json=ENTRY).json()["code"] == "forbidden"
    seen = {"if-match": shown.headers["etag"]}
    assert steward.patch(DATASET, json={"summary": "改"}).status_code == 428
    assert steward.patch(DATASET, json={"summary": "改"}, headers=seen).json()["summary"] == "改"
    assert steward.patch(DATASET, json={"summary": "再改"}, headers=seen).status_code == 412
    now = {"if-match": steward.get(DATASET).headers["etag"]}
    fewer = steward.post(f"{DATASET}/versions", json={"items": ENTRY["items"][:1]}, headers=now)
    assert (fewer.status_code, fewer.json()["code"]) == (409, "schema_incompatible")
    more = {"items": [*ENTRY["items"], {"name": "phone", "type": "text", "length": 20}]}
    assert steward.post(f"{DATASET}/versions", json=more, headers=now).json()["version"] == 2
    assert [one["version"] for one in steward.get(f"{DATASET}/versions").json()] == [1, 2]
    browser = api("fuping")
    assert "<b>常住" not in browser.get(f"/datasets/{CODE}").text
    assert "&lt;b&gt;常住人口&lt;/b&gt;𠮷" in browser.get(f"/datasets/{CODE}").text


def test_a_batch_is_stored_once_and_bad_records_are_set_apart(api: Api, steward: TestClient) -> None:
    catalogue(steward)
    first = publish(steward, [*PEOPLE, BAD], "2026-03-02/1")
    assert first.status_code == 201, first.text
    receipt = first.json()
    counts = (receipt["received"], receipt["upserts"], receipt["quarantined"], receipt["state"])
    assert counts == (4, 3, 1, "settled")
    again = publish(steward, [*PEOPLE, BAD], "2026-03-02/1")
    assert (again.status_code, again.json()) == (201, receipt)
    assert again.headers["idempotency-replayed"] == "true"
    other = publish(steward, PEOPLE, "2026-03-02/1")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    kept = f"{API}/batches/{receipt['id']}/quarantine"
    [bad] = steward.get(kept).json()["items"]
    assert (bad["place"], {one["item"] for one in bad["reasons"]}) == (4, {"id"})
    assert "赵六" not in steward.get(kept).text
    [raw] = steward.get(f"{kept}/raw").json()["items"]
    assert json.loads(raw["raw"]) == BAD
    for path in (kept, f"{kept}/raw", f"{API}/batches/{receipt['id']}", BATCHES):
        assert api("minzheng").get(path).status_code == 403, path
    assert [one["id"] for one in steward.get(BATCHES).json()["items"]] == [receipt["id"]]


def test_what_can_be_read_in_two_ways_or_not_at_all_is_refused(
    steward: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue(steward)
    monkeypatch.setattr(batches, "MAX_BATCH_RECORDS", 3)
    one = b'[{"value":{"id":"1","name":"\xcd\xf5"}}]'
    bodies: list[tuple[bytes, str, int, str]] = [
        (b'[{"value":{"id":"1","id":"2"}}]', "application/json", 422, "batch_unreadable"),
        (b'[{"value":{"id":"a\x00b"}}]', "application/json", 422, "nul_byte"),
        (b'[{"value":{"id":NaN}}]', "application/json", 422, "batch_unreadable"),
        (b"not JSON", "application/json", 422, "batch_unreadable"),
        (b"", "application/json", 422, "batch_unreadable"),
        (b'[{"value":{}},]', "application/json", 422, "batch_unreadable"),
        (b'[{"value":{}}] []', "application/json", 422, "batch_unreadable"),
        (b"[" * 100_000, "application/json", 422, "batch_unreadable"),
        (b'[{"value":{"id":' + b"9" * 5000 + b"}}]", "application/json", 422, "batch_unreadable"),
        (b'[{"op":"merge","value":{}}]', "application/json", 422, "batch_unreadable"),
        (b'{"value":{}}\n{"value":{}} 1', "application/x-ndjson", 422, "batch_unreadable"),
        (one, "application/json", 422, "undecodable"),
        (one, "application/json; charset=klingon", 422, "unknown_encoding"),
        (b"id\n1", "text/tab-separated-values", 422, "batch_form_unknown"),
        (
            b'[{"value":{}},{"value":{}},{"value":{}},{"value":{}}]',
            "application/json",
            413,
            "batch_too_large",
        ),
        (b" " * (64 * 1024 * 1024 + 1), "application/json", 413, "body_too_large"),
    ]
    for place, (body, kind, status, code) in enumerate(bodies):
        headers = {"content-type": kind, "idempotency-key": f"bad-{place}"}
        answer = steward.post(BATCHES, params={"system": PUBLISHER}, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (body[:40], answer.text)
    assert steward.post(BATCHES, params={"system": PUBLISHER}, json=[]).json()["code"] == "malformed"
    key = {"idempotency-key": "1"}
    assert steward.post(BATCHES, json=[], headers=key).json()["code"] == "system_needed"
    foreign = steward.post(BATCHES, params={"system": SUBSCRIBER}, json=[], headers=key)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "not_provider")
    assert steward.get(BATCHES).json()["items"] == []
    escaped = rb'[{"value":{"id":"\ud800"}},{"value":{"id":"a\u0000b"}}]'
    taken = steward.post(BATCHES, params={"system": PUBLISHER}, content=escaped, headers=key).json()
    assert (taken["upserts"], taken["quarantined"]) == (1, 1), taken


def test_gb18030_is_read_as_declared_and_pulled_by_cursor_under_masks(
    api: Api, steward: TestClient, installation: Installation
) -> None:
    catalogue(steward)
    lines = "\n".join(json.dumps({"value": one}, ensure_ascii=False) for one in PEOPLE)
    headers = {"content-type": "application/x-ndjson; charset=gb18030", "idempotency-key": "gb"}
    sent = steward.post(
        BATCHES, params={"system": PUBLISHER}, content=lines.encode("gb18030"), headers=headers
    )
    assert (sent.status_code, sent.json()["upserts"]) == (201, 3), sent.text
    admin = api("minzheng")
    granted = ask(admin, installation, items=["id", "name", "town"])
    assert (granted.status_code, granted.json()["state"]) == (201, "active"), granted.text
    again = ask(admin, installation)
    assert (again.status_code, again.json()["code"]) == (409, "subscription_exists")

    path, reader = f"{API}/subscriptions/{granted.json()['id']}", program(admin, installation)
    first = reader.get(f"{path}/records", params={"limit": 2}).json()
    rest = reader.get(f"{path}/records", params={"limit": 2, "cursor": first["cursor"]}).json()
    assert (len(first["records"]), first["complete"], len(rest["records"]), rest["complete"]) == (
        2,
        False,
        1,
        True,
    )
    values = [one["value"] for one in first["records"] + rest["records"]]
    assert [(one["id"], one["name"][0], one["town"]) for one in values] == [
        (one["id"], one["name"][0], one["town"]) for one in PEOPLE
    ]
    assert all(one["name"] not in str(values) for one in PEOPLE)
    none = reader.get(f"{path}/records", params={"cursor": rest["cursor"]}).json()
    assert (none["records"], none["complete"], none["delivery_id"]) == ([], True, None)
    narrow = reader.get(f"{path}/records", params={"items": ["town"]}).json()
    assert [one["value"] for one in narrow["records"]] == [{"town": one["town"]} for one in PEOPLE]
    beyond = reader.get(f"{path}/records", params={"items": ["town", "phone"]})
    assert (beyond.status_code, beyond.json()["code"]) == (422, "subscription_invalid")
    for cursor in ("x", rest["cursor"][:-2], "𠮷"):
        answer = reader.get(f"{path}/records", params={"cursor": cursor})
        assert answer.json().get("code") == "cursor_invalid", (cursor, answer.text)

    for side in (admin, steward):
        deliveries = side.get(f"{path}/deliveries").json()["items"]
        assert [one["count"] for one in deliveries] == [3, 1, 2]
    neighbour = api("fuping")
    assert neighbour.get(f"{API}/subscriptions").json()["items"] == []
    for place in (path, f"{path}/deliveries", f"{path}/records"):
        assert neighbour.get(place).json()["code"] == "forbidden", place
    assert api("kaifa").get(f"{path}/records").status_code == 200
    move_developer(api, "kaifa", "1306-rsj")
    assert api("kaifa").get(f"{path}/records").json()["code"] == "forbidden"


def test_conditional_sharing_is_the_providers_to_decide_and_to_end(
    api: Api, steward: TestClient, installation: Installation
) -> None:
    catalogue(steward, share_type="conditional", share_condition="资格核对")
    publish(steward, PEOPLE, "first")
    admin = api("minzheng")
    wrong: tuple[dict[str, Any], ...] = (
        {"items": []},
        {"items": ["id", "id"]},
        {"items": ["无"]},
        {"purpose": " "},
        {"basis": ""},
    )
    for change in wrong:
        refused = ask(admin, installation, **{"basis": "《社会救助暂行办法》", **change})
        assert (refused.status_code, refused.json()["code"]) == (422, "subscription_invalid"), change
    asked = ask(admin, installation, basis="《社会救助暂行办法》")
    assert (asked.status_code, asked.json()["state"]) == (201, "pending"), asked.text
    path, reader = f"{API}/subscriptions/{asked.json()['id']}", program(admin, installation)

    def act(client: TestClient, name: str, tag: str, **body: Any) -> Response:
        return client.post(f"{path}/{name}", json=body or None, headers={"if-match": tag})

    def pulled() -> Response:
        return reader.get(f"{path}/records")

    assert (pulled().status_code, pulled().json()["code"]) == (403, "not_entitled")
    seen = steward.get(path).headers["etag"]
    assert act(admin, "decision", seen, decision="approve").json()["code"] == "forbidden"
    edited = admin.patch(path, json={"items": ["id", "name", "town"]}, headers={"if-match": seen})
    assert edited.status_code == 200, edited.text
    assert act(steward, "decision", seen, decision="approve").status_code == 412
    now = edited.headers["etag"]
    silent = act(steward, "decision", now, decision="refuse")
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_needed")
    granted = act(steward, "decision", now, decision="approve", masks={"town": {"kind": "drop"}})
    assert (granted.status_code, granted.json()["state"]) == (200, "active"), granted.text
    first = pulled().json()["records"][0]["value"]
    assert (first["id"], "town" in first, "小明" in first["name"]) == ("1", False, False)

    paused = act(steward, "pause", granted.headers["etag"], reason="核查")
    assert (paused.json()["state"], pulled().status_code) == ("paused", 403)
    stale = act(steward, "resumption", granted.headers["etag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    resumed = act(steward, "resumption", paused.headers["etag"])
    assert (resumed.json()["state"], pulled().status_code) == ("active", 200)
    shown = act(steward, "release", resumed.headers["etag"], masks={"name": None})
    assert pulled().json()["records"][0]["value"]["name"] == "王小明"
    silent = act(steward, "revocation", shown.headers["etag"], reason=" ")
    assert (silent.status_code, silent.json()["code"]) == (422, "subscription_invalid")
    revoked = act(steward, "revocation", shown.headers["etag"], reason="用途已终止")
    assert (revoked.json()["state"], revoked.json()["reason"]) == ("revoked", "用途已终止")
    reader.headers["accept-language"] = "zh"
    assert "已被撤销" in pulled().json()["detail"]
    over = act(steward, "resumption", revoked.headers["etag"])
    assert (over.status_code, over.json()["code"]) == (409, "subscription_state")


def move_developer(api: Api, login: str, bureau: str) -> None:
    """Let somebody be a developer of that bureau, and of no other."""
    office, roles = api("anquan"), f"{API}/people/{login}/roles"
    [held] = office.get(roles).json()["items"]
    assert office.delete(f"{roles}/{held['id']}").status_code == 204
    assert office.post(roles, json={"role": "developer", "bureau": bureau}).status_code == 201


def test_what_a_version_left_out_stays_in_what_was_released(
    api: Api, steward: TestClient, installation: Installation
) -> None:
    catalogue(steward)
    admin = api("minzheng")
    number = ask(admin, installation).json()["id"]
    publish(steward, PEOPLE, "one")
    body = {"items": [item for item in ENTRY["items"] if item["name"] != "name"]}
    seen = {"if-match": '"r1"'}
    refused = steward.post(f"{DATASET}/versions", json=body, headers=seen)
    assert (refused.status_code, refused.json()["code"]) == (409, "schema_incompatible")
    assert refused.json()["facts"]["subscriptions"] == [number]
    forced = steward.post(f"{DATASET}/versions", json={**body, "force": "依法不再共享"}, headers=seen)
    assert forced.status_code == 201, forced.text
    shown = admin.get(f"{API}/subscriptions/{number}").json()
    assert [item["name"] for item in shown["items"]] == ["id", "name"]
    found = program(admin, installation).get(f"{API}/subscriptions/{number}/records").json()
    assert [one["value"].keys() for one in found["records"]] == [{"id", "name"}] * 3
