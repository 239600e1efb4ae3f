"""A resource request over HTTP, from its draft to a server that is taken back; three people decide it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from fastapi.testclient import TestClient

from identity.actor import INSTALLATION
from identity.queries import get_bureau
from identity.roles import Role
from identity.service.people import find_person_by_login
from identity.service.roles import give_role
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.cloud import IMAGE
from provisioning.cloud.driver import Cloud
from provisioning.service.recount import recount
from tests.portal.cloud import (
    API,
    COUNTY_SYSTEM,
    LARGE,
    MINZHENG,
    REGION,
    ROOM,
    SMALL,
    SYSTEM,
    decide,
    submitted,
    wish,
    work,
)
from tests.portal.conftest import Api

STEPS = (("shenhe", "accept"), ("shenhe", "review"), ("hezhun", "verify"))


@pytest.fixture
def admin(api: Api, cloud: Cloud) -> TestClient:
    """The admin of 市民政局."""
    return api("minzheng")


def approved(api: Api, request_id: int) -> dict[str, Any]:
    """The request after each of STEPS."""
    for login, step in STEPS:
        answer = decide(api(login), request_id, step)
        assert answer.status_code == 200, (step, answer.text)
    body: dict[str, Any] = answer.json()
    return body


def figures(client: TestClient) -> dict[str, dict[str, Any]]:
    """市民政局's rows of the capacity report, by dimension."""
    rows = client.get(f"{API}/reports/capacity", params={"bureau": MINZHENG}).json()["rows"]
    return {row["dimension"]: row for row in rows}


def test_a_draft_is_made_once_however_often_it_is_sent(admin: TestClient, installation: Installation) -> None:
    body, key = wish(installation), {"idempotency-key": "draft-1"}
    first = admin.post(f"{API}/requests", json=body, headers=key)
    again = admin.post(f"{API}/requests", json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = admin.post(f"{API}/requests", json={**body, "purpose": "别的"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    mine = admin.get(f"{API}/requests", params={"mine": True}).json()["items"]
    assert [one["id"] for one in mine] == [first.json()["id"]]
    assert [line["count"] for line in first.json()["lines"]] == [2, 1]


def test_an_edit_carries_the_revision_that_was_seen(admin: TestClient, installation: Installation) -> None:
    path = f"{API}/requests/{admin.post(f'{API}/requests', json=wish(installation)).json()['id']}"
    seen = {"if-match": admin.get(path).headers["etag"]}
    blind = admin.patch(path, json={"purpose": "改"})
    assert (blind.status_code, blind.json()["code"]) == (428, "revision_missing")
    edited = admin.patch(path, json={"lines": [{"count": 3, "flavor": SMALL, "image": IMAGE}]}, headers=seen)
    assert edited.status_code == 200, edited.text
    assert [(line["count"], line["flavor"]) for line in edited.json()["lines"]] == [(3, SMALL)]
    assert edited.json()["purpose"] == "智慧民生扩容"
    stale = admin.patch(path, json={"purpose": "改"}, headers=seen)
    assert (stale.status_code, stale.json()["facts"]) == (412, {"seen": 1, "now": 2})
    assert admin.get(path).json()["purpose"] == "智慧民生扩容"


BAD: list[tuple[dict[str, Any], str]] = [
    ({"purpose": " "}, "request_invalid"),
    ({"purpose": "用\0途"}, "malformed"),
    ({"purpose": "长" * 2001}, "malformed"),
    ({"end_on": "2020-01-01"}, "request_invalid"),
    ({"end_on": "2027-02-30"}, "malformed"),
    ({"lines": []}, "request_invalid"),
    ({"lines": [{"count": 0, "flavor": SMALL, "image": IMAGE}]}, "malformed"),
    ({"lines": [{"flavor": "𠮷", "image": IMAGE}]}, "request_invalid"),
    ({"lines": [{"flavor": SMALL, "image": IMAGE, "server": 2**63}]}, "malformed"),
    ({"lines": [{"flavor": SMALL, "image": IMAGE, "colour": "红"}]}, "malformed"),
    ({"kind": "volumes", "lines": [{"server": 99, "volume_gib": 10}]}, "not_found"),
    ({"kind": "quota_change", "limit": {"vcpus": -1}}, "malformed"),
    ({"kind": "quota_change", "system": None, "bureau": MINZHENG, "lines": []}, "request_invalid"),
    ({"system": None}, "request_invalid"),
    ({"system": "无此系统"}, "not_found"),
    ({"region": "nowhere"}, "no_such_region"),
    ({"kind": "wishes"}, "malformed"),
]


def test_what_cannot_be_is_refused_and_nothing_kept(admin: TestClient, installation: Installation) -> None:
    for change, code in BAD:
        answer = admin.post(f"{API}/requests", json=wish(installation, **change))
        assert (answer.status_code in (404, 422), answer.json()["code"]) == (True, code), answer.text
    assert admin.get(f"{API}/requests").json()["items"] == []


def test_a_number_that_no_row_can_have_is_refused(api: Api) -> None:
    admin = api("minzheng")
    for number in (2**63, 10**30, 0, -1):
        for path in (f"requests/{number}", f"servers/{number}"):
            assert admin.get(f"{API}/{path}").status_code == 422, path


def test_the_county_reviews_first_and_three_people_decide(
    api: Api, cloud: Cloud, installation: Installation
) -> None:
    request_id = submitted(api("fuping"), wish(installation, system=COUNTY_SYSTEM))
    office, other, county = api("shenhe"), api("hezhun"), api("chushen")
    accepted = decide(office, request_id, "accept")
    assert accepted.json()["waits_for"]["key"] == "first_review"
    clocks = office.get(f"{API}/cases/{accepted.json()['case']}").json()["clocks"]
    assert accepted.json()["waits_for"]["limit"] in clocks
    wrong = decide(office, request_id, "first_review")
    assert (wrong.status_code, wrong.json()["code"]) == (403, "role_needed")
    assert decide(county, request_id, "first_review").json()["waits_for"]["key"] == "review"
    beyond = decide(county, request_id, "review")
    assert (beyond.status_code, beyond.json()["code"]) == (403, "role_needed")
    assert decide(office, request_id, "review").json()["waits_for"]["key"] == "verify"
    for language, said in (("zh", "必须由另一人办理"), ("en", "must be done by somebody else")):
        office.headers["accept-language"] = language
        same = decide(office, request_id, "verify")
        assert (same.status_code, same.json()["code"]) == (403, "same_person")
        assert said in same.json()["detail"]
    assert decide(other, request_id, "verify").json()["state"] == "provisioning"


def test_an_applicant_does_not_decide_their_own(
    api: Api, admin: TestClient, installation: Installation
) -> None:
    request_id = submitted(admin, wish(installation))
    with transaction(installation.engine) as session:
        person = find_person_by_login(session, login="minzheng")
        assert person is not None
        top = get_bureau(session, code="1306")
        at = installation.clock.now()
        give_role(
            session, actor=INSTALLATION, person_id=person.id, role=Role.operator, bureau_id=top.id, at=at
        )
    own = decide(admin, request_id, "accept")
    assert (own.status_code, own.json()["code"]) == (403, "same_person")
    neighbour = api("fuping").get(f"{API}/requests/{request_id}")
    assert (neighbour.status_code, neighbour.json()["code"]) == (403, "forbidden")


def test_an_edit_voids_the_approvals_it_had(api: Api, admin: TestClient, installation: Installation) -> None:
    request_id = submitted(admin, wish(installation))
    path = f"{API}/requests/{request_id}"
    decide(api("shenhe"), request_id, "accept")
    reviewed = decide(api("shenhe"), request_id, "review")
    seen = reviewed.headers["etag"]
    edited = admin.patch(path, json={"purpose": "改为试点"}, headers={"if-match": seen})
    assert (edited.status_code, edited.json()["waits_for"]["key"]) == (200, "review")
    late = decide(api("hezhun"), request_id, "verify", tag=seen)
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    early = decide(api("hezhun"), request_id, "verify")
    assert (early.status_code, early.json()["code"]) == (409, "step_not_active")
    steps = admin.get(f"{API}/cases/{edited.json()['case']}").json()["steps"]
    voided = [one["key"] for one in steps if one["decision"] and one["decision"]["voided_at"]]
    assert "review" in voided


def test_of_two_simultaneous_decisions_one_holds(
    api: Api, admin: TestClient, installation: Installation
) -> None:
    request_id = submitted(admin, wish(installation))
    decide(api("shenhe"), request_id, "accept")
    clients = {"approve": api("shenhe"), "refuse": api("hezhun")}
    tag, start = admin.get(f"{API}/requests/{request_id}").headers["etag"], Barrier(2)

    def together(decision: str) -> int:
        start.wait()
        client = clients[decision]
        return decide(client, request_id, "review", decision, reason="用途不明确", tag=tag).status_code

    with ThreadPoolExecutor(2) as both:
        answers = dict(zip(clients, both.map(together, clients), strict=True))
    assert sorted(answers.values()) == [200, 409]
    state = "refused" if answers["refuse"] == 200 else "submitted"
    assert admin.get(f"{API}/requests/{request_id}").json()["state"] == state


def test_from_approval_to_a_server_that_is_taken_back(
    api: Api, admin: TestClient, installation: Installation, cloud: Cloud
) -> None:
    request_id = submitted(admin, wish(installation))
    assert approved(api, request_id)["state"] == "provisioning"
    assert figures(admin)["vcpus"]["in_flight"] == 8
    path = f"{API}/requests/{request_id}"
    early = admin.post(f"{path}/confirm", headers={"accept-language": "zh"})
    assert (early.status_code, early.json()["code"]) == (409, "request_state")
    assert early.json()["detail"] == f"申请 {request_id} 当前为“办理中”，不能确认"
    assert early.json()["facts"]["state"] == "provisioning"
    work(installation, cloud)
    assert admin.get(path).json()["state"] == "confirming"
    assert api("shenhe").post(f"{path}/confirm").json()["code"] == "forbidden"
    assert admin.post(f"{path}/confirm").json()["state"] == "active"

    servers = admin.get(f"{API}/servers", params={"system": SYSTEM}).json()["items"]
    assert [(one["state"], one["flavor"]) for one in servers] == [
        ("active", SMALL),
        ("active", SMALL),
        ("active", LARGE),
    ]
    assert {one["end_on"] for one in servers} == {wish(installation)["end_on"]}
    used = {key: row["used"] for key, row in figures(admin).items()}
    assert (used["servers"], used["vcpus"], used["volume_gib"], used["volumes"]) == (3, 8, 100, 2)
    account = admin.get(f"{API}/bureaus/{MINZHENG}/grants/{REGION}").json()
    assert account["used"] == {key: used[key] for key in account["used"]}
    assert account["headroom"]["vcpus"] == ROOM["vcpus"] - 8

    server = f"{API}/servers/{servers[0]['id']}"
    for act, state in (("stop", "stopped"), ("start", "active")):
        assert admin.post(f"{server}/{act}").status_code == 200
        assert admin.post(f"{server}/{act}").json()["code"] == "server_state"
        work(installation, cloud)
        assert admin.get(server).json()["state"] == state

    why = {"reason": "连续三个月闲置"}
    assert admin.post(f"{server}/reclaim", json=why).json()["code"] == "forbidden"
    office = api("shenhe")
    silent = office.post(f"{server}/reclaim", json={"reason": " "})
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_missing")
    assert office.post(f"{server}/reclaim", json=why).json()["state"] == "expiring"
    work(installation, cloud)
    assert admin.get(server).json()["state"] == "released"
    notices = admin.get(f"{API}/notices").json()["items"]
    assert any("连续三个月闲置" in one["text"] for one in notices if one["code"] == "server_reclaimed")
    assert figures(admin)["vcpus"]["used"] == 6
    with reading(installation.engine) as session:
        assert recount(session) == []


def test_a_notice_of_a_step_is_read_once_the_step_was_decided(
    api: Api, admin: TestClient, installation: Installation
) -> None:
    request_id = submitted(admin, wish(installation))
    office, other = api("shenhe"), api("hezhun")

    def waiting(client: TestClient) -> list[str]:
        notices = client.get(f"{API}/notices").json()["items"]
        return [one["facts"]["step_en"] for one in notices if one["code"] == "step_waiting"]

    assert waiting(other) == ["acceptance"]
    decide(office, request_id, "accept")
    assert (waiting(office), waiting(other)) == (["review"], ["review"])
    decide(office, request_id, "review", "refuse", reason="用途不明确")
    assert (waiting(office), waiting(other)) == ([], [])


def test_a_special_procedure_begins_today_and_is_bounded(
    admin: TestClient, api: Api, installation: Installation
) -> None:
    request_id = submitted(admin, wish(installation))
    assert decide(api("shenhe"), request_id, "accept").status_code == 200
    path = f"{API}/cases/{admin.get(f'{API}/requests/{request_id}').json()['case']}/suspensions"
    today = city_date(installation.clock.now())
    for first, last, code in (
        (-1, None, "suspension_start"),
        (1, 9, "suspension_start"),
        (0, 61, "suspension_end"),
    ):
        body = {"procedure": "hearing", "reason": "听证", "first_on": f"{today + timedelta(first)}"}
        wrong = api("shenhe").post(path, json=body | {"last_on": last and f"{today + timedelta(last)}"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, code), wrong.text
    begun = api("shenhe").post(path, json=body | {"last_on": f"{today + timedelta(60)}"})
    assert begun.status_code == 201, begun.text
