"""Calls of the routes on cases, the inbox, the hall's items and alarms, the calendar and the journal."""

from approval.queries import list_notices
from approval.service import load_items, open_case, submit_case
from identity.queries import get_bureau
from identity.roles import Permission
from identity.service.people import find_person_by_login
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.walk import Call, Named

CITY, MINZHENG = "1306", "1306-mzj"
CASE = {"number": "{hall_case}"}
STALE = {"If-Match": '"r99"'}
CSV = {"Content-Type": "text/csv"}

CALLS = [
    Call("GET /api/v1/cases"),
    Call("GET /api/v1/cases/{number}", bureau=MINZHENG, names=CASE, hidden=True,
         permission=Permission.requests_see),
    Call("POST /api/v1/cases/{number}/acceptance", bureau=CITY, names=CASE, headers=STALE, hidden=True),
    Call("POST /api/v1/cases/{number}/supplement", bureau=CITY, names=CASE, headers=STALE, hidden=True,
         json={"missing": "定级材料"}),
    Call("POST /api/v1/cases/{number}/supplement/answer", bureau=MINZHENG, names=CASE, headers=STALE,
         hidden=True),
    Call("POST /api/v1/cases/{number}/suspensions", bureau=CITY, names=CASE, hidden=True,
         json={"procedure": "hearing", "first_on": "{hall_today}", "reason": "听证"}),
    Call("POST /api/v1/cases/{number}/resumption", bureau=CITY, names=CASE, hidden=True,
         json={"procedure": "hearing"}),
    Call("GET /api/v1/inbox"),
    Call("GET /api/v1/notices"),
    Call("POST /api/v1/notices/{number}/reading", names={"number": "{hall_notice}"}),
    Call("GET /api/v1/items"),
    Call("GET /api/v1/items/{code}", names={"code": "resource-request"}),
    Call("GET /api/v1/alarms", bureau=CITY),
    Call("GET /api/v1/calendar/years"),
    Call("GET /api/v1/calendar/years/{year}", names={"year": "2026"}),
    Call("POST /api/v1/calendar/import", bureau=CITY, query={"source": "国办发明电"}, headers=CSV,
         content=b"date,kind\n2027-01-01,holiday\n"),
    Call("GET /api/v1/journal"),
    Call("GET /api/v1/journal", bureau=MINZHENG, query={"bureau": MINZHENG}),
    Call("GET /api/v1/journal/verification", bureau=CITY),
]  # fmt: skip


def prepare(installation: Installation) -> Named:
    """A case of 市民政局 that waits to be accepted, and a notice of it."""
    at = installation.clock.now()
    with transaction(installation.engine) as session:
        load_items(session, at=at)
        applicant = find_person_by_login(session, login="minzheng")
        office = get_bureau(session, code=CITY).id
        assert applicant
        case = open_case(
            session,
            item_code="resource-request",
            applicant_id=applicant.id,
            bureau_id=get_bureau(session, code=MINZHENG).id,
            subject_kind="request",
            subject_id=1_000_000,
            at=at,
        )
        submit_case(
            session,
            case_id=case.id,
            person_id=applicant.id,
            places={"office": office},
            skip_steps=["first_review"],
            at=at,
        )
        (notice,) = list_notices(session, person_id=0, roles=[("operator", office)], limit=1)
        return {"hall_case": case.number, "hall_notice": notice.id, "hall_today": city_date(at).isoformat()}
