"""Calls of the routes on regions, grants, requests, servers and the report, and what they need there."""

from datetime import UTC, datetime, timedelta
from typing import Any

from identity.models import Person
from identity.queries import get_system
from identity.roles import Permission
from identity.service.people import find_person_by_login
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from portal.sample.aside import Aside
from portal.sample.cloud import IMAGE, grant_down_the_tree, open_sample_region
from provisioning.cloud.connect import connect
from provisioning.models import Finding, MaintenanceMeets, Server
from provisioning.queries import list_lines
from provisioning.quota import Resources
from provisioning.service.asking import LineAsked
from provisioning.service.maintenances import plan_maintenance
from provisioning.service.requests import draft_request, submit_request
from tests.portal.walk import Call, Named

MINZHENG = "1306-mzj"
PLACE = {"code": MINZHENG, "region": "baoding"}
SEEN = {"If-Match": '"r1"'}


def prepare(here: Installation) -> Named:
    """The sample's region and grants, a draft and a submitted request of 民政局, and a failed server."""
    cloud = connect(here.settings, here.settings.region, here.clock)
    open_sample_region(here, cloud)
    grant_down_the_tree(here, region=cloud.region, aside=Aside())
    at = here.clock.now()
    with transaction(here.engine) as session:
        system = get_system(session, code=f"{MINZHENG}-s1")
        applicant = find_person_by_login(session, login="minzheng")
        assert isinstance(applicant, Person)
        line = LineAsked(count=1, flavor=cloud.list_flavors()[0].name, image=IMAGE, volume_gib=10)
        wanted: dict[str, Any] = {
            "kind": "servers", "applicant_id": applicant.id, "region": cloud.region, "purpose": "走查",
            "at": at, "system_id": system.id, "end_on": city_date(at + timedelta(days=30)),
        }  # fmt: skip
        draft = draft_request(session, **wanted, lines=[line])
        asked = draft_request(session, **wanted, lines=[line])
        submit_request(session, request_id=asked.id, person_id=applicant.id, at=at)
        line_id = list_lines(session, asked.id)[0].id
        server = Server(
            tag="walked", name="walked-1", line_id=line_id, work_line_id=line_id, system_id=system.id,
            bureau_id=system.bureau_id, region=cloud.region, zone="extranet", image=IMAGE,
            flavor=line.flavor or "", amounts=Resources.of(servers=1), state="failed",
            since_at=datetime(2026, 3, 2, tzinfo=UTC),
            allocation_key="walked", fault={"zh": "资源不足", "en": "no valid host"},
        )  # fmt: skip
        session.add(server)
        session.flush()
        finding = Finding(
            region=cloud.region, kind="server_status", subject="record:server:walked", name="walked-1",
            bureau_id=system.bureau_id, server_id=server.id, facts={"recorded": "ACTIVE", "found": "SHUTOFF"},
            first_seen_at=at, last_seen_at=at,
        )  # fmt: skip
        stray = Finding(
            region=cloud.region, kind="volume_unrecorded", subject="volume:walked", name="walked-disk",
            bureau_id=system.bureau_id, cloud_id="walked-disk", first_seen_at=at, last_seen_at=at,
            facts={"project": "x", "status": "available", "size_gib": 7, "server": None, "made_at": ""},
        )  # fmt: skip
        session.add_all([finding, stray])
        session.flush()
        maintenance = plan_maintenance(
            session, region=cloud.region, host="walked", live=False, reason="更换内存", from_at=at,
            until_at=at + timedelta(hours=2), at=at, actor="person:1",
        )  # fmt: skip
        session.add(
            MaintenanceMeets(
                maintenance_id=maintenance.id, bureau_id=system.bureau_id, servers=[server.name], told_at=at,
                reason="",
            )
        )  # fmt: skip
        return {
            "maintenance_id": maintenance.id,
            "finding_id": finding.id,
            "stray_id": stray.id,
            "draft_id": draft.id, "request_id": asked.id, "server_id": server.id,
            "flavor": line.flavor, "end_on": city_date(at + timedelta(days=30)).isoformat(),
        }  # fmt: skip


NEW = {
    "kind": "servers", "system": f"{MINZHENG}-s1", "region": "baoding", "purpose": "走查",
    "end_on": "{end_on}", "lines": [{"count": 1, "flavor": "{flavor}", "image": IMAGE}],
}  # fmt: skip

REMOVAL = {
    "kind": "removal", "region": "baoding", "purpose": "走查", "lines": [{"finding": "{stray_id}"}],
}  # fmt: skip
ASKS = Permission.requests_submit

CALLS = [
    Call("GET /api/v1/regions"),
    Call("GET /api/v1/regions/{region}/flavors", names=PLACE),
    Call("GET /api/v1/regions/{region}/images", names=PLACE),
    Call("GET /api/v1/regions/{region}/capacity", bureau="1306", names=PLACE),
    Call("PUT /api/v1/regions/{region}", bureau="1306", names=PLACE, json={"reserve_largest_host": False}),
    Call(
        "PUT /api/v1/regions/{region}/reserve",
        bureau="1306",
        names=PLACE,
        json={"reserve_largest_host": False},
    ),
    Call("POST /api/v1/regions/{region}/refresh", bureau="1306", names=PLACE),
    Call("GET /api/v1/maintenances"),
    Call(
        "POST /api/v1/maintenances",
        bureau="1306",
        json={
            "region": "baoding",
            "host": "walked-too",
            "live": True,
            "reason": "更换内存",
            "from_at": "2030-03-02T22:00:00+08:00",
            "until_at": "2030-03-03T02:00:00+08:00",
        },
    ),
    Call("GET /api/v1/maintenances/{maintenance_id}", bureau=MINZHENG),
    Call("POST /api/v1/maintenances/{maintenance_id}/agree", bureau=MINZHENG, json={"bureau": MINZHENG}),
    Call(
        "POST /api/v1/maintenances/{maintenance_id}/object",
        bureau=MINZHENG,
        json={"bureau": MINZHENG, "reason": "集中申报期"},
    ),
    Call("POST /api/v1/maintenances/{maintenance_id}/overrule", bureau="1306", json={"reason": "内存故障"}),
    Call("POST /api/v1/maintenances/{maintenance_id}/end", bureau="1306"),
    Call("GET /api/v1/findings"),
    Call("GET /api/v1/findings/{finding_id}", bureau=MINZHENG),
    Call(
        "POST /api/v1/findings/{finding_id}/acknowledge", bureau=MINZHENG, json={"reason": "维护窗口内停机"}
    ),
    Call("GET /api/v1/audits"),
    Call("POST /api/v1/audits", bureau="1306"),
    Call("GET /api/v1/bureaus/{code}/grants/{region}", bureau=MINZHENG, names=PLACE),
    Call("GET /api/v1/bureaus/{code}/grants/{region}/children", bureau=MINZHENG, names=PLACE),
    Call("GET /api/v1/bureaus/{code}/grants/{region}/history", bureau=MINZHENG, names=PLACE),
    Call(
        "PUT /api/v1/bureaus/{code}/grants/{region}",
        bureau="1306",
        names=PLACE,
        headers=SEEN,
        json={"limit": {"vcpus": 1}},
    ),
    Call(
        "PUT /api/v1/bureaus/{code}/grants/{region}/mode",
        bureau=MINZHENG,
        names=PLACE,
        headers=SEEN,
        json={"mode": "shared"},
    ),
    Call(
        "PUT /api/v1/bureaus/{code}/grants/{region}/freeze",
        bureau=MINZHENG,
        names=PLACE,
        headers=SEEN,
        json={"limit": {}, "reason": "走查"},
    ),
    Call("DELETE /api/v1/bureaus/{code}/grants/{region}/freeze", bureau=MINZHENG, names=PLACE, headers=SEEN),
    Call("GET /api/v1/requests"),
    Call("GET /api/v1/requests", bureau=MINZHENG, query={"bureau": MINZHENG}),
    Call("GET /api/v1/requests/{request_id}", bureau=MINZHENG),
    Call("POST /api/v1/requests", bureau=MINZHENG, json=NEW, permission=ASKS),
    Call("POST /api/v1/requests", bureau=MINZHENG, json=REMOVAL),
    Call(
        "PATCH /api/v1/requests/{request_id}",
        bureau=MINZHENG,
        names={"request_id": "{draft_id}"},
        headers=SEEN,
        json={"purpose": "走查二"},
        permission=ASKS,
    ),
    Call(
        "POST /api/v1/requests/{request_id}/submit",
        bureau=MINZHENG,
        names={"request_id": "{draft_id}"},
        permission=ASKS,
    ),
    Call(
        "POST /api/v1/requests/{request_id}/decide",
        bureau=MINZHENG,
        headers=SEEN,
        json={"step": "accept", "decision": "return", "reason": "走查"},
    ),
    Call(
        "POST /api/v1/requests/{request_id}/withdraw",
        bureau=MINZHENG,
        json={"reason": "走查"},
        permission=ASKS,
    ),
    Call("POST /api/v1/requests/{request_id}/confirm", bureau=MINZHENG),
    Call("GET /api/v1/servers"),
    Call("GET /api/v1/servers", bureau=MINZHENG, query={"bureau": MINZHENG}),
    Call("GET /api/v1/servers/{server_id}", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/stop", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/start", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/reboot", bureau=MINZHENG, json={"hard": True}),
    Call("POST /api/v1/servers/{server_id}/console", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/retry", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/give-up", bureau=MINZHENG),
    Call("POST /api/v1/servers/{server_id}/reclaim", bureau=MINZHENG, json={"reason": "走查"}),
    Call("GET /api/v1/reports/capacity"),
    Call("GET /api/v1/reports/capacity", bureau="1306", query={"by": "region"}),
    Call("GET /api/v1/reports/capacity", bureau=MINZHENG, query={"bureau": MINZHENG, "form": "xlsx"}),
]
