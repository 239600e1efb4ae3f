"""The schemas of the catalogue as a client of a schema registry fetches them."""

import base64
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from jsonschema_rs import Draft202012Validator

from exchange.schema import FORMATS
from infra.installation import Installation
from tests.portal.conftest import Api, portal_over
from tests.portal.test_exchange_api import CODE, DATASET, ENTRY, PEOPLE, catalogue, program, steward

__all__ = ["steward"]
REGISTRY = "/api/v1/registry"
SUBJECT = f"{REGISTRY}/subjects/{CODE.replace('/', '%2F')}"
KIND = "application/vnd.schemaregistry.v1+json"


@pytest.fixture
def client(api: Api, steward: TestClient, installation: Installation) -> TestClient:
    """A subscriber's program, with the entry catalogued and a second version of it."""
    catalogue(steward)
    items = [*ENTRY["items"], {"name": "born", "type": "date"}]
    made = steward.post(f"{DATASET}/versions", json={"items": items}, headers={"if-match": '"r1"'})
    assert made.status_code == 201, made.text
    return program(api("minzheng"), installation)


def get(client: TestClient, path: str, status: int = 200) -> Any:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, KIND)
    return answer.json()


def test_a_client_finds_the_schema_by_its_subject_and_by_its_id(client: TestClient) -> None:
    assert CODE in get(client, f"{REGISTRY}/subjects")
    assert get(client, f"{REGISTRY}/subjects?subjectPrefix=307003003/&limit=1") == [CODE]
    assert get(client, f"{REGISTRY}/subjects?subjectPrefix=%25") == []
    assert get(client, f"{SUBJECT}/versions") == [1, 2]
    newest = get(client, f"{SUBJECT}/versions/latest")
    assert newest == get(client, f"{SUBJECT}/versions/2")
    assert (newest["subject"], newest["version"], newest["schemaType"]) == (CODE, 2, "JSON")
    by_id = get(client, f"{REGISTRY}/schemas/ids/{newest['id']}")
    assert by_id == {"schemaType": "JSON", "schema": newest["schema"]}
    uses = get(client, f"{REGISTRY}/schemas/ids/{newest['id']}/versions")
    assert uses == [{"subject": CODE, "version": 2}]
    assert {"id": newest["id"], "version": 2}.items() <= client.get(f"{DATASET}/versions").json()[1].items()
    validator = Draft202012Validator(json.loads(newest["schema"]), formats=FORMATS, validate_formats=True)
    assert all(map(validator.is_valid, PEOPLE))
    assert not validator.is_valid({"id": 4})


def test_a_schema_is_looked_up_and_never_registered(client: TestClient) -> None:
    first = get(client, f"{SUBJECT}/versions/1")
    spaced = json.dumps(json.loads(first["schema"]), indent=2)
    found = client.post(SUBJECT, json={"schema": spaced, "schemaType": "JSON"})
    assert found.json() == first
    other = client.post(SUBJECT, json={"schema": "{}", "schemaType": "JSON"})
    assert (other.status_code, other.json()["error_code"]) == (404, 40403)
    assert client.post(SUBJECT, json={"schema": "no JSON"}).json()["error_code"] == 40403
    refused = client.post(f"{SUBJECT}/versions", json={"schema": spaced})
    assert (refused.status_code, refused.json()["error_code"]) == (422, 42205)
    assert get(client, f"{REGISTRY}/mode") == {"mode": "READONLY"}
    assert get(client, f"{REGISTRY}/config/{CODE}") == {"compatibilityLevel": "BACKWARD"}
    assert get(client, f"{REGISTRY}/schemas/types") == ["JSON"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/subjects/none/versions", 40401),
        ("/subjects/none/versions/latest", 40401),
        (f"/subjects/{CODE}/versions/3", 40402),
        ("/schemas/ids/999999", 40403),
        (f"/subjects/{CODE}/versions/newest", 422),
    ],
)
def test_what_is_not_there_is_told_in_the_registrys_way(client: TestClient, path: str, code: int) -> None:
    told = get(client, f"{REGISTRY}{path}", status=int(str(code)[:3]))
    assert told["error_code"] == code
    assert told["message"]


def test_an_announced_version_is_no_schema_yet(
    client: TestClient, steward: TestClient, installation: Installation
) -> None:
    items = [*ENTRY["items"], {"name": "born", "type": "date"}, {"name": "mail", "type": "text"}]
    body = {"items": items, "from_on": "2090-01-01"}
    made = steward.post(f"{DATASET}/versions", json=body, headers={"if-match": '"r2"'})
    assert made.status_code == 201, made.text
    listed = steward.get(f"{DATASET}/versions").json()
    assert [(one["version"], one["is_in_force"]) for one in listed] == [(1, True), (2, True), (3, False)]
    assert get(client, f"{SUBJECT}/versions") == [1, 2]
    get(client, f"{SUBJECT}/versions/3", status=404)
    get(client, f"{REGISTRY}/schemas/ids/{listed[2]['id']}", status=404)


def test_clients_that_know_only_basic_send_the_token_as_the_password(
    client: TestClient, installation: Installation
) -> None:
    token = client.headers["authorization"].removeprefix("Bearer ")
    stranger = TestClient(portal_over(installation))
    for password, status in ((token, 200), (token[:-1], 401), ("", 401)):
        told = base64.b64encode(f"siji:{password}".encode()).decode()
        answer = stranger.get(f"{REGISTRY}/subjects", headers={"authorization": f"Basic {told}"})
        assert answer.status_code == status
    answer = stranger.get(f"{REGISTRY}/subjects", headers={"authorization": "Basic ?"})
    assert (answer.status_code, answer.json()["error_code"]) == (401, 401)
