"""Pages on shared data: cataloguing, asking, deciding; nothing typed is lost and no raw value leaks."""

import re
from collections.abc import Mapping
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select

from exchange.models import Batch, Dataset, Subscription
from exchange.queries import get_subscription
from exchange.service.guard import SharingGuard
from exchange.version_queries import get_items
from identity.queries import get_bureau
from identity.roles import Role
from infra.clock import CITY_ZONE
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from tests.portal.conftest import SignIn, appoint, csrf_of
from tests.portal.sharing import CODE, DELIVERED, PLANTED, Shared, share

TEMPLATES = Path(__file__).parents[2] / "portal/templates"
NEW = "/bureaus/1306-zhb/datasets/new"
ENTRY = {
    "do": "save",
    "code": "1306-zhb/0002",
    "title": "法人𠮷信息",
    "share_type": "unconditional",
    "update_mode": "incremental",
    "partitions": "１",
    "row": ["1", "2"],
    "name.1": "uscc",
    "type.1": "uscc",
    "sensitivity.1": "public",
    "key.1": "1",
    "name.2": "phone",
    "type.2": "mobile",
    "sensitivity.2": "personal",
    "mask.2": "keep_ends",
    "head.2": "3",
    "tail.2": "4",
}


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


def send(browser: TestClient, path: str, form: Mapping[str, Any], *, page: str = "/") -> Response:
    return browser.post(path, data={"csrf": csrf_of(browser, page), **form})


def typed(page: str, name: str) -> str:
    """The value of an input of the page."""
    found = re.search(rf'<input[^>]* name="{re.escape(name)}"[^>]* value="([^"]*)"', page)
    assert found, name
    return unescape(found.group(1))


def test_a_steward_catalogues_a_dataset_with_masks(sign_in: SignIn, installation: Installation) -> None:
    browser = sign_in("shuju")
    answer = send(browser, NEW, ENTRY, page=NEW)
    assert answer.headers["location"] == "/datasets/1306-zhb/0002"
    page = browser.get("/datasets/1306-zhb/0002").text
    assert "法人𠮷信息" in page
    assert "保留前 3 位、后 4 位" in page
    with reading(installation.engine) as session:
        made = session.scalars(select(Dataset)).one()
        assert made.key_items == ["uscc"]
        assert [item.name for item in get_items(session, dataset_id=made.id, version=1)] == ["uscc", "phone"]


def test_the_same_form_sent_twice_makes_one_dataset(sign_in: SignIn, installation: Installation) -> None:
    browser = sign_in("shuju")
    form = ENTRY | {"once": "one-key"}
    first, second = send(browser, NEW, form), send(browser, NEW, form)
    assert first.headers["location"] == second.headers["location"]
    with reading(installation.engine) as session:
        assert len(session.scalars(select(Dataset)).all()) == 1


def test_rows_come_and_go_and_nothing_typed_is_lost(sign_in: SignIn) -> None:
    browser = sign_in("shuju")
    more = send(browser, NEW, ENTRY | {"do": "add"}).text
    assert re.findall(r'name="row" value="(\d+)"', more) == ["1", "2", "3"]
    assert (typed(more, "title"), typed(more, "head.2")) == ("法人𠮷信息", "3")
    less = send(browser, NEW, ENTRY | {"do": "remove:1"}).text
    assert re.findall(r'name="row" value="(\d+)"', less) == ["2"]
    assert typed(less, "name.2") == "phone"


@pytest.mark.parametrize(
    ("change", "beside", "why"),
    [
        ({"name.2": "uscc"}, "name.2-error", "与前面的信息项重名"),
        ({"name.2": "1 坏"}, "name.2-error", "信息项名称"),
        ({"length.2": "0"}, "length.2-error", "整数"),
        ({"length.2": "9" * 5000}, "length.2-error", "整数"),
        ({"type.2": "金"}, "type.2-error", "请从所列选项中选择"),
        ({"mask.2": "generalise", "head.2": ""}, "mask.2-error", "概化"),
        ({"code": "\u202e坏"}, "code-error", "不可见的控制字符"),
        ({"title": " "}, "title-error", "请填写此项"),
        ({"share_type": "conditional"}, "share_condition-error", "共享条件"),
        ({"share_type": "none"}, "legal_basis-error", "法律依据"),
        ({"published_on": "2026-02-30"}, "published_on-error", "有效日期"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    sign_in: SignIn, installation: Installation, change: dict[str, str], beside: str, why: str
) -> None:
    answer = send(sign_in("shuju"), NEW, ENTRY | change)
    assert answer.status_code == 422
    told = re.search(rf'id="{re.escape(beside)}">([^<]*)<', answer.text)
    assert told
    assert why in told.group(1)
    assert typed(answer.text, "name.1") == "uscc"
    with reading(installation.engine) as session:
        assert session.scalars(select(Dataset)).all() == []


def test_a_key_is_needed(sign_in: SignIn) -> None:
    assert "请至少勾选一个主键信息项" in send(sign_in("shuju"), NEW, ENTRY | {"key.1": ""}).text


def test_a_code_that_is_taken_is_refused_on_the_form(sign_in: SignIn, shared: Shared) -> None:
    answer = send(sign_in("shuju"), NEW, ENTRY | {"code": CODE})
    assert answer.status_code == 422
    assert f"数据集代码“{CODE}”已被使用" in answer.text
    assert typed(answer.text, "title") == "法人𠮷信息"


def test_the_catalogue_is_searched_by_name_code_and_provider(sign_in: SignIn, shared: Shared) -> None:
    browser = sign_in("fuping")
    for search in ("常住人口", "zhb/00", "智慧城市"):
        assert CODE in browser.get("/catalogue", params={"search": search}).text
    assert CODE not in browser.get("/catalogue", params={"search": "100%"}).text
    assert CODE not in browser.get("/catalogue", params={"share": "none"}).text


def test_a_dataset_that_ended_is_offered_to_nobody_and_can_still_be_read(
    sign_in: SignIn, shared: Shared, installation: Installation
) -> None:
    browser = sign_in("minzheng")
    page = browser.get(f"/datasets/{CODE}").text
    assert f"/ask/{CODE}" in page
    assert "已停用" not in page
    with transaction(installation.engine) as session:
        office = get_bureau(session, code="1306-zhb")
        at = installation.clock.now()
        SharingGuard().on_abolish(session, bureau_ids=[office.id], at=at, actor="person:1")
    assert CODE not in browser.get("/catalogue").text
    assert browser.get("/api/v1/datasets").json()["items"] == []
    page = browser.get(f"/datasets/{CODE}").text
    assert f"/ask/{CODE}" not in page
    assert "已停用" in page
    assert browser.get(f"/api/v1/datasets/{CODE}").json()["ended_at"] is not None


@pytest.mark.parametrize("login", ["shenhe", "minzheng", "renshe", "fuping", "chushen", "shuju", "kaifa"])
def test_planted_numbers_are_on_no_page(sign_in: SignIn, shared: Shared, login: str) -> None:
    browser = sign_in(login)
    for path in (
        "/catalogue",
        f"/datasets/{CODE}",
        f"/receipts/{shared.batch_id}",
        "/subscriptions",
        f"/subscriptions/{shared.active}",
        "/",
    ):
        page = browser.get(path).text
        assert PLANTED not in page, path
        assert DELIVERED not in page, path


def test_raw_values_are_for_the_provider_and_each_look_is_journalled(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    path = f"/receipts/{shared.batch_id}/raw"
    for login in ("minzheng", "kaifa", "shenhe"):
        refused = send(sign_in(login), path, {})
        assert refused.status_code == 403
        assert PLANTED not in refused.text
    steward = sign_in("shuju")
    assert PLANTED in send(steward, path, {}).text
    assert PLANTED in send(steward, path, {}).text
    with reading(installation.engine) as session:
        looks = session.scalars(
            select(JournalEntry).where(
                JournalEntry.subject == f"batch:{shared.batch_id}", JournalEntry.personal
            )
        ).all()
        assert len(looks) == 2
        assert PLANTED not in str([look.after for look in looks])


def test_asking_keeps_what_was_typed_and_says_what_is_missing(sign_in: SignIn, shared: Shared) -> None:
    form = {"system": shared.minzheng, "item": "town", "purpose": "统计", "until_on": "2020-01-01"}
    answer = send(sign_in("minzheng"), f"/ask/{CODE}", form)
    assert answer.status_code == 422
    assert 'id="until_on-error">使用期限不得早于今天' in answer.text
    assert 'id="basis-error">请填写此项' in answer.text
    assert re.search(r'value="town" checked', answer.text)
    assert "统计</textarea>" in answer.text


def test_nobody_asks_for_a_system_of_a_neighbour(sign_in: SignIn, shared: Shared) -> None:
    form = {
        "system": shared.office,
        "item": "town",
        "purpose": "统计",
        "basis": "依法",
        "until_on": "9999-12-31",
    }
    assert send(sign_in("minzheng"), f"/ask/{CODE}", form).status_code == 403


def state_of(installation: Installation, subscription_id: int) -> Subscription:
    with reading(installation.engine) as session:
        return get_subscription(session, subscription_id=subscription_id)


def test_the_steward_grants_with_a_mask_and_the_page_goes_on_with_a_message(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    browser = sign_in("shuju")
    page = browser.get(f"/subscriptions/{shared.pending}").text
    revision = re.search(r'name="revision" value="(\d+)"', page)
    assert revision
    form = {"decision": "approve", "revision": revision.group(1), "mask.name": "drop", "once": "k"}
    path = f"/subscriptions/{shared.pending}"
    answer = send(browser, f"{path}/decide", form)
    assert answer.headers["location"] == path
    assert "已同意共享" in browser.get(path).text
    assert "已同意共享" not in browser.get(path).text
    assert send(browser, f"{path}/decide", form).headers["location"] == path
    found = state_of(installation, shared.pending)
    assert (found.state, found.masks) == ("active", {"name": {"kind": "drop"}})


def test_a_refusal_without_a_reason_is_not_one(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    path = f"/subscriptions/{shared.pending}/decide"
    answer = send(sign_in("shuju"), path, {"decision": "refuse", "revision": "1"})
    assert 'id="reason-error">请写明理由' in answer.text
    assert state_of(installation, shared.pending).state == "pending"


def test_a_stale_answer_is_kept_and_says_so_kindly(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    form = {"decision": "refuse", "reason": "用途𠮷不明确", "revision": "7"}
    answer = send(sign_in("shuju"), f"/subscriptions/{shared.pending}/decide", form)
    assert answer.status_code == 422
    assert "内容已被他人修改" in answer.text
    assert "用途𠮷不明确</textarea>" in answer.text
    assert state_of(installation, shared.pending).state == "pending"


def test_pause_resume_release_and_revoke(sign_in: SignIn, installation: Installation, shared: Shared) -> None:
    browser, path = sign_in("shuju"), f"/subscriptions/{shared.active}"
    steps: list[tuple[str, dict[str, str], str]] = [
        ("pause", {"reason": "核查"}, "paused"),
        ("resume", {}, "active"),
        ("release", {"item": "town", "mask.town": "none"}, "active"),
        ("revoke", {"reason": "不再需要"}, "revoked"),
    ]
    for act, form, state in steps:
        revision = str(state_of(installation, shared.active).revision)
        answer = send(browser, f"{path}/{act}", form | {"revision": revision})
        assert answer.status_code == 303, (act, answer.text)
        assert state_of(installation, shared.active).state == state
    assert state_of(installation, shared.active).items == ["id", "name", "town"]


def test_conditions_are_asked_for_added_and_lifted(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    """By the applicant on what it asks for, by the steward on anything; what is wrong is said at its row."""
    path = f"/subscriptions/{shared.pending}"
    browser, steward = sign_in("minzheng"), sign_in("shuju")
    wish = {"item": ["id", "town"], "purpose": "核对", "basis": "依法", "until_on": "2999-12-31"}
    wish |= {"filter_item.0": "town", "filter_operator.0": "in", "revision": "1"}
    wrong = send(browser, f"{path}/edit", wish | {"filter_values.0": "", "filter_values.1": PLANTED})
    assert "筛选值个数不符" in unescape(wrong.text)
    assert 'id="filter_item.1-error">请填写此项' in wrong.text
    assert send(browser, f"{path}/edit", wish | {"filter_values.0": "130602\n130606\n"}).status_code == 303
    assert "town 为其中之一 130602、130606" in steward.get(path).text
    assert "130602\n130606</textarea>" in browser.get(f"{path}/edit").text
    further = {"filter_item.0": "name", "filter_operator.0": "is_not_empty"}
    granted = send(steward, f"{path}/decide", {"decision": "approve", "revision": "2"} | further)
    assert granted.status_code == 303
    for act, form, items in (
        ("narrow", {"filter_item.0": "id", "filter_operator.0": "ne", "filter_values.0": DELIVERED}, 3),
        ("release", {"unfilter": ["0", "2"]}, 1),
    ):
        revision = str(state_of(installation, shared.pending).revision)
        answer = send(steward, f"{path}/{act}", form | {"revision": revision})
        assert answer.status_code == 303, answer.text
        assert len(state_of(installation, shared.pending).filters) == items
    browser.post("/language", data={"language": "en"})
    assert "name is not empty" in browser.get(path).text


def test_who_may_pull_saves_a_file_from_the_page(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    path = f"/subscriptions/{shared.active}"
    appoint(installation, "minzheng", Role.developer, "1306-mzj")
    browser = sign_in("minzheng")
    assert "导出文件" in browser.get(path).text
    file = send(browser, f"{path}/export", {"format": "csv"})
    assert file.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in file.headers["content-disposition"]
    assert file.text.startswith("\ufeffid,name\r\n")
    assert DELIVERED not in file.text
    assert send(browser, f"{path}/export", {"format": "exe"}).status_code == 422
    assert "文件导出" in browser.get(path).text
    assert send(sign_in("shuju"), f"{path}/export", {"format": "csv"}).status_code == 403


def test_the_applicant_changes_what_was_returned_and_takes_it_back(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    path = f"/subscriptions/{shared.pending}"
    returned = {"decision": "return", "reason": "请补充依据", "revision": "1"}
    assert send(sign_in("shuju"), f"{path}/decide", returned).status_code == 303
    browser = sign_in("minzheng")
    assert "请补充依据" in browser.get(path).text
    wish = {"item": "id", "purpose": "核对", "basis": "补充的依据", "until_on": "2999-12-31", "revision": "1"}
    assert send(browser, f"{path}/edit", wish).status_code == 303
    assert state_of(installation, shared.pending).basis == "补充的依据"
    assert send(browser, f"{path}/withdraw", {}).status_code == 303
    assert state_of(installation, shared.pending).state == "withdrawn"


def test_the_page_tells_how_to_pull_and_what_was_delivered(sign_in: SignIn, shared: Shared) -> None:
    page = sign_in("minzheng").get(f"/subscriptions/{shared.active}").text
    assert f"/api/v1/subscriptions/{shared.active}/records" in unescape(page)
    assert "接口拉取" in page


def test_pages_in_english_hold_none_of_the_chinese_wording(sign_in: SignIn, shared: Shared) -> None:
    wording = {
        words
        for file in TEMPLATES.glob("*.html")
        for words in re.findall(r"\bt\('([^']*)'", file.read_text())
        if re.search(r"[\u4e00-\u9fff]{2}", words)
    } - {"姓名"}  # an item of the shared dataset, shown as its bureau named it
    browser = sign_in("shuju")
    browser.post("/language", data={"language": "en"})
    for path in (
        "/catalogue",
        NEW,
        f"/datasets/{CODE}",
        f"/receipts/{shared.batch_id}",
        "/subscriptions",
        f"/subscriptions/{shared.own}",
        f"/subscriptions/{shared.active}",
        f"/ask/{CODE}",
        "/systems",
        f"/systems/{shared.office}",
    ):
        answer = browser.get(path)
        assert answer.status_code == 200
        shown = re.sub(r"<[^>]*>", "\n", answer.text)
        lines = {line.strip() for line in shown.splitlines()}
        assert lines.isdisjoint(wording), (path, lines & wording)


def test_a_system_is_named_with_its_bureau_in_the_brackets_of_the_language(
    sign_in: SignIn, shared: Shared
) -> None:
    browser = sign_in("minzheng")
    assert "社会救助核对平台（市民政局）</option>" in browser.get(f"/ask/{CODE}").text
    browser.post("/language", data={"language": "en"})
    page = browser.get(f"/ask/{CODE}").text
    assert ("社会救助核对平台 (市民政局)</option>" in page, "（" in page) == (True, False)


def test_who_sees_the_city_has_all_subscriptions_and_those_of_the_own_bureau(
    sign_in: SignIn, shared: Shared
) -> None:
    everything = {str(one) for one in (shared.pending, shared.active, shared.own)}
    office = sign_in("shenhe")
    first = office.get("/subscriptions").text
    assert 'aria-current="page">全部申请' in first
    assert listed(first) == everything
    assert listed(office.get("/subscriptions?side=ours").text) == {str(shared.own)}
    assert listed(office.get("/subscriptions?side=asked_of_us").text) == everything
    applicant = sign_in("minzheng").get("/subscriptions").text
    assert ("全部申请" in applicant, 'aria-current="page">我们申请的' in applicant) == (False, True)
    assert listed(applicant) == {str(shared.pending), str(shared.active)}


def test_the_catalogue_tells_when_a_dataset_was_last_published_to(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    with reading(installation.engine) as session:
        batch = session.get_one(Batch, shared.batch_id)
        assert batch.settled_at
        told = (
            f"{batch.settled_at.astimezone(CITY_ZONE):%Y-%m-%d %H:%M} <small>本批 {batch.upserts} 条</small>"
        )
    browser = sign_in("fuping")
    assert told in browser.get("/catalogue").text
    assert told in browser.get(f"/datasets/{CODE}").text
    with transaction(installation.engine) as session:
        session.get_one(Batch, shared.batch_id).update_mode = "full"
    told_in_full = told.replace("本批", "全量")
    assert told_in_full in browser.get("/catalogue").text
    assert told_in_full in browser.get(f"/datasets/{CODE}").text
    send(sign_in("shuju"), NEW, ENTRY)
    assert "尚无数据" in browser.get("/catalogue").text


def listed(page: str) -> set[str]:
    """The numbers of the subscriptions that the page lists."""
    return set(re.findall(r'href="/subscriptions/(\d+)"', page))
