"""The case of a bureau that moved in the tree since: whoever has its step in hand decides it, by any face."""

import pytest
from fastapi.testclient import TestClient

from infra.installation import Installation
from provisioning.cloud.driver import Cloud
from tests.portal.browser import send
from tests.portal.cloud import API, TOWN, TOWN_SYSTEM, decide, open_cloud, submitted, wish
from tests.portal.conftest import Api, SignIn

ELSEWHERE = "130623"


@pytest.fixture
def cloud(installation: Installation) -> Cloud:
    return open_cloud(installation)


@pytest.fixture
def moved(api: Api, cloud: Cloud, installation: Installation) -> tuple[int, str]:
    """A town's request that waits for the county's first review, and its case; the town left that county."""
    request_id = submitted(api("fuping"), wish(installation, system=TOWN_SYSTEM))
    office = api("shenhe")
    accepted = decide(office, request_id, "accept")
    assert accepted.json()["waits_for"]["key"] == "first_review"
    town = f"{API}/bureaus/{TOWN}"
    tag = office.get(town).headers["etag"]
    gone = office.post(f"{town}/move", json={"parent": ELSEWHERE}, headers={"if-match": tag})
    assert gone.status_code == 200, gone.text
    return request_id, str(accepted.json()["case"])


def test_its_county_decides_by_the_api(api: Api, moved: tuple[int, str]) -> None:
    request_id, number = moved
    county = api("chushen")
    seen = county.get(f"{API}/cases/{number}").headers["etag"]
    done = decide(county, request_id, "first_review", tag=seen)
    assert (done.status_code, done.json()["waits_for"]["key"]) == (200, "review")


def test_its_county_decides_on_the_page(sign_in: SignIn, moved: tuple[int, str]) -> None:
    case = f"/cases/{moved[1]}"
    county = sign_in("chushen")
    assert case in county.get("/inbox").text
    paused = send(county, case, f"{case}/suspend", {"procedure": "hearing", "reason": "听证"})
    assert paused.status_code == 303, paused.text
    going_on = send(county, case, f"{case}/resume")
    assert going_on.status_code == 303, going_on.text
    silent = send(county, case, f"{case}/decide", {"decision": "return"})
    assert (silent.status_code, "写明理由" in silent.text) == (422, True)
    done = send(county, case, f"{case}/decide", {"decision": "approve"})
    assert (done.status_code, done.headers["location"]) == (303, case)
    after = county.get(case)
    assert (after.status_code, f"{case}/decide" in after.text) == (200, False)
    assert f'"/requests/{moved[0]}"' not in after.text


def test_neither_its_new_county_nor_a_neighbour_decides(
    api: Api, sign_in: SignIn, moved: tuple[int, str]
) -> None:
    request_id, number = moved
    neighbour: TestClient = api("minzheng")
    refused = decide(neighbour, request_id, "first_review", tag='"r1"')
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert sign_in("minzheng").get(f"/cases/{number}").status_code == 404
