"""Correcting bad records over HTTP, in the browser and with the command; who may see their values."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from openpyxl import load_workbook

from exchange.forms import CSV, XLSX
from infra.installation import Installation
from tests.portal.commands import Listening, Siji
from tests.portal.conftest import Api, csrf_of, portal_over
from tests.portal.markup import faults_of
from tests.portal.sharing import CODE, DELIVERED, PLANTED, Shared, share

RIGHT = "130602199003070086"
API = "/api/v1"


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


@pytest.fixture
def steward(api: Api, shared: Shared) -> TestClient:
    """The data steward of the provider."""
    return api("shuju")


def kept(shared: Shared) -> str:
    return f"{API}/batches/{shared.batch_id}/quarantine"


def send(client: TestClient, shared: Shared, content: bytes, kind: str, **query: str) -> Response:
    return client.post(
        f"{kept(shared)}/corrections", content=content, params=query, headers={"content-type": kind}
    )


def mended(content: bytes, value: str) -> bytes:
    book = load_workbook(io.BytesIO(content))
    book.active["E2"] = value
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_file_goes_out_and_comes_back_corrected(steward: TestClient, shared: Shared, api: Api) -> None:
    gone = steward.get(f"{kept(shared)}/file", params={"form": "xlsx"})
    assert (gone.status_code, gone.headers["content-type"]) == (200, XLSX)
    still = send(steward, shared, mended(gone.content, PLANTED), XLSX).json()
    assert (still["redriven"], still["receipts"], still["still_bad"][0]["place"]) == (0, [], 2)
    assert PLANTED not in str(still)
    done = send(steward, shared, mended(gone.content, RIGHT), XLSX)
    assert done.status_code == 200, done.text
    [receipt] = done.json()["receipts"]
    assert (receipt["corrects_id"], receipt["upserts"], receipt["state"]) == (shared.batch_id, 1, "settled")
    assert send(steward, shared, mended(gone.content, RIGHT), XLSX).json() == done.json()
    detail = steward.get(f"{API}/batches/{shared.batch_id}").json()
    assert (detail["quarantine"], detail["corrected_by"]) == ({"redriven": 1}, [receipt["id"]])
    [bad] = steward.get(kept(shared)).json()["items"]
    assert (bad["state"], bad["redriven_into"]) == ("redriven", receipt["id"])
    left = steward.get(f"{kept(shared)}/file").content.decode("utf-8-sig")
    assert left.splitlines() == ["$op,$id,$place,$reasons,id,name,town"]
    for path in ("file", "raw"):
        assert api("minzheng").get(f"{kept(shared)}/{path}").status_code == 403
    other = api("minzheng")
    assert send(other, shared, b"[]", "application/json").status_code == 403


def test_newer_records_are_named_and_overwritten_by_force(steward: TestClient, shared: Shared) -> None:
    correction = f"$place,id,name\n2,{DELIVERED},李\n".encode()
    refused = send(steward, shared, correction, CSV)
    assert (refused.status_code, refused.json()["code"]) == (409, "newer_records")
    assert str(shared.batch_id) in refused.json()["detail"]
    assert DELIVERED not in refused.text
    assert send(steward, shared, correction, CSV, force="以更正为准").json()["redriven"] == 1


def test_discarding_needs_a_reason(steward: TestClient, shared: Shared) -> None:
    path = f"{kept(shared)}/discarding"
    assert steward.post(path, json={"places": [2], "reason": " "}).status_code == 422
    assert steward.post(path, json={"places": [9], "reason": "x"}).status_code == 422
    assert steward.post(path, json={"places": [2], "reason": "测试"}).json() == {"discarded": 1}
    [bad] = steward.get(kept(shared)).json()["items"]
    assert (bad["state"], bad["reason"]) == ("discarded", "测试")


@pytest.fixture
def browser(installation: Installation, shared: Shared, sample_sqlite: tuple[str, str]) -> TestClient:
    found = TestClient(portal_over(installation), follow_redirects=True)
    found.post("/sign-in", data={"login": "shuju", "password": sample_sqlite[1]})
    return found


def press(browser: TestClient, path: str, **how: Any) -> Response:
    data = {"csrf": csrf_of(browser, "/password"), **how.pop("data", {})}
    answer = browser.post(path, data=data, **how)
    if answer.headers["content-type"].startswith("text/html"):
        assert faults_of(answer.text) == [], answer.text
    return answer


def test_a_record_is_corrected_in_a_form(browser: TestClient, shared: Shared) -> None:
    page = browser.get(f"/datasets/{CODE}").text
    assert "有 1 条问题数据待处理" in page
    path = f"/receipts/{shared.batch_id}"
    form = press(browser, f"{path}/correction", data={"place": "2"}).text
    assert PLANTED in form
    typed = {"place": "2", "op": "upsert", "item.id": PLANTED, "item.name": "李大壮", "item.town": "130602"}
    wrong = press(browser, f"{path}/redrive", data=typed)
    assert (wrong.status_code, 'id="item.id-error"' in wrong.text) == (422, True)
    done = press(browser, f"{path}/redrive", data=typed | {"item.id": RIGHT})
    assert re.search(rf"来自回执\s*<a href=\"{path}\"", done.text), done.text
    assert "已更正入库" in browser.get(path).text
    assert "条问题数据待处理" not in browser.get(f"/datasets/{CODE}").text
    again = press(browser, f"{path}/correction", data={"place": "2"})
    assert PLANTED not in again.text


def test_a_file_is_corrected_in_the_browser(browser: TestClient, shared: Shared) -> None:
    path = f"/receipts/{shared.batch_id}"
    gone = press(browser, f"{path}/file", data={"form": "xlsx"})
    assert gone.headers["content-disposition"] == f'attachment; filename="quarantine-{shared.batch_id}.xlsx"'
    assert press(browser, f"{path}/corrections").status_code == 422
    still = press(browser, f"{path}/corrections", files={"file": ("x.xlsx", gone.content)})
    assert (still.status_code, "位置 2：" in still.text) == (422, True)
    broken = press(browser, f"{path}/corrections", files={"file": ("x.xlsx", b"PK\x03\x04")})
    assert broken.status_code == 422
    right = {"file": ("x.xlsx", mended(gone.content, RIGHT))}
    assert "来自回执" in press(browser, f"{path}/corrections", files=right).text


def test_records_are_discarded_in_the_browser(browser: TestClient, shared: Shared) -> None:
    path = f"/receipts/{shared.batch_id}"
    assert press(browser, f"{path}/discard", data={"place": "2"}).status_code == 422
    assert press(browser, f"{path}/discard", data={"reason": "测试"}).status_code == 422
    assert "已放弃" in press(browser, f"{path}/discard", data={"place": "2", "reason": "测试"}).text


def test_the_command_exports_corrects_and_discards(
    installation: Installation,
    shared: Shared,
    sample_sqlite: tuple[str, str],
    listening: tuple[Listening, str],
    tmp_path: Path,
) -> None:
    served, url = listening
    served.portal = portal_over(installation)
    siji = Siji(url, installation.settings.data_dir, sample_sqlite[1])
    file = tmp_path / "bad.csv"
    assert siji(f"quarantine export {shared.batch_id} {file}", by="shuju").exit_code == 0
    text = file.read_text("utf-8-sig")
    assert PLANTED in text
    assert "仍有问题 1" in siji(f"quarantine correct {shared.batch_id} {file}", by="shuju").output
    file.write_text(text.replace(PLANTED, RIGHT), "utf-8-sig")
    done = siji(f"quarantine correct {shared.batch_id} {file}", by="shuju")
    assert "已更正入库 1" in done.output
    refused = siji(f"quarantine discard {shared.batch_id} 2 --reason x", by="shuju")
    assert (refused.exit_code, "已更正入库" in refused.output) == (1, True)
