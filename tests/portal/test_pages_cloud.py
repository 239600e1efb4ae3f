"""The cloud's pages as a browser uses them: quota, requests from draft to servers, decisions; zh and en."""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from identity.actor import INSTALLATION
from identity.queries import get_bureau
from identity.roles import Role
from identity.service.people import depart_person, find_person_by_login
from identity.service.roles import give_role
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.cloud import IMAGE
from provisioning.cloud.driver import Cloud
from provisioning.queries import find_open_grant, get_request
from provisioning.quota import Limits
from tests.portal.browser import error_at, fill, form_on, send
from tests.portal.cloud import FUPING, LARGE, MINZHENG, REGION, SMALL, SYSTEM, in_a_year, work
from tests.portal.conftest import SignIn, csrf_of
from tests.portal.sharing import share

QUOTA = f"/bureaus/{FUPING}/grants/{REGION}"
NEW = f"/requests/new?kind=servers&system={SYSTEM}"
NAME = "<b>智慧民生</b>𠮷"
ESCAPED = "&lt;b&gt;智慧民生&lt;/b&gt;𠮷"


@pytest.fixture
def office(sign_in: SignIn, cloud: Cloud) -> TestClient:
    """An operator's browser."""
    return sign_in("shenhe")


@pytest.fixture
def admin(sign_in: SignIn, cloud: Cloud) -> TestClient:
    """The browser of 市民政局's admin."""
    return sign_in("minzheng")


def lines(here: Installation) -> dict[str, str]:
    """Two lines as they are typed into the form of a request."""
    return {
        "purpose": NAME,
        "end_on": in_a_year(here),
        "flavor.1": SMALL,
        "image.1": IMAGE,
        "count.1": "２",
        "volume_gib.1": "50",
        "flavor.2": LARGE,
        "image.2": IMAGE,
        "count.2": "1",
    }


def draft(admin: TestClient, here: Installation) -> str:
    """The path of a request of two lines."""
    two = send(admin, NEW, "/requests/new", {"act": "add-line"})
    saved = fill(admin, two.text, "/requests/new", lines(here))
    assert saved.status_code == 303, saved.text
    return saved.headers["location"]


def case_of(browser: TestClient, path: str) -> str:
    """The path of the request's case."""
    found = re.search(r'href="(/cases/[^"]+)"', browser.get(path).text)
    assert found
    return found.group(1)


def approve(browser: TestClient, case: str) -> None:
    done = send(browser, case, f"{case}/decide", {"decision": "approve"})
    assert (done.status_code, done.headers["location"]) == (303, case), done.text


def test_quota_is_granted_on_its_page_and_what_was_typed_is_kept(office: TestClient) -> None:
    change = f"{QUOTA}/change"
    wrong = send(office, change, change, {"limit.vcpus": "4x", "limit.servers": "１２", "reason": NAME})
    kept = form_on(wrong.text, change)
    assert (wrong.status_code, "整数" in error_at(wrong.text, "limit.vcpus")) == (422, True)
    assert [kept[name] for name in ("limit.vcpus", "limit.servers", "reason")] == [["4x"], ["１２"], [NAME]]
    short = fill(office, wrong.text, change, {"limit.vcpus": "1000000"})
    assert (short.status_code, "保定市" in short.text, ESCAPED in short.text) == (409, True, True)
    before = office.get(change).text
    done = fill(office, short.text, change, {"limit.vcpus": "５０"})
    assert (done.status_code, done.headers["location"]) == (303, f"/bureaus/1306/grants/{REGION}")
    assert "配额已下达" in office.get(done.headers["location"]).text
    assert "配额已下达" not in office.get(done.headers["location"]).text
    page = office.get(QUOTA).text
    assert (ESCAPED in page, NAME in page) == (True, False)
    stale = fill(office, before, change, {"limit.vcpus": "60"})
    assert (stale.status_code, form_on(stale.text, change)["limit.vcpus"]) == (412, ["60"])
    assert fill(office, stale.text, change).status_code == 303
    foreign = office.post(change, data={"limit.vcpus": "70"})
    assert (foreign.status_code, "70" in form_on(office.get(change).text, change)["limit.vcpus"]) == (
        403,
        False,
    )


def test_modes_and_freezes_on_their_pages(
    office: TestClient, sign_in: SignIn, installation: Installation
) -> None:
    county = sign_in("fuping")
    switched = send(county, f"{QUOTA}/mode", f"{QUOTA}/mode", {"mode": "shared"})
    assert (switched.status_code, switched.headers["location"]) == (303, QUOTA)
    assert f"{QUOTA}/freeze" not in county.get(QUOTA).text
    assert county.get(f"{QUOTA}/freeze").status_code == 403
    freeze = f"{QUOTA}/freeze"
    unchanged = send(office, freeze, freeze, {"reason": "闲置"})
    assert (unchanged.status_code, "至少为一类资源" in unchanged.text) == (422, True)
    five = {"limit.vcpus": "5", "unlimited.vcpus": None}
    silent = send(office, freeze, freeze, {**five, "reason": " "})
    assert (silent.status_code, error_at(silent.text, "reason")) == (422, "请填写此项")
    both = send(office, freeze, freeze, {"limit.vcpus": "5", "reason": "闲置"})
    assert (both.status_code, "只能选一项" in error_at(both.text, "limit.vcpus")) == (422, True)
    office.headers["accept-language"] = "en"
    silent = send(office, freeze, freeze, {"unlimited.vcpus": None, "reason": "idle"})
    assert error_at(silent.text, "limit.vcpus") == "This is needed"
    frozen = fill(office, silent.text, freeze, {"limit.vcpus": "5"})
    assert frozen.status_code == 303
    assert "The quota was frozen" in office.get(QUOTA).text
    with reading(installation.engine) as session:
        bureau = get_bureau(session, code=FUPING)
        grant = find_open_grant(session, region=REGION, bureau_id=bureau.id)
        assert grant is not None
        assert grant.frozen == Limits.parse({**Limits.unlimited().document(), "vcpus": 5})
    kept = form_on(office.get(freeze).text, freeze)
    assert (kept["limit.vcpus"], "unlimited.vcpus" in kept, "unlimited.servers" in kept) == (
        ["5"],
        False,
        True,
    )
    thawed = send(office, QUOTA, f"{QUOTA}/unfreeze")
    assert (thawed.status_code, thawed.headers["location"]) == (303, QUOTA)
    assert f"{QUOTA}/unfreeze" not in office.get(QUOTA).text


def test_a_request_is_typed_in_and_nothing_of_it_is_lost(
    admin: TestClient, installation: Installation
) -> None:
    assert "/requests/new" in admin.get("/").text
    assert SYSTEM in admin.get("/requests/new").text
    two = send(admin, NEW, "/requests/new", {"purpose": NAME, "act": "add-line"})
    assert form_on(two.text, "/requests/new")["row"] == ["1", "2"]
    typed = lines(installation) | {"count.1": "0", "volume_gib.1": "五十", "flavor.2": "", "end_on": "明年"}
    wrong = fill(admin, two.text, "/requests/new", typed)
    assert wrong.status_code == 422
    kept = form_on(wrong.text, "/requests/new")
    assert {name: kept[name] for name in typed} == {name: [value] for name, value in typed.items()}
    for name in ("count.1", "volume_gib.1", "flavor.2", "end_on"):
        assert error_at(wrong.text, name), name
    assert not error_at(wrong.text, "purpose")
    past = fill(admin, wrong.text, "/requests/new", lines(installation) | {"end_on": "2020-01-01"})
    assert (past.status_code, "截止日期" in error_at(past.text, "end_on")) == (422, True)
    one = fill(admin, past.text, "/requests/new", {"act": "remove.1"})
    assert form_on(one.text, "/requests/new")["row"] == ["2"]
    form = form_on(past.text, "/requests/new") | {"end_on": [in_a_year(installation)]}
    saved, again = (admin.post("/requests/new", data=form) for _ in range(2))
    assert (saved.status_code, again.headers["location"]) == (303, saved.headers["location"]), saved.text
    page = admin.get(saved.headers["location"]).text
    assert (ESCAPED in page, NAME in page, "草稿已保存" in page) == (True, False, True)
    listed = admin.get("/requests?mine=1").text
    assert listed.count(f'href="{saved.headers["location"]}"') == 1
    edit = f"{saved.headers['location']}/edit"
    assert send(admin, edit, edit, {"purpose": "改为试点"}).status_code == 303
    assert "改为试点" in admin.get(saved.headers["location"]).text


def test_from_submission_to_servers_by_three_people(
    admin: TestClient, office: TestClient, sign_in: SignIn, installation: Installation, cloud: Cloud
) -> None:
    path = draft(admin, installation)
    submitted = send(admin, path, f"{path}/submit")
    assert (submitted.status_code, submitted.headers["location"]) == (303, path)
    case = case_of(admin, path)
    assert case in office.get("/inbox").text
    assert f"{case}/decide" not in admin.get(case).text
    silent = send(office, case, f"{case}/decide", {"decision": "return"})
    assert (silent.status_code, "写明理由" in error_at(silent.text, "reason")) == (422, True)
    unsaid = send(office, case, f"{case}/decide")
    assert (unsaid.status_code, bool(error_at(unsaid.text, "decision"))) == (422, True)
    approve(office, case)
    old = office.get(case).text
    approve(office, case)
    twice = fill(office, old, f"{case}/decide", {"decision": "refuse", "reason": "重复"})
    assert twice.status_code in (403, 409), twice.text
    page = office.get(case).text
    assert (f"{case}/decide" in page, "必须由另一人办理" in page) == (False, True)
    office.headers["accept-language"] = "en"
    assert "must be done by somebody else" in office.get(case).text
    other = sign_in("hezhun")
    approve(other, case)
    assert case not in other.get("/inbox").text

    work(installation, cloud)
    assert path in admin.get("/inbox").text
    assert f"{path}/confirm" not in office.get(path).text
    confirmed = send(admin, path, f"{path}/confirm")
    assert confirmed.status_code == 303
    assert "正式生效" in admin.get(path).text
    listed = admin.get(f"/bureaus/{MINZHENG}/servers").text
    servers = list(dict.fromkeys(re.findall(r'href="(/servers/\d+)"', listed)))
    assert len(servers) == 3
    assert f'href="{servers[0]}"' in admin.get(f"/systems/{SYSTEM}").text
    for act in ("stop", "start"):
        assert send(admin, servers[0], f"{servers[0]}/{act}").status_code == 303
        work(installation, cloud)
    assert f"{servers[0]}/reclaim" not in admin.get(servers[0]).text
    reclaim = f"{servers[0]}/reclaim"
    wrong = send(office, servers[0], reclaim, {"reason": ""})
    assert (wrong.status_code, error_at(wrong.text, "reason")) == (422, "This is needed")
    assert error_at(wrong.text, "sure")
    taken = fill(office, wrong.text, reclaim, {"reason": NAME, "sure": "1"})
    assert (taken.status_code, taken.headers["location"]) == (303, servers[0])
    offered = [f"{one}/reclaim" in office.get(one).text for one in servers]
    assert offered == [False, True, True]
    work(installation, cloud)
    assert "已释放" in admin.get(servers[0]).text
    assert ESCAPED in admin.get("/notices").text
    for browser in (admin, office):
        pages = ["/", "/inbox", "/notices?read=1", "/requests", path, case, servers[0], servers[1]]
        for each in [*pages, f"/bureaus/{MINZHENG}/servers", f"/bureaus/{MINZHENG}/grants/{REGION}"]:
            shown = browser.get(each)
            assert (shown.status_code, NAME in shown.text) == (200, False), each
            assert ('<html lang="en"' in shown.text) == (browser is office), each


def test_while_a_supplement_is_awaited_nobody_is_offered_to_decide(
    admin: TestClient, office: TestClient, installation: Installation
) -> None:
    path = draft(admin, installation)
    assert send(admin, path, f"{path}/submit").status_code == 303
    case = case_of(admin, path)
    asked = send(office, case, f"{case}/decide", {"decision": "return", "reason": "缺定级材料"})
    assert asked.status_code == 303, asked.text
    waiting = office.get(case).text
    assert ("缺定级材料" in waiting, f"{case}/decide" in waiting) == (True, False)
    assert "没有等您办理的事项" in office.get("/inbox").text
    assert send(admin, case, f"{case}/answer").status_code == 303
    again = office.get(case).text
    assert f"{case}/decide" in again
    assert 'value="return"' not in again  # 补正 is told once
    approve(office, case)
    assert 'value="return"' in office.get(case).text


def test_a_successor_confirms_for_an_applicant_who_has_left(
    admin: TestClient, office: TestClient, sign_in: SignIn, installation: Installation, cloud: Cloud
) -> None:
    path = draft(admin, installation)
    send(admin, path, f"{path}/submit")
    case = case_of(admin, path)
    for browser in (office, office, sign_in("hezhun")):
        approve(browser, case)
    work(installation, cloud)
    successor, at = sign_in("renshe"), installation.clock.now()
    with transaction(installation.engine) as session:
        heir = find_person_by_login(session, login="renshe")
        assert heir is not None
        wanted: dict[str, Any] = {"role": Role.bureau_admin, "at": at, "actor": INSTALLATION}
        bureau_id = get_bureau(session, code=MINZHENG).id
        give_role(session, person_id=heir.id, bureau_id=bureau_id, **wanted)
    page = successor.get(path).text
    assert (f"{path}/confirm" in page, path in successor.get("/inbox").text) == (False, False)
    with transaction(installation.engine) as session:
        left = find_person_by_login(session, login="minzheng")
        assert left is not None
        depart_person(session, actor=INSTALLATION, person_id=left.id, at=at)
    inbox = successor.get("/inbox").text
    assert (path in inbox, "申请人已离任" in inbox) == (True, True)
    assert "由部门管理员代为确认" in successor.get(path).text
    assert f"{path}/confirm" not in office.get(path).text
    assert send(successor, path, f"{path}/confirm").status_code == 303
    assert "正式生效" in successor.get(path).text
    assert path not in successor.get("/inbox").text


def test_a_case_of_a_subscription_is_not_decided_as_the_request_of_its_number(
    admin: TestClient, office: TestClient, installation: Installation
) -> None:
    shared = share(installation)
    paths = [draft(admin, installation) for _ in range(shared.pending)]
    assert paths[-1] == f"/requests/{shared.pending}"
    assert send(admin, paths[-1], f"{paths[-1]}/submit").status_code == 303
    number = office.get(f"/api/v1/subscriptions/{shared.pending}").json()["case"]
    form = {"csrf": csrf_of(office), "step": "accept", "revision": "1", "decision": "approve"}
    assert office.post(f"/cases/{number}/decide", data=form).status_code == 404
    with reading(installation.engine) as session:
        assert get_request(session, shared.pending).state == "submitted"
    assert case_of(admin, paths[-1]) in office.get("/inbox").text


def test_a_procedure_begins_today_and_what_was_typed_is_kept(
    admin: TestClient, office: TestClient, installation: Installation
) -> None:
    path = draft(admin, installation)
    send(admin, path, f"{path}/submit")
    case = case_of(admin, path)
    approve(office, case)
    typed = {"first_on": "2026-01-05", "reason": NAME}
    wrong = send(office, case, f"{case}/suspend", typed)
    assert (wrong.status_code, "须自启动当日" in wrong.text) == (422, True)
    kept = form_on(wrong.text, f"{case}/suspend")
    assert (kept["first_on"], kept["reason"]) == (["2026-01-05"], [NAME])
    begun = send(office, case, f"{case}/suspend", {"reason": NAME})
    assert (begun.status_code, begun.headers["location"]) == (303, case)
    assert "暂停计时" in office.get(case).text
