"""Pages on systems and tokens: a secret is shown once, a stale or bad form keeps what was typed."""

import re
from typing import Any

import pytest
from sqlalchemy import select

from identity.queries import get_bureau, get_system
from identity.roles import Role
from infra import journal
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from infra.journal import JournalEntry
from tests.portal.browser import send
from tests.portal.conftest import SignIn, appoint, csrf_of

SYSTEM = "/systems/1306-mzj-s1"


def test_a_token_is_shown_once_and_not_to_a_second_sending(sign_in: SignIn) -> None:
    browser = sign_in("minzheng")
    form = {
        "csrf": csrf_of(browser),
        "once": "k",
        "label": "对账",
        "scope": "datasets:pull",
        "expires_on": "",
    }
    wrong = browser.post(f"{SYSTEM}/tokens/new", data=form)
    assert wrong.status_code == 422
    assert 'id="expires_on-error">请填写此项' in wrong.text
    listed = browser.get(SYSTEM).text
    assert "对账" not in listed
    far = browser.post(f"{SYSTEM}/tokens/new", data=form | {"expires_on": "9999-12-31"})
    assert "令牌到期日 9999-12-31 无效" in far.text
    latest = re.search(r"至 (\d{4}-\d\d-\d\d) 之间", far.text)
    assert latest
    good = form | {"expires_on": latest.group(1)}
    issued = browser.post(f"{SYSTEM}/tokens/new", data=good)
    text = re.search(r"<pre><code>([^<]+)</code>", issued.text)
    assert text
    again = browser.post(f"{SYSTEM}/tokens/new", data=good)
    assert again.headers["location"] == SYSTEM
    page = browser.get(SYSTEM).text
    assert page.count("datasets:pull") == 1
    assert text.group(1) not in page


def test_a_stale_edit_keeps_what_was_typed(sign_in: SignIn, installation: Installation) -> None:
    browser = sign_in("minzheng")
    form = {
        "csrf": csrf_of(browser),
        "name": "𠮷新名",
        "mlps_grade": "2",
        "zone": "extranet",
        "revision": "9",
    }
    answer = browser.post(f"{SYSTEM}/edit", data=form)
    assert answer.status_code == 422
    assert "内容已被他人修改" in answer.text
    assert 'value="𠮷新名"' in answer.text
    assert browser.post(f"{SYSTEM}/edit", data=form | {"revision": "1"}).headers["location"] == SYSTEM
    with reading(installation.engine) as session:
        assert get_system(session, code="1306-mzj-s1").name == "𠮷新名"


def test_a_system_of_grade_4_is_refused_beside_its_field(sign_in: SignIn) -> None:
    browser = sign_in("minzheng")
    form = {"csrf": csrf_of(browser), "code": "new", "name": "新", "mlps_grade": "4", "zone": "internet"}
    answer = browser.post("/bureaus/1306-mzj/systems/new", data=form)
    assert 'id="mlps_grade-error">政务云只接受等保 1 至 3 级的系统' in answer.text
    assert 'value="new"' in answer.text


def test_every_look_at_a_systems_contacts_is_journalled(sign_in: SignIn, installation: Installation) -> None:
    browser = sign_in("minzheng")
    csrf = csrf_of(browser)
    form = {"csrf": csrf, "name": "名", "mlps_grade": "2", "zone": "extranet", "contacts": "王工，3088123"}
    assert browser.post(f"{SYSTEM}/edit", data=form | {"revision": "1"}).status_code == 303
    before = count_looks(installation)
    shows = [
        browser.get(SYSTEM),
        browser.get(f"{SYSTEM}/edit"),
        browser.post(f"{SYSTEM}/retire", data={"csrf": csrf, "revision": "99"}),
    ]
    assert ["王工" in page.text for page in shows] == [True] * 3
    assert count_looks(installation) == before + 3


def count_looks(installation: Installation) -> int:
    """How often the journal says that somebody looked at a system's contacts."""
    with reading(installation.engine) as session:
        query = select(JournalEntry.id).where(JournalEntry.act == "system.see_contacts")
        return len(session.scalars(query).all())


@pytest.mark.parametrize("path", ["/tokens/{}/rotate", "/tokens/{}/revoke", "/people/renshe/roles/{}/end"])
@pytest.mark.parametrize("number", ["0", str(2**63), "9" * 400])
def test_a_number_that_no_row_has_is_refused(sign_in: SignIn, path: str, number: str) -> None:
    browser = sign_in("anquan" if "people" in path else "minzheng")
    answer = browser.post(path.format(number), data={"csrf": csrf_of(browser)})
    assert answer.status_code == 422
    assert 'data-code="malformed"' in answer.text


def test_the_security_administrator_finds_and_revokes_a_token_without_seeing_its_system(
    sign_in: SignIn, installation: Installation
) -> None:
    at = installation.clock.now()
    send(
        sign_in("minzheng"),
        f"{SYSTEM}/tokens/new",
        f"{SYSTEM}/tokens/new",
        {"label": "夜间推送", "scope": "datasets:publish", "expires_on": city_date(at).isoformat()},
    )
    security = sign_in("anquan")
    assert 'href="/tokens"' in security.get("/").text
    assert security.get(SYSTEM).status_code == 403
    assert "没有符合条件的令牌" in security.get("/tokens", params={"search": "没有"}).text
    page = security.get("/tokens", params={"search": "民政局"}).text
    assert "夜间推送" in page
    assert f'href="{SYSTEM}"' not in page
    act = re.search(r'action="(/tokens/\d+/revoke)"', page)
    assert act
    onlooker = sign_in("shenhe").get("/tokens").text
    assert ("夜间推送" in onlooker, "操作</th>" in onlooker, "/revoke" in onlooker) == (True, False, False)
    appoint(installation, "shenhe", Role.bureau_admin, "1306-rsj")
    elsewhere = sign_in("shenhe").get("/tokens").text
    assert ("操作</th>" in elsewhere, "/revoke" in elsewhere) == (True, False)
    done = send(security, "/tokens", act.group(1))
    assert done.headers["location"] == "/tokens"
    assert "夜间推送" not in security.get("/tokens").text
    revoked = security.get("/tokens", params={"revoked": "1"}).text
    assert ("夜间推送" in revoked, act.group(1) in revoked) == (True, False)
    assert security.post(act.group(1), data={"csrf": "", "from_list": "1"}).status_code == 403


def test_a_list_of_tokens_shows_those_of_ones_own_scope_only(
    sign_in: SignIn, installation: Installation
) -> None:
    send(
        sign_in("minzheng"),
        f"{SYSTEM}/tokens/new",
        f"{SYSTEM}/tokens/new",
        {
            "label": "夜间推送",
            "scope": "datasets:publish",
            "expires_on": city_date(installation.clock.now()).isoformat(),
        },
    )
    assert "夜间推送" in sign_in("minzheng").get("/tokens").text
    assert "夜间推送" not in sign_in("fuping").get("/tokens").text


@pytest.mark.parametrize(
    ("bureau", "minzheng", "renshe"),
    [("民政", True, False), ("1306-rsj", False, True), ("没有", False, False)],
)
def test_people_are_found_by_part_of_their_bureaus_name_or_by_its_code(
    sign_in: SignIn, bureau: str, minzheng: bool, renshe: bool
) -> None:
    page = sign_in("shenhe").get("/people", params={"bureau": bureau}).text
    assert ("孙民政" in page, "李人社" in page) == (minzheng, renshe)


def test_the_journal_is_read_in_chinese_and_leads_on(sign_in: SignIn, installation: Installation) -> None:
    with transaction(installation.engine) as session:
        bureau_id = get_bureau(session, code="1306-mzj").id
        wanted: dict[str, Any] = {"actor": "person:1", "act": "bureau.rename", "at": installation.clock.now()}
        after = {"name": "民政局<新>"}
        journal.append(session, subject=f"bureau:{bureau_id}", bureau_id=bureau_id, after=after, **wanted)
        journal.append(session, subject="request:70", bureau_id=bureau_id, **wanted)
    page = sign_in("shenji").get("/journal?act=bureau.rename").text
    assert "民政局&lt;新&gt;" in page
    assert "\\u" not in page
    assert f'市民政局<small><a href="/bureaus/1306-mzj">bureau:{bureau_id}</a>' in page
    assert '资源申请<small><a href="/journal?subject=request%3A70">request:70</a>' in page
