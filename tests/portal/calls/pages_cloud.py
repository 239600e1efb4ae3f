"""Calls of the pages on quota, servers, requests, cases and the inbox; calls/cloud.py makes what they use."""

from sqlalchemy import select

from approval.models import Case
from identity.roles import Permission
from infra.database import reading
from infra.installation import Installation
from provisioning.models import Request
from tests.portal.walk import Call, Named

MINZHENG = "1306-mzj"
PLACE = {"code": MINZHENG, "region": "baoding"}
GRANTS = "/bureaus/{code}/grants/{region}"
NEW = {"kind": "servers", "system": f"{MINZHENG}-s1", "region": "baoding"}

REMOVAL = {
    "kind": "removal",
    "bureau": MINZHENG,
    "region": "baoding",
    "purpose": "走查",
    "finding": "{stray_id}",
}
DRAFT = {"request_id": "{draft_id}"}
ASKS = Permission.requests_submit


def prepare(here: Installation) -> Named:
    """The case number of the request that calls/cloud.py submitted, in whose file's turn this comes."""
    with reading(here.engine) as session:
        query = (
            select(Case.number).join(Request, Request.case_id == Case.id).where(Request.state == "submitted")
        )
        return {"case_number": session.scalars(query.order_by(Case.id.desc()).limit(1)).one()}


CASE = {"number": "{case_number}"}
SEEN = {"step": "accept", "revision": "1", "decision": "return", "reason": "走查"}

CALLS = [
    Call("GET /bureaus/{code}/history", bureau=MINZHENG, names=PLACE),
    Call(f"GET {GRANTS}", bureau=MINZHENG, names=PLACE),
    Call(f"GET {GRANTS}/change", bureau="1306", names=PLACE),
    Call(f"POST {GRANTS}/change", bureau="1306", names=PLACE, form={"grant_seen": "0"}),
    Call(f"GET {GRANTS}/mode", bureau=MINZHENG, names=PLACE),
    Call(f"POST {GRANTS}/mode", bureau=MINZHENG, names=PLACE, form={"mode": "shared", "grant_seen": "0"}),
    Call(f"GET {GRANTS}/freeze", bureau=MINZHENG, names=PLACE),
    Call(f"POST {GRANTS}/freeze", bureau=MINZHENG, names=PLACE, form={"grant_seen": "0"}),
    Call(f"POST {GRANTS}/unfreeze", bureau=MINZHENG, names=PLACE, form={"grant_seen": "0"}),
    Call("GET /bureaus/{code}/servers", bureau=MINZHENG, names=PLACE),
    Call("GET /maintenances"),
    Call("POST /maintenances", bureau="1306", form={}),
    Call("GET /maintenances/{maintenance_id}", bureau=MINZHENG),
    Call(
        "POST /maintenances/{maintenance_id}/answer",
        bureau=MINZHENG,
        form={"bureau": MINZHENG, "answer": "agreed", "reason": ""},
    ),
    Call("POST /maintenances/{maintenance_id}/overrule", bureau="1306", form={"reason": "故障"}),
    Call("POST /maintenances/{maintenance_id}/end", bureau="1306", form={}),
    Call("GET /findings"),
    Call("POST /findings", bureau="1306", form={}),
    Call("GET /findings/{finding_id}", bureau=MINZHENG),
    Call("POST /findings/{finding_id}/acknowledge", bureau=MINZHENG, form={"reason": "维护"}),
    Call("GET /servers/{server_id}", bureau=MINZHENG),
    Call("POST /servers/{server_id}/stop", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/start", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/reboot", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/console", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/reclaim", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/retry", bureau=MINZHENG, form={}),
    Call("POST /servers/{server_id}/give-up", bureau=MINZHENG, form={}),
    Call("GET /requests"),
    Call("GET /requests/new"),
    Call("GET /requests/new", bureau=MINZHENG, query=NEW, permission=ASKS),
    Call("POST /requests/new", bureau=MINZHENG, form=NEW, permission=ASKS),
    Call("GET /requests/new", bureau=MINZHENG, query={"finding": "{stray_id}"}),
    Call("POST /requests/new", bureau=MINZHENG, form=REMOVAL),
    Call("GET /requests/{request_id}", bureau=MINZHENG),
    Call("GET /requests/{request_id}/edit", bureau=MINZHENG, names=DRAFT, permission=ASKS),
    Call("POST /requests/{request_id}/edit", bureau=MINZHENG, names=DRAFT, form={}, permission=ASKS),
    Call("POST /requests/{request_id}/submit", bureau=MINZHENG, names=DRAFT, form={}, permission=ASKS),
    Call("POST /requests/{request_id}/withdraw", bureau=MINZHENG, form={}, permission=ASKS),
    Call("POST /requests/{request_id}/confirm", bureau=MINZHENG, form={}),
    Call("GET /cases/{number}", names=CASE),
    Call("POST /cases/{number}/decide", names=CASE, form=SEEN),
    Call("POST /cases/{number}/suspend", names=CASE, form={"procedure": "hearing", "first_on": "2026-03-02"}),
    Call("POST /cases/{number}/resume", names=CASE, form={"procedure": "hearing", "last_on": "2026-03-02"}),
    Call("POST /cases/{number}/answer", names=CASE, form={"revision": "1"}),
    Call("GET /inbox"),
    Call("GET /notices"),
    Call("POST /notices/read", form={"notice": "1"}),
]
