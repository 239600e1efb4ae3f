"""The sample city's cloud for conversations: a region, two bureaus with quota, and its work done by hand."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from identity.queries import get_bureau
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.cloud import IMAGE, open_sample_region
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud
from provisioning.queries import list_due
from provisioning.quota import Limits
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.servers import provision_server

API = "/api/v1"
REGION = "baoding"
MINZHENG, FUPING, TOWN = "1306-mzj", "130624", "130624100"
SYSTEM, COUNTY_SYSTEM, TOWN_SYSTEM = f"{MINZHENG}-s1", f"{FUPING}-s1", f"{TOWN}-s1"
SMALL, LARGE = "g2", "g4"
"""Flavors of 2 vCPU, 4096 MiB and of 4 vCPU, 8192 MiB."""
ROOM = {
    "servers": 10,
    "vcpus": 40,
    "ram_mib": 163840,
    "root_gib": 2000,
    "volume_gib": 4000,
    "volumes": 20,
}
CITY_ROOM = {key: 10 * amount for key, amount in ROOM.items()}
ROUNDS_AT_MOST = 40


def open_cloud(here: Installation) -> Cloud:
    """The sample's region; ROOM for 市民政局 and for 阜平县, out of CITY_ROOM."""
    cloud = connect(here.settings, REGION, here.clock)
    open_sample_region(here, cloud)
    with transaction(here.engine) as session:
        wanted: dict[str, Any] = {"region": REGION, "at": here.clock.now(), "actor": "person:1"}
        top = get_bureau(session, code="1306")
        set_root_grant(session, bureau_id=top.id, limit=Limits.parse(CITY_ROOM), **wanted)
        for code in (MINZHENG, FUPING):
            bureau = get_bureau(session, code=code)
            grant_quota(session, bureau_id=bureau.id, limit=Limits.parse(ROOM), **wanted)
    return cloud


def work(here: Installation, cloud: Cloud) -> None:
    """What workers and sweeps do: visit every server that waits, until none does."""
    at = here.clock.now()
    for _ in range(ROUNDS_AT_MOST):
        with reading(here.engine) as session:
            due = list_due(session, at=at + timedelta(days=3650), limit=1000)
        if not due:
            return
        _visit(here, cloud, due, at=at)
        at += timedelta(seconds=31)
    raise AssertionError(f"servers still wait: {due}")


def _visit(here: Installation, cloud: Cloud, due: Sequence[int], *, at: datetime) -> None:
    for server_id in due:
        provision_server(here.engine, cloud, server_id=server_id, now=lambda: at)


def in_a_year(here: Installation) -> str:
    """The last day of a lease of a year."""
    return (city_date(here.clock.now()) + timedelta(days=365)).isoformat()


def wish(here: Installation, **changes: Any) -> dict[str, Any]:
    """The body of a request: two lines of servers for 市民政局's system."""
    lines = [
        {"count": 2, "flavor": SMALL, "image": IMAGE, "volume_gib": 50},
        {"count": 1, "flavor": LARGE, "image": IMAGE},
    ]
    wanted = {
        "kind": "servers",
        "system": SYSTEM,
        "region": REGION,
        "purpose": "智慧民生扩容",
        "lines": lines,
    }
    return {**wanted, "end_on": in_a_year(here), **changes}


def submitted(client: TestClient, body: dict[str, Any]) -> int:
    """The id of a request that was drafted and handed in."""
    made = client.post(f"{API}/requests", json=body)
    assert made.status_code == 201, made.text
    done = client.post(f"{API}/requests/{made.json()['id']}/submit")
    assert done.status_code == 200, done.text
    return int(made.json()["id"])


def build(api: Callable[[str], TestClient], here: Installation, cloud: Cloud) -> None:
    """The three servers of a `wish` of 市民政局's, which still wait for its confirmation."""
    number = submitted(api("minzheng"), wish(here))
    for login, step in (("shenhe", "accept"), ("shenhe", "review"), ("hezhun", "verify")):
        answer = decide(api(login), number, step)
        assert answer.status_code == 200, answer.text
    work(here, cloud)


def decide(
    client: TestClient,
    request_id: int,
    step: str,
    decision: str = "approve",
    *,
    reason: str = "",
    tag: str = "",
) -> Response:
    """A decision on the request as it stands, or as `tag` saw it."""
    path = f"{API}/requests/{request_id}"
    seen = tag or client.get(path).headers["etag"]
    body = {"step": step, "decision": decision, "reason": reason}
    return client.post(f"{path}/decide", json=body, headers={"if-match": seen})
