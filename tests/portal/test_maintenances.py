"""A host taken out of service as people meet it: the office plans, a bureau answers; API, commands, pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from identity.queries import get_bureau
from infra.clock import CITY_ZONE
from infra.database import transaction
from infra.installation import Installation
from provisioning.cloud.driver import Cloud
from provisioning.models import Server
from provisioning.service.rounds import tend_maintenance
from tests.portal.browser import error_at, send
from tests.portal.cloud import API, FUPING, MINZHENG, REGION, build
from tests.portal.commands import Siji
from tests.portal.conftest import Api, SignIn


@pytest.fixture
def host(api: Api, installation: Installation, cloud: Cloud) -> str:
    """The host that 市民政局's servers are on, all of them."""
    found, *others = [one.name for one in cloud.list_hosts()]
    for name in others:
        cloud.set_host_enabled(name, enabled=False, reason="x")
    build(api, installation, cloud)
    for name in others:
        cloud.set_host_enabled(name, enabled=True, reason="")
    assert {one.host for one in cloud.list_servers()} == {found}
    return found


def window(hours: float = 0) -> dict[str, str]:
    begins = datetime.now(UTC) + timedelta(hours=hours)
    return {"from_at": begins.isoformat(), "until_at": (begins + timedelta(hours=2)).isoformat()}


def body(host: str, **how: Any) -> dict[str, Any]:
    return {"region": REGION, "host": host, "live": False, "reason": "更换内存", **window(), **how}


def tend(here: Installation, cloud: Cloud, number: int, rounds: int = 1) -> None:
    """What workers do each minute."""
    for one in range(rounds):
        at = here.clock.now() + timedelta(minutes=one)
        tend_maintenance(here.engine, cloud, maintenance_id=number, at=at)


def test_cold_over_the_api(api: Api, installation: Installation, cloud: Cloud, host: str) -> None:
    office, admin, other = api("shenhe"), api("minzheng"), api("renshe")
    made = office.post(f"{API}/maintenances", json=body(host), headers={"idempotency-key": "k"})
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    path = f"{API}/maintenances/{number}"
    again = office.post(f"{API}/maintenances", json=body(host))
    assert (again.status_code, again.json()["code"]) == (409, "maintenance_under_way")
    assert admin.get(path).status_code == 403
    tend(installation, cloud, number)
    [met] = admin.get(path).json()["bureaus"]
    assert (met["bureau"], len(met["servers"]), met["answer"]) == (MINZHENG, 3, None)
    assert admin.get(path).json()["fault"] is None
    assert "尚有单位未同意" in office.get(path).json()["fault"]["zh"]
    assert [one["id"] for one in admin.get(f"{API}/maintenances").json()["items"]] == [number]
    assert other.get(f"{API}/maintenances").json()["items"] == []
    assert other.get(path).status_code == 403
    answer = {"bureau": MINZHENG, "reason": "集中申报期"}
    assert other.post(f"{path}/agree", json=answer).status_code == 403
    assert office.post(f"{path}/agree", json=answer).status_code == 403
    assert admin.post(f"{path}/object", json={**answer, "reason": " "}).status_code == 422
    assert admin.post(f"{path}/object", json=answer).json()["bureaus"][0]["answer"] == "objected"
    assert admin.post(f"{path}/overrule", json={"reason": "故障"}).status_code == 403
    assert office.post(f"{path}/overrule", json={"reason": "故障"}).json()["overruled"] == "故障"
    tend(installation, cloud, number, rounds=6)
    found = admin.get(path).json()
    assert (found["state"], found["left"], len(found["moves"])) == ("drained", 0, 3)
    assert {one["to_host"] for one in found["moves"]}.isdisjoint({host, None})
    late = admin.post(f"{path}/agree", json=answer)
    assert (late.status_code, late.json()["code"]) == (409, "maintenance_state")
    assert office.post(f"{path}/end").json()["state"] == "ending"
    tend(installation, cloud, number)
    assert office.get(path).json()["state"] == "ended"


def test_a_bureau_sees_nothing_of_others(
    api: Api, installation: Installation, cloud: Cloud, host: str
) -> None:
    number = api("shenhe").post(f"{API}/maintenances", json=body(host, live=True)).json()["id"]
    with transaction(installation.engine) as session:
        one = session.scalars(select(Server).where(Server.cloud_id.is_not(None)).limit(1)).first()
        assert one is not None
        one.bureau_id = get_bureau(session, code=FUPING).id
        name = one.name
    tend(installation, cloud, number, rounds=4)
    path = f"{API}/maintenances/{number}"
    whole, own = api("shenhe").get(path).json(), api("minzheng").get(path).json()
    assert (len(whole["bureaus"]), len(whole["moves"])) == (2, 3)
    assert (len(own["bureaus"]), len(own["moves"])) == (1, 2)
    assert name not in str(own)


def test_commands(siji: Siji, installation: Installation, cloud: Cloud, host: str) -> None:
    begins = (datetime.now(CITY_ZONE) + timedelta(hours=1)).replace(tzinfo=None)
    line = [
        "maintenances", "plan", host, "--region", REGION, "--reason", "更换内存", "--cold",
        "--from", begins.isoformat(timespec="minutes"),
        "--until", (begins + timedelta(hours=2)).isoformat(timespec="minutes"),
    ]  # fmt: skip
    siji.did(line, by="shenhe")
    [row] = siji.json("maintenances list", by="shenhe")
    number = str(row["id"])
    tend(installation, cloud, row["id"])
    siji.did(["maintenances", "agree", number, "--bureau", MINZHENG], by="minzheng")
    told = siji(f"maintenances show {number}", by="minzheng").stdout
    assert "已计划" in told
    assert "同意" in told
    assert siji.json("maintenances list --state drained", by="minzheng") == []
    wrong = siji(["maintenances", "plan", host, "--region", REGION, "--reason", "x", "--from", "明天",
                  "--until", "后天"], by="shenhe")  # fmt: skip
    assert wrong.exit_code == 1
    assert "时刻“明天”无效" in wrong.stderr
    siji.did(["maintenances", "end", number], by="shenhe")
    assert siji.json(f"maintenances show {number}", by="shenhe")["state"] == "cancelled"


def test_pages(sign_in: SignIn, siji: Siji, installation: Installation, cloud: Cloud, host: str) -> None:
    office, admin = sign_in("shenhe"), sign_in("minzheng")
    assert 'name="host"' not in admin.get("/maintenances").text
    form = {"region": REGION, "host": host, "how": "cold", "reason": "<b>内存</b>", "from_at": "x"}
    refused = send(office, "/maintenances", "/maintenances", form)
    assert refused.status_code == 422, refused.text
    assert error_at(refused.text, "from_at")
    assert error_at(refused.text, "until_at")
    begins = datetime.now(CITY_ZONE)
    form |= {
        "from_at": begins.strftime("%Y-%m-%dT%H:%M"),
        "until_at": (begins + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M"),
    }
    past = {**form, "until_at": form["from_at"]}
    refused = send(office, "/maintenances", "/maintenances", past)
    assert "结束时间须晚于开始时间" in refused.text
    done = send(office, "/maintenances", "/maintenances", form)
    path = done.headers["location"]
    assert done.status_code == 303
    number = int(path.rpartition("/")[2])
    tend(installation, cloud, number)
    assert path in office.get("/notices").text
    assert path in admin.get("/notices").text
    page = admin.get(path).text
    assert "&lt;b&gt;内存&lt;/b&gt;" in page
    assert "强制进行" not in page
    objected = {"bureau": MINZHENG, "answer": "objected", "reason": " "}
    refused = send(admin, path, f"{path}/answer", objected)
    assert (refused.status_code, "请填写此项" in refused.text) == (422, True)
    done = send(admin, path, f"{path}/answer", {**objected, "reason": "集中申报期"})
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert "集中申报期" in office.get(path).text
    done = send(office, path, f"{path}/overrule", {"reason": "故障"})
    assert done.status_code == 303
    tend(installation, cloud, number, rounds=6)
    page = admin.get(path).text
    assert "已腾空" in page
    assert "已迁至" in page
    assert 'name="answer"' not in page
    done = send(office, path, f"{path}/end", {})
    assert done.status_code == 303
    tend(installation, cloud, number)
    assert host not in office.get("/maintenances").text
    assert host in office.get("/maintenances?state=ended").text
