"""Recalls through the faces: a provider takes records back, a receiver is told and answers."""

import json

import pytest

from infra.installation import Installation
from tests.portal.commands import Listening, Siji
from tests.portal.conftest import Api, SignIn, csrf_of, portal_over
from tests.portal.sharing import CODE, DELIVERED, Shared, share

PATH = f"/api/v1/datasets/{CODE}/recalls"


@pytest.fixture
def shared(installation: Installation) -> Shared:
    return share(installation)


def test_over_the_api_it_is_done_once_and_answered(api: Api, shared: Shared) -> None:
    provider, subscriber = api("shuju"), api("minzheng")
    wish = {"receipt": shared.batch_id, "reason": "误发"}
    once = {"idempotency-key": "k"}
    made = provider.post(PATH, json=wish, headers=once, params={"system": shared.office})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["records"], told["receivers"], told["unanswered"]) == (1, 1, 1)
    [receiver] = told["received"]
    assert (receiver["subscription"], receiver["ways"], receiver["answer"]) == (shared.active, ["pull"], "")
    assert DELIVERED not in made.text
    again = provider.post(PATH, json=wish, headers=once, params={"system": shared.office})
    assert again.json() == told
    other = provider.post(
        PATH, json=wish | {"reason": "别的"}, headers=once, params={"system": shared.office}
    )
    assert other.status_code == 409
    receipt = provider.get(f"/api/v1/batches/{told['receipt']}").json()
    assert (receipt["deletes"], receipt["upserts"]) == (1, 0)
    own = f"/api/v1/subscriptions/{shared.active}/recalls"
    [received] = subscriber.get(own).json()["items"]
    assert (received["recall"], received["why"], received["count"]) == (told["id"], "误发", 1)
    place = f"{own}/{told['id']}"
    assert subscriber.post(place, json={"answer": "kept"}).status_code == 422
    assert subscriber.post(place, json={"answer": "kept", "reason": "在办"}).json()["answer"] == "kept"
    assert subscriber.post(place, json={"answer": "deleted"}).json()["answer"] == "deleted"
    assert subscriber.post(place, json={"answer": "kept", "reason": "在办"}).status_code == 409
    assert provider.post(place, json={"answer": "deleted"}).status_code == 403
    shown = provider.get(f"/api/v1/recalls/{told['id']}").json()
    assert (shown["unanswered"], shown["received"][0]["answer"]) == (0, "deleted")
    assert subscriber.get(f"/api/v1/recalls/{told['id']}").status_code == 403
    assert [one["id"] for one in provider.get(PATH).json()["items"]] == [told["id"]]


def test_on_the_page_a_receiver_answers(api: Api, sign_in: SignIn, shared: Shared) -> None:
    wish = {"keys": [{"id": DELIVERED}], "reason": "误发"}
    made = api("shuju").post(
        PATH, json=wish, headers={"idempotency-key": "k"}, params={"system": shared.office}
    )
    number = made.json()["id"]
    browser, path = sign_in("minzheng"), f"/subscriptions/{shared.active}"

    def send(**form: str) -> str:
        data = {"csrf": csrf_of(browser, path), **form}
        answer = browser.post(f"{path}/recalls/{number}", data=data)
        return answer.headers.get("location", "") or answer.text

    assert "误发" in browser.get(path).text
    assert 'aria-invalid="true"' in send(answer="kept", reason="")
    assert send(answer="kept", reason="在办") == path
    assert "在办" in browser.get(path).text
    assert send(answer="deleted", reason="") == path
    assert f"/recalls/{number}" not in browser.get(path).text
    assert "撤回" in browser.get("/notices").text


def test_by_command(
    siji: Siji, shared: Shared, listening: tuple[Listening, str], installation: Installation
) -> None:
    listening[0].portal = portal_over(installation)
    key = json.dumps({"id": DELIVERED})
    made = json.loads(
        siji.did(
            f"recalls new {CODE} --key '{key}' --reason 误发 --system {shared.office} --json", by="shuju"
        )
    )
    assert "1" in siji.did(f"recalls list {CODE}", by="shuju")
    assert "误发" in siji.did(f"recalls received {shared.active}", by="minzheng")
    siji.did(f"recalls answer {shared.active} {made['id']} deleted", by="minzheng")
    assert "已删除" in siji.did(f"recalls show {made['id']}", by="shuju", language="zh")
    refused = siji(f"recalls new {CODE} --key nothing --reason 误发", by="shuju")
    assert refused.exit_code == 1
    assert "nothing" in refused.output
