"""The pages of requests beyond their usual way: quota changes, servers that change meanwhile, dead ends."""

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from identity.actor import INSTALLATION
from identity.models import RoleAssignment
from identity.queries import get_bureau
from identity.roles import Role
from identity.service.roles import end_role
from infra.database import transaction
from infra.installation import Installation
from portal.sample.cloud import IMAGE
from provisioning.cloud.driver import Cloud
from provisioning.models import Server
from provisioning.service.regions import open_region
from tests.portal.browser import error_at, fill, form_on, send
from tests.portal.cloud import (
    API,
    MINZHENG,
    REGION,
    SMALL,
    SYSTEM,
    build,
    decide,
    submitted,
    wish,
)
from tests.portal.conftest import Api, SignIn, appoint, csrf_of

ALIKE = (
    "line_id", "work_line_id", "system_id", "bureau_id", "zone", "image", "flavor", "amounts", "state",
    "since_at",
)  # fmt: skip
SHORT_OF_VCPUS = '<td data-label="单位">保定市</td><td data-label="资源">vCPU</td>'
CHANGE = f"/requests/new?kind=quota_change&bureau={MINZHENG}"


@pytest.fixture
def admin(sign_in: SignIn, cloud: Cloud) -> TestClient:
    """The browser of 市民政局's admin."""
    return sign_in("minzheng")


def test_a_quota_change_warns_of_what_the_parent_lacks(admin: TestClient) -> None:
    typed = form_on(admin.get(CHANGE).text, "/requests/new")
    assert typed["limit.vcpus"] == ["40"]
    within = send(admin, CHANGE, "/requests/new", {"purpose": "扩容", "limit.vcpus": "50"})
    assert "配额预警" not in admin.get(within.headers["location"]).text
    beyond = send(admin, CHANGE, "/requests/new", {"purpose": "扩容", "limit.vcpus": "100000"})
    page = admin.get(beyond.headers["location"]).text
    assert ("配额预警" in page, SHORT_OF_VCPUS in page) == (True, True)


def test_servers_that_change_meanwhile_stay_in_a_request_until_they_are_taken_out(
    admin: TestClient, api: Api, installation: Installation, cloud: Cloud
) -> None:
    build(api, installation, cloud)
    first, second, third = (one["id"] for one in admin.get(f"{API}/servers").json()["items"])
    release = f"/requests/new?kind=release&system={SYSTEM}"
    fields = form_on(admin.get(release).text, "/requests/new")
    picked = {**fields, "purpose": ["项目结束"], "target": [str(first), str(second)]}
    edit = admin.post("/requests/new", data=picked).headers["location"] + "/edit"
    put_into(installation, {first: "stopping", second: "released"})
    page = admin.get(edit).text
    assert form_on(page, edit)["target"] == [str(first), str(second)]
    assert ("停机中" in page, "已释放" in page) == (True, True)
    assert send(admin, edit, edit, {"purpose": "项目已结束"}).status_code == 303
    assert form_on(admin.get(edit).text, edit)["target"] == [str(first), str(second)]

    put_into(installation, {third: "releasing"})
    stale = {**fields, "purpose": ["项目结束"], "target": [str(first), str(third)]}
    told = admin.post("/requests/new", data=stale)
    assert (told.status_code, f"（编号 {third}）现已不能办理" in told.text) == (422, True)
    assert form_on(told.text, "/requests/new")["target"] == [str(first)]
    assert fill(admin, told.text, "/requests/new").status_code == 303


def test_all_servers_of_a_system_in_the_region_are_offered_and_no_others(
    admin: TestClient, api: Api, installation: Installation, cloud: Cloud
) -> None:
    build(api, installation, cloud)
    with transaction(installation.engine) as session:
        open_region(session, name="north", at=installation.clock.now(), actor="person:1")
        for number in range(600):
            region = "north" if number % 2 else REGION
            session.add(like(session.get_one(Server, 1), f"more-{number}", region))
        for number in range(300):
            session.add(like(session.get_one(Server, 1), f"last-{number}", REGION))
    page = admin.get(f"/requests/new?kind=release&system={SYSTEM}").text
    assert page.count('name="target"') == 3 + 300 + 300
    assert ("more-598<" in page, "last-299<" in page, "more-599<" in page) == (True, True, False)


def like(one: Server, name: str, region: str) -> Server:
    """Another server of its request, in the region."""
    kept = {field: getattr(one, field) for field in ALIKE}
    return Server(**kept, tag=name, name=name, region=region, allocation_key=name)


def test_the_count_of_open_requests_is_that_of_the_list_that_it_leads_to(
    admin: TestClient, api: Api, installation: Installation
) -> None:
    kept, taken_back = (submitted(api("minzheng"), wish(installation)) for _ in range(2))
    gone = f"/requests/{taken_back}"
    assert send(admin, gone, f"{gone}/withdraw").status_code == 303
    link, count = re.findall(
        r'<a href="([^"]+)"><strong>(\d+)</strong><span>我在办的申请', admin.get("/").text
    )[0]
    listed = admin.get(unescape(link)).text
    assert (count, listed.count('<th scope="row"')) == ("1", 1)
    assert (f'"/requests/{kept}"' in listed, f'"{gone}"' in listed) == (True, False)
    assert admin.get("/requests?mine=1").text.count('<th scope="row"') == 2


def test_the_count_leaves_out_what_the_reader_may_not_see_any_more(
    sign_in: SignIn, admin: TestClient, api: Api, installation: Installation
) -> None:
    submitted(api("minzheng"), wish(installation))
    appoint(installation, "minzheng", Role.bureau_admin, "1306-rsj")
    counted = re.compile(r"<strong>(\d+)</strong><span>我在办的申请")
    assert counted.findall(admin.get("/").text) == ["1"]
    with transaction(installation.engine) as session:
        [held] = session.scalars(
            select(RoleAssignment).where(
                RoleAssignment.bureau_id == get_bureau(session, code=MINZHENG).id,
                RoleAssignment.role == Role.bureau_admin,
            )
        )
        end_role(session, actor=INSTALLATION, assignment_id=held.id, at=installation.clock.now())
    assert counted.findall(sign_in("minzheng").get("/").text) == ["0"]


def test_requests_are_found_by_part_of_the_name_of_their_bureau_or_of_one_above(
    sign_in: SignIn, admin: TestClient, api: Api, installation: Installation
) -> None:
    link = f'"/requests/{submitted(api("minzheng"), wish(installation))}"'
    office = sign_in("shenhe")
    for named, is_there in {"民政": True, MINZHENG: True, "保定": True, "1306": True, "阜平": False}.items():
        assert (link in office.get("/requests", params={"bureau": named}).text) is is_there, named
    assert link not in sign_in("fuping").get("/requests", params={"bureau": "保定"}).text


def test_the_form_to_edit_is_for_who_applied_while_it_can_be_saved(
    admin: TestClient, sign_in: SignIn, api: Api, installation: Installation
) -> None:
    path = f"/requests/{submitted(api('minzheng'), wish(installation))}"
    edit = f"{path}/edit"
    opened = admin.get(edit).text
    appoint(installation, "renshe", Role.bureau_admin, MINZHENG)
    colleague = sign_in("renshe")
    assert (colleague.get(path).status_code, f'"{edit}"' in colleague.get(path).text) == (200, False)
    foreign = colleague.get(edit)
    assert (foreign.status_code, "只有办件" in foreign.text) == (403, True)
    adding = {"csrf": csrf_of(colleague), "act": "add-line"}
    assert colleague.post(edit, data=adding).status_code == 403
    assert send(admin, path, f"{path}/withdraw").status_code == 303
    assert (admin.get(edit).status_code, "不能修改" in admin.get(edit).text) == (409, True)
    late = fill(admin, opened, edit, {"purpose": "已经晚了"})
    assert (late.status_code, form_on(late.text, edit)["purpose"]) == (409, ["已经晚了"])


def test_a_withdrawal_that_failed_shows_what_was_typed(
    admin: TestClient, api: Api, installation: Installation
) -> None:
    path = f"/requests/{submitted(api('minzheng'), wish(installation))}"
    assert "<details><summary>撤回申请" in admin.get(path).text
    wrong = send(admin, path, f"{path}/withdraw", {"reason": "不再需要\x07"})
    assert (wrong.status_code, "不可见" in error_at(wrong.text, "reason")) == (422, True)
    assert "<details open><summary>撤回申请" in wrong.text
    late = admin.post(f"{path}/submit", data={"csrf": csrf_of(admin)})
    assert (late.status_code, "<details><summary>撤回申请" in late.text) == (409, True)


def test_two_special_procedures_have_a_form_each(
    admin: TestClient, sign_in: SignIn, api: Api, installation: Installation
) -> None:
    number = submitted(api("minzheng"), wish(installation))
    assert decide(api("shenhe"), number, "accept").status_code == 200
    case = f"/cases/{api('minzheng').get(f'{API}/requests/{number}').json()['case']}"
    office = sign_in("shenhe")
    for procedure in ("hearing", "testing"):
        begun = send(office, case, f"{case}/suspend", {"procedure": procedure, "reason": "需要"})
        assert begun.status_code == 303, begun.text
    wrong = send(office, case, f"{case}/resume", {"procedure": "testing", "last_on": "明天"})
    assert (wrong.status_code, bool(error_at(wrong.text, "resume-testing"))) == (422, True)
    assert not error_at(wrong.text, "resume-hearing")


def put_into(here: Installation, states: dict[int, str]) -> None:
    """As if the servers' visits had come that far."""
    with transaction(here.engine) as session:
        for server_id, state in states.items():
            session.get_one(Server, server_id).state = state


def test_a_request_names_the_limit_that_runs_and_its_last_day(
    admin: TestClient, api: Api, installation: Installation
) -> None:
    number = submitted(api("minzheng"), wish(installation))
    page = unescape(admin.get(f"/requests/{number}").text)
    assert re.search(r"受理期限：\s*应于 [\d-]+（含当日）前办结", page)
    assert "办理期限" not in page
    assert decide(api("shenhe"), number, "accept").status_code == 200
    page = unescape(admin.get(f"/requests/{number}").text)
    assert re.search(r"办理期限：\s*应于 [\d-]+（含当日）前办结", page)
    assert "受理期限" not in page


def test_who_decides_sees_the_totals_and_what_the_bureau_has_left(
    sign_in: SignIn, api: Api, installation: Installation, cloud: Cloud
) -> None:
    short = {"count": 11, "flavor": SMALL, "image": IMAGE}
    number = submitted(api("minzheng"), wish(installation, lines=[short]))
    case = api("minzheng").get(f"{API}/requests/{number}").json()["case"]
    page = sign_in("shenhe").get(f"/cases/{case}").text
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page.partition("办理后余量")[2].partition("</table>")[0])
    assert cells[:6] == ["11", "10", "-1", "22", "40", "18"]
    assert "配额预警" in page
    assert "办理后余量" in sign_in("minzheng").get(f"/requests/{number}").text


def test_titles_in_english_begin_with_a_capital(
    admin: TestClient, api: Api, installation: Installation
) -> None:
    number = submitted(api("minzheng"), wish(installation))
    page = admin.get(f"/requests/{number}", headers={"accept-language": "en"}).text
    assert "<h1>More servers" in page
    assert "<strong>Acceptance</strong>" in page
    assert [name in page for name in (">Servers</th>", ">vCPU</th>", ">VCPU</th>")] == [True, True, False]
    home = admin.get("/", headers={"accept-language": "en"}).text
    assert re.search(r"<strong>\d+</strong><span>City-level units", home)
