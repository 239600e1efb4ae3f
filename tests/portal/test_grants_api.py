"""Quota over HTTP: who grants to whom, modes, freezes, what is refused, and what a failed commit answers."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.queries import get_bureau
from identity.roles import Role
from identity.service.people import find_person_by_login
from identity.service.roles import give_role
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from portal.sample.cloud import IMAGE
from provisioning.cloud.driver import Cloud
from provisioning.cloud.simulated import Fault, SimulatedRegion
from provisioning.errors import QuotaInconsistent
from provisioning.service.fences import push_quota
from tests.portal.cloud import (
    API,
    CITY_ROOM,
    FUPING,
    LARGE,
    MINZHENG,
    REGION,
    ROOM,
    TOWN,
    TOWN_SYSTEM,
    decide,
    submitted,
    wish,
)
from tests.portal.conftest import Api, SignIn, csrf_of, portal_over


@pytest.fixture
def office(api: Api, cloud: Cloud) -> TestClient:
    """An operator of the smart-city office."""
    return api("shenhe")


@pytest.fixture
def county(api: Api, cloud: Cloud) -> TestClient:
    """The admin of 阜平县."""
    return api("fuping")


def place(code: str) -> str:
    return f"{API}/bureaus/{code}/grants/{REGION}"


def put(client: TestClient, code: str, body: dict[str, Any], *, act: str = "", seen: str = "") -> Response:
    """What `client` sets at the bureau, as it saw it."""
    tag = seen or client.get(place(code)).headers["etag"]
    return client.put(f"{place(code)}{act}", json=body, headers={"if-match": tag})


def test_a_bureau_grants_below_itself_and_as_it_was_seen(county: TestClient) -> None:
    seen = county.get(place(TOWN)).headers["etag"]
    granted = put(county, TOWN, {"limit": {"vcpus": 10, "servers": 3}, "reason": "二期"}, seen=seen)
    assert granted.status_code == 200, granted.text
    assert (granted.json()["limit"]["vcpus"], granted.json()["headroom"]["servers"]) == (10, 3)
    assert granted.headers["etag"] != seen
    stale = put(county, TOWN, {"limit": {"vcpus": 12}}, seen=seen)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    blind = county.put(place(TOWN), json={"limit": {"vcpus": 12}})
    assert (blind.status_code, blind.json()["code"]) == (428, "revision_missing")
    above = county.get(place(FUPING)).json()
    assert (above["headroom"]["vcpus"], above["held"]["vcpus"]) == (ROOM["vcpus"] - 10, 10)
    history = county.get(f"{place(TOWN)}/history").json()["items"]
    assert [(one["limit"]["vcpus"], one["reason"]) for one in history] == [(10, "二期"), (0, "")]
    children = county.get(f"{place(FUPING)}/children").json()["items"]
    assert [one["bureau"] for one in children] == [TOWN]


def test_nobody_grants_to_themselves_or_to_a_neighbour(county: TestClient) -> None:
    for code in (FUPING, MINZHENG, "1306"):
        answer = put(county, code, {"limit": {}}, seen='"r1"')
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), code
    neighbour = county.get(place(MINZHENG))
    assert (neighbour.status_code, neighbour.json()["code"]) == (403, "forbidden")


def test_the_limit_of_the_city_is_the_offices_to_set(
    api: Api, office: TestClient, sign_in: SignIn, installation: Installation
) -> None:
    with transaction(installation.engine) as session:
        person = find_person_by_login(session, login="minzheng")
        assert person is not None
        top, at = get_bureau(session, code="1306").id, installation.clock.now()
        give_role(
            session, actor=INSTALLATION, person_id=person.id, role=Role.bureau_admin, bureau_id=top, at=at
        )
    admin_of_the_city = api("minzheng")
    more = {"limit": {**CITY_ROOM, "vcpus": 500}, "reason": "扩容"}
    refused = put(admin_of_the_city, "1306", more)
    assert (refused.status_code, refused.json()["facts"]["permission"]) == (403, "capacity:set")
    browser, path = sign_in("minzheng"), f"/bureaus/1306/grants/{REGION}"
    assert browser.get(f"{path}/change").status_code == 403
    assert browser.post(f"{path}/change", data={"csrf": csrf_of(browser)}).status_code == 403
    assert f"{path}/change" not in browser.get(path).text
    assert put(admin_of_the_city, MINZHENG, {"limit": {**ROOM, "vcpus": 41}}).status_code == 200
    assert put(office, "1306", more).json()["limit"]["vcpus"] == 500
    assert f"{path}/change" in sign_in("shenhe").get(path).text


def test_what_exceeds_is_refused_with_names(county: TestClient, office: TestClient) -> None:
    over = put(county, TOWN, {"limit": {"vcpus": ROOM["vcpus"] + 1}})
    assert (over.status_code, over.json()["code"]) == (409, "quota_exceeded")
    [short] = over.json()["facts"]["shortfalls"]
    told = {key: short[key] for key in ("code", "bureau", "dimension", "limit", "used", "asked")}
    assert told == {
        "code": FUPING, "bureau": "阜平县", "dimension": "vcpus", "limit": 40, "used": 0, "asked": 41,
    }  # fmt: skip
    beyond = put(office, "1306", {"limit": {**CITY_ROOM, "vcpus": 10**9}})
    assert (beyond.status_code, beyond.json()["code"]) == (409, "capacity_exceeded")
    silent = put(office, "1306", {"limit": {**CITY_ROOM, "vcpus": 10**9}, "overcommit": True})
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_missing")
    told_why = {"limit": {**CITY_ROOM, "vcpus": 10**9}, "overcommit": True, "reason": "年底迁移"}
    assert put(office, "1306", told_why).status_code == 200
    assert office.get(f"{place('1306')}/history").json()["items"][0]["is_overcommit"] is True
    below = put(office, FUPING, {"limit": {}})
    assert below.status_code == 200, below.text


@pytest.mark.parametrize(
    "limit",
    [{"vcpus": -1}, {"vcpus": 1.5}, {"vcpus": "1"}, {"vcpus": 2**53}, {"vcpus": True}, {"𠮷": 1}, [1], None],
)
def test_a_limit_is_a_whole_number_of_a_known_dimension(county: TestClient, limit: Any) -> None:
    answer = put(county, TOWN, {"limit": limit}, seen='"r0"')
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed"), answer.text


def test_modes_and_freezes(county: TestClient, office: TestClient) -> None:
    for town in (TOWN, "130624101"):
        assert put(county, town, {"limit": {"vcpus": 20}}).status_code == 200
    assert put(county, FUPING, {"mode": "shared"}, act="/mode").json()["mode"] == "shared"
    assert put(county, TOWN, {"limit": {"vcpus": 40}}).status_code == 200
    back = put(county, FUPING, {"mode": "reserved"}, act="/mode")
    assert (back.status_code, back.json()["facts"]["shortfalls"][0]["used"]) == (409, 60)
    below = put(office, FUPING, {"limit": {"vcpus": 30}})
    [short] = below.json()["facts"]["shortfalls"]
    assert (short["code"], short["used"], short["child"]["code"]) == (FUPING, 40, TOWN)
    assert TOWN in below.json()["detail"]
    assert put(county, FUPING, {"mode": "borrowed"}, act="/mode").status_code == 422
    freeze = {"limit": {"vcpus": 5}, "reason": "闲置核查"}
    assert put(county, FUPING, freeze, act="/freeze").json()["code"] == "forbidden"
    silent = put(office, FUPING, {**freeze, "reason": " "}, act="/freeze")
    assert (silent.status_code, silent.json()["code"]) == (422, "reason_missing")
    frozen = put(office, FUPING, freeze, act="/freeze")
    assert (frozen.json()["frozen"]["vcpus"], frozen.json()["headroom"]["vcpus"]) == (5, 5)
    seen = {"if-match": frozen.headers["etag"]}
    thawed = office.delete(f"{place(FUPING)}/freeze", headers=seen)
    assert (thawed.json()["frozen"], thawed.json()["headroom"]["vcpus"]) == (None, 40)
    again = office.delete(f"{place(FUPING)}/freeze", headers={"if-match": thawed.headers["etag"]})
    assert (again.status_code, again.json()["code"]) == (409, "not_frozen")


def test_a_quota_change_is_asked_for_and_made(
    api: Api, office: TestClient, installation: Installation
) -> None:
    admin = api("minzheng")
    body = wish(installation, kind="quota_change", system=None, bureau=MINZHENG, lines=[], end_on=None)
    request_id = submitted(admin, {**body, "limit": {**ROOM, "vcpus": 60}})
    for client, step in ((office, "accept"), (office, "review"), (api("hezhun"), "verify")):
        answer = decide(client, request_id, step)
        assert answer.status_code == 200, answer.text
    assert admin.get(place(MINZHENG)).json()["limit"]["vcpus"] == 60
    assert admin.get(place("1306")).status_code == 403


def test_every_bureau_that_falls_short_is_named(api: Api, cloud: Cloud, installation: Installation) -> None:
    office, county = api("shenhe"), api("fuping")
    place = f"{API}/bureaus/{FUPING}/grants/{REGION}"
    shared = {"if-match": county.get(place).headers["etag"]}
    assert county.put(f"{place}/mode", json={"mode": "shared"}, headers=shared).status_code == 200
    town = f"{API}/bureaus/{TOWN}/grants/{REGION}"
    limit = {**ROOM, "vcpus": 30}
    granted = county.put(town, json={"limit": limit}, headers={"if-match": county.get(town).headers["etag"]})
    assert granted.status_code == 200, granted.text
    lines = [{"count": 9, "flavor": LARGE, "image": IMAGE}, {"count": 3, "flavor": LARGE, "image": IMAGE}]
    body = wish(installation, system=TOWN_SYSTEM, lines=lines)
    made = county.post(f"{API}/requests", json=body).json()
    warned = county.post(f"{API}/requests/{made['id']}/submit").json()["shortfalls"]
    for client, step in ((office, "accept"), (api("chushen"), "first_review"), (office, "review")):
        assert decide(client, made["id"], step).status_code == 200
    last = api("hezhun")
    for language, names in (
        ("zh", ("阜平镇", "阜平县", "限额 30")),
        ("en", ("阜平镇", "limit 40", "asked 48")),
    ):
        last.headers["accept-language"] = language
        refused = decide(last, made["id"], "verify")
        assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
        assert all(name in refused.json()["detail"] for name in names), refused.json()["detail"]
    short = refused.json()["facts"]["shortfalls"]
    told = [
        (one["code"], one["limit"], one["used"], one["asked"]) for one in short if one["dimension"] == "vcpus"
    ]
    assert sorted(told) == [(FUPING, 40, 0, 48), (TOWN, 30, 0, 48)]
    assert {(one["code"], one["dimension"]) for one in warned} == {
        (one["code"], one["dimension"]) for one in short
    }
    assert county.get(f"{API}/requests/{made['id']}").json()["waits_for"]["key"] == "verify"
    assert county.get(f"{API}/servers").json()["items"] == []


def test_the_reserve_of_a_region_is_journalled_as_it_was_and_is(
    office: TestClient, installation: Installation
) -> None:
    path = f"{API}/regions/{REGION}"
    was = office.get(f"{path}/capacity").json()["reserve_largest_host"]
    for reserve in (not was, not was, was):
        answer = office.put(f"{path}/reserve", json={"reserve_largest_host": reserve})
        assert (answer.status_code, answer.content) == (204, b"")
        assert office.get(f"{path}/capacity").json()["reserve_largest_host"] is reserve
    with reading(installation.engine) as session:
        query = select(JournalEntry).where(JournalEntry.act == "region.reserve")
        changes = [(one.before, one.after) for one in session.scalars(query.order_by(JournalEntry.id))]
    on, off = {"reserve_largest_host": not was}, {"reserve_largest_host": was}
    assert changes == [(off, on), (on, off)]
    nowhere = office.put(f"{API}/regions/nowhere/reserve", json={"reserve_largest_host": True})
    assert nowhere.status_code == 404


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_failed_commit_is_no_success_and_keeps_nothing(
    county: TestClient, installation: Installation, language: str
) -> None:
    seen = county.get(place(TOWN)).headers["etag"]
    broken = TestClient(portal_over(installation), raise_server_exceptions=False)
    broken.cookies, broken.headers = county.cookies, county.headers
    broken.headers["accept-language"] = language
    body = wish(installation, system=f"{FUPING}-s1")
    with FailingCommits():
        drafted = broken.post(f"{API}/requests", json=body, headers={"idempotency-key": "lost"})
        granted = put(broken, TOWN, {"limit": {"vcpus": 1}}, seen=seen)
    for answer in (drafted, granted):
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("系统内部出错" in answer.json()["detail"]) == (language == "zh")
        assert "commit" not in answer.text
    assert county.get(f"{API}/requests").json()["items"] == []
    assert county.get(place(TOWN)).json()["limit"]["vcpus"] == 0
    again = county.post(f"{API}/requests", json=body, headers={"idempotency-key": "lost"})
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)


class FailingCommits:
    """While it lasts, the database refuses every commit, as one does whose disk is full."""

    def __enter__(self) -> None:
        event.listen(Session, "before_commit", self._refuse)

    def __exit__(self, *_: object) -> None:
        event.remove(Session, "before_commit", self._refuse)

    @staticmethod
    def _refuse(_session: Session) -> None:
        raise IntegrityError("COMMIT", None, Exception("disk full"))


def test_a_quota_that_a_service_of_the_cloud_did_not_take_is_shown_and_blocks_claims(
    office: TestClient, api: Api, installation: Installation, cloud: Cloud, sign_in: SignIn
) -> None:
    region = SimulatedRegion(installation.settings.data_dir / f"region-{REGION}.sqlite")
    region.inject(Fault.refused, operation="set_quota.cinder", count=2)
    with reading(installation.engine) as session:
        bureau_id = get_bureau(session, code=MINZHENG).id
    with pytest.raises(QuotaInconsistent):
        push_quota(installation.engine, cloud, bureau_id=bureau_id, at=installation.clock.now())
    told = office.get(place(MINZHENG)).json()["inconsistent"]
    assert [one["service"] for one in told["services"]] == ["cinder"]
    assert "403" in told["services"][0]["zh"]
    [listed] = [
        one for one in office.get(f"{place('1306')}/children").json()["items"] if one["bureau"] == MINZHENG
    ]
    assert listed["inconsistent"] == told
    number = submitted(api("minzheng"), wish(installation))
    for login, step in (("shenhe", "accept"), ("shenhe", "review")):
        assert decide(api(login), number, step).status_code == 200
    refused = decide(api("hezhun"), number, "verify")
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_inconsistent")
    browser = sign_in("shenhe")
    page = browser.get(f"/bureaus/{MINZHENG}/grants/{REGION}").text
    assert "云上配额不一致" in page
    assert "<strong>Cinder</strong>：" in page
    assert f"/bureaus/{MINZHENG}/grants/{REGION}" in browser.get("/notices").text
    region.lift()
    push_quota(installation.engine, cloud, bureau_id=bureau_id, at=installation.clock.now())
    assert office.get(place(MINZHENG)).json()["inconsistent"] is None
    assert "云上配额不一致" not in browser.get(f"/bureaus/{MINZHENG}/grants/{REGION}").text
    assert decide(api("hezhun"), number, "verify").status_code == 200
