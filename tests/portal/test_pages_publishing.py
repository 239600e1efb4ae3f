"""Publishing a file from the browser: shown as it is understood, stored only when the person says so."""

import io
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from openpyxl import Workbook
from sqlalchemy import func, select

from exchange.models import Batch
from infra.database import reading
from infra.installation import Installation
from portal.pages import publishing
from tests.portal.browser import form_on
from tests.portal.conftest import SignIn
from tests.portal.markup import faults_of
from tests.portal.sharing import CODE, DELIVERED, PLANTED, Shared, change_items, fail_once, share

PAGE = f"/publish/{CODE}"
ROWS = [["身份号码", "姓名", "town"], [DELIVERED, "王小<b>", "130602"], [PLANTED, "李大壮", "130624"]]
TABLE = "\n".join(",".join(row) for row in ROWS)


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


@pytest.fixture
def browser(sign_in: SignIn, shared: Shared) -> TestClient:
    return sign_in("shuju")


def choose(browser: TestClient, name: str, content: bytes, **typed: str) -> Response:
    """Send the form of the page with a file."""
    opened = browser.get(PAGE)
    assert (opened.status_code, faults_of(opened.text)) == (200, [])
    fields: dict[str, Any] = {
        key: values[0] for key, values in form_on(opened.text, PAGE).items() if key != "file"
    }
    answer = browser.post(PAGE, data={**fields, **typed}, files={"file": (name, content)})
    assert faults_of(answer.text) == []
    return answer


def go_on(browser: TestClient, page: str, **typed: str) -> Response:
    """Send the form of the page that shows the file."""
    fields = {key: values[0] for key, values in form_on(page, PAGE).items()}
    return browser.post(PAGE, data={**fields, **typed})


def batches(installation: Installation) -> int:
    with reading(installation.engine) as session:
        return session.scalar(select(func.count()).select_from(Batch)) or 0


def workbook() -> bytes:
    made = Workbook()
    for row in ROWS:
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", TABLE.encode()), ("a.csv", TABLE.encode("gb18030")), ("a.xlsx", workbook())],
)
def test_a_file_is_shown_before_it_is_stored_and_stored_once(
    browser: TestClient, installation: Installation, name: str, content: bytes
) -> None:
    assert PAGE in browser.get(f"/datasets/{CODE}").text
    before = batches(installation)
    shown = choose(browser, name, content)
    assert shown.status_code == 200
    assert "王小&lt;b&gt;" in shown.text
    assert "<dd>2</dd>" in shown.text
    bad = shown.text.partition("读到的内容")[0]
    assert "“id”不是有效的居民身份号码" in bad
    assert PLANTED not in bad
    assert batches(installation) == before
    stored = go_on(browser, shown.text, do="publish")
    assert stored.status_code == 303, stored.text
    receipt = browser.get(stored.headers["location"]).text
    assert "已发布，回执如下" in receipt
    assert "王小" not in receipt
    again = go_on(browser, shown.text, do="publish")
    assert again.headers["location"] == stored.headers["location"]
    assert "此前已接收" in browser.get(again.headers["location"]).text
    assert batches(installation) == before + 1


def test_what_no_text_may_hold_is_shown_as_its_escape(browser: TestClient) -> None:
    for value in (r'{"id":"1","name":"\ud800"}', r'{"id":"1","name":["\udfff"]}', r'{"id":"1","\ud800":"a"}'):
        shown = choose(browser, "a.json", f'[{{"value":{value}}}]'.encode())
        assert shown.status_code == 200
        assert ("\\ud800" in shown.text) == ('"name":"' in value)


def test_the_encoding_is_chosen_on_the_page_that_cannot_tell_it(
    browser: TestClient, installation: Installation
) -> None:
    content = f"id,name\n{DELIVERED},模\n".encode("gb18030")
    unclear = choose(browser, "a.csv", content)
    assert unclear.status_code == 422
    assert "请指明编码" in unclear.text
    assert 'value="publish"' not in unclear.text
    clear = go_on(browser, unclear.text, encoding="gb18030", do="preview")
    assert (clear.status_code, "<td>模</td>" in clear.text.replace(' data-label="name"', "")) == (200, True)
    assert go_on(browser, clear.text, do="publish").status_code == 303


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b'id\n"1\n', "第 2 行"),
        ("a.csv", b"id,\xe5\xbc\xa0\n1,2\n", "第 2（B） 列"),
        ("a.xlsx", b"PK", "不是有效的 XLSX"),
        ("a.csv.gz", b"\x1f\x8b\x08", "内容不完整"),
        ("a.json", b"[1]", "每条应为"),
        ("a.csv", b"", "请选择要发布的文件"),
    ],
)
def test_what_is_wrong_with_a_file_stands_on_the_page(
    browser: TestClient, installation: Installation, name: str, content: bytes, told: str
) -> None:
    before = batches(installation)
    answer = choose(browser, name, content, do="publish")
    assert answer.status_code == 422
    assert told in answer.text
    assert batches(installation) == before


def test_what_the_page_kept_may_be_anything(
    browser: TestClient, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = choose(browser, "a.csv", TABLE.encode())
    for kept in ("", "z", "zAAAA", "pééé", "p%", "x"):
        assert go_on(browser, shown.text, kept=kept, do="publish").status_code == 422, kept
    assert go_on(browser, shown.text, system="1306-mzj-s1", do="publish").status_code == 422
    assert go_on(browser, shown.text, encoding="klingon", do="publish").status_code == 422
    monkeypatch.setattr(publishing, "MOST", 10)
    assert "siji publish" in choose(browser, "a.csv", TABLE.encode()).text
    assert batches(installation) == 1


def test_a_file_that_did_not_reach_the_log_is_read_under_its_first_items(
    browser: TestClient, installation: Installation
) -> None:
    shown = choose(browser, "a.csv", TABLE.encode())
    fail_once(installation)
    assert go_on(browser, shown.text, do="publish").status_code == 503
    change_items(installation)
    assert go_on(browser, shown.text, do="publish").status_code == 303
    assert choose(browser, "a.csv", TABLE.encode() + b"\n").status_code == 422


def test_only_the_providers_people_may(sign_in: SignIn, shared: Shared) -> None:
    neighbour = sign_in("minzheng")
    assert PAGE not in neighbour.get(f"/datasets/{CODE}").text
    assert neighbour.get(PAGE).status_code == 403
