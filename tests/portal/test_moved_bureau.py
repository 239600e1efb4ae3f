"""The case of a bureau that moved in the tree since: whoever has its step in hand decides it, by any face."""

import pytest

from identity.roles import Role
from infra.installation import Installation
from provisioning.cloud.driver import Cloud
from tests.portal.browser import send
from tests.portal.cloud import API, TOWN, TOWN_SYSTEM, decide, submitted, wish
from tests.portal.conftest import Api, SignIn, appoint

ELSEWHERE, ANOTHER = "130623", "130626"


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


def test_its_new_county_sees_the_case_and_is_told_whose_step_it_is(
    api: Api, sign_in: SignIn, installation: Installation, moved: tuple[int, str]
) -> None:
    request_id, number = moved
    appoint(installation, "renshe", Role.reviewer, ELSEWHERE)
    refused = decide(api("renshe"), request_id, "first_review")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_needed")
    page = sign_in("renshe").get(f"/cases/{number}")
    assert (page.status_code, f"/cases/{number}/decide" in page.text) == (200, False)


@pytest.mark.parametrize(("login", "county"), [("minzheng", None), ("kaifa", ANOTHER)])
def test_neither_a_neighbour_nor_another_countys_reviewer_decides(
    api: Api,
    sign_in: SignIn,
    installation: Installation,
    moved: tuple[int, str],
    login: str,
    county: str | None,
) -> None:
    request_id, number = moved
    if county:
        appoint(installation, login, Role.reviewer, county)
    refused = decide(api(login), request_id, "first_review", tag='"r1"')
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert sign_in(login).get(f"/cases/{number}").status_code == 404
