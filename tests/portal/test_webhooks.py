"""Webhooks through the faces: set, shown with their secret once, changed, redriven, skipped, removed."""

import re
from typing import Any

import pytest
from sqlalchemy import update

from exchange.models import Webhook
from infra.database import transaction
from infra.installation import Installation
from tests.portal.conftest import SignIn, csrf_of
from tests.portal.sharing import Shared, share

URL = "https://jz.example.gov.cn/siji"


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


def stopped(installation: Installation) -> None:
    """As after the last try of a message."""
    place: dict[str, Any] = {"p": {"0": 1}, "t": 0, "g": None, "d": None, "r": 0}
    with transaction(installation.engine) as session:
        dead = {"state": "dead", "message_id": "msg_1", "after": place, "last_status": 500, "attempts": 11}
        session.execute(update(Webhook).values(**dead, last_fault="status"))


def test_on_the_page_it_is_set_and_mended(
    sign_in: SignIn, installation: Installation, shared: Shared
) -> None:
    browser, path = sign_in("minzheng"), f"/subscriptions/{shared.active}"

    def send(act: str, **form: str) -> Any:
        return browser.post(f"{path}/webhook/{act}", data={"csrf": csrf_of(browser, path), **form})

    assert "地址应以 https:// 开头" in send("set", url="ftp://a.example/").text
    made = send("set", url=URL)
    assert re.search(r"whsec_[A-Za-z0-9+/=]{44}", made.text)
    page = browser.get(path).text
    assert URL in page
    assert "whsec_" not in page
    assert "whsec_" in send("rotate", overlap_hours="2").text
    stopped(installation)
    page = browser.get(path).text
    assert "多次失败，已停止" in page
    assert "msg_1" in page
    assert "跳过须写明理由" in send("skip", reason=" ").text
    assert send("skip", reason="已补录").headers["location"] == path
    stopped(installation)
    assert send("redrive").headers["location"] == path
    assert "多次失败" not in browser.get(path).text
    browser.post("/language", data={"language": "en"})
    assert "Send it again" not in browser.get(path).text
    assert send("remove").headers["location"] == path
    assert URL not in browser.get(path).text
    provider = sign_in("shuju").get(path).text
    assert "/webhook/set" not in provider
