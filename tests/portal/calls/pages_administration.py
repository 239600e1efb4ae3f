"""Calls of the pages on systems, tokens, people, the capacity report and the journal."""

from datetime import timedelta

from identity.actor import Actor
from identity.queries import get_bureau, list_systems
from identity.service.access import load_roles
from identity.service.people import find_person_by_login
from identity.service.roles import list_roles
from identity.service.tokens import issue_token
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.walk import Call, Named

MZJ = "1306-mzj"
SYSTEM = {"code": "{page_system}"}
TOKEN = {"token_id": "{page_token}"}
RENSHE = {"login": "renshe"}
RSJ = "1306-rsj"

CALLS = [
    Call("GET /systems/{code}", bureau=MZJ, names=SYSTEM),
    Call("GET /bureaus/{code}/systems/new", bureau=MZJ, names={"code": MZJ}),
    Call("POST /bureaus/{code}/systems/new", bureau=MZJ, names={"code": MZJ}, form={}),
    Call("GET /systems/{code}/edit", bureau=MZJ, names=SYSTEM),
    Call("POST /systems/{code}/edit", bureau=MZJ, names=SYSTEM, form={}),
    Call("POST /systems/{code}/retire", bureau=MZJ, names=SYSTEM, form={"revision": "99"}),
    Call("GET /tokens"),
    Call("GET /systems/{code}/tokens/new", bureau=MZJ, names=SYSTEM),
    Call("POST /systems/{code}/tokens/new", bureau=MZJ, names=SYSTEM, form={}),
    Call("GET /tokens/{token_id}/rotate", bureau=MZJ, names=TOKEN),
    Call("POST /tokens/{token_id}/rotate", bureau=MZJ, names=TOKEN, form={}),
    Call("POST /tokens/{token_id}/revoke", bureau=MZJ, names=TOKEN, form={}),
    Call("GET /people"),
    Call("GET /people/{login}", bureau=RSJ, names=RENSHE, hidden=True),
    Call("GET /bureaus/{code}/people/new", bureau=RSJ, names={"code": RSJ}),
    Call("POST /bureaus/{code}/people/new", bureau=RSJ, names={"code": RSJ}, form={}),
    Call("POST /people/{login}/roles", bureau=RSJ, names=RENSHE, form={"role": "auditor", "bureau": RSJ},
         hidden=True),
    Call("POST /people/{login}/roles/{assignment_id}/end", bureau=RSJ,
         names=RENSHE | {"assignment_id": "{page_assignment}"}, form={}, hidden=True),
    Call("POST /people/{login}/password", bureau=RSJ, names={"login": "renshe"}, form={}, hidden=True),
    Call("POST /people/{login}/depart", bureau="1306-mzj", names={"login": "kaifa"}, form={}, hidden=True),
    Call("GET /report"),
    Call("GET /report", bureau=MZJ, query={"by": "system", "bureau": MZJ}),
    Call("GET /report.csv"),
    Call("GET /report.xlsx"),
    Call("GET /journal"),
    Call("GET /journal/verification"),
]  # fmt: skip


def prepare(installation: Installation) -> Named:
    """A system of 市民政局 with a token that its bureau admin issued; a role of 市人社局's member."""
    at = installation.clock.now()
    with transaction(installation.engine) as session:
        system = list_systems(session, bureau_id=get_bureau(session, code=MZJ).id)[0]
        admin = find_person_by_login(session, login="minzheng")
        member = find_person_by_login(session, login="renshe")
        assert admin
        assert member
        actor = Actor(
            "person", admin.id, admin.name, admin.bureau_id, load_roles(session, person_id=admin.id)
        )
        issued = issue_token(
            session,
            actor=actor,
            system_id=system.id,
            label="走查",
            scopes=["datasets:pull"],
            expires_on=city_date(at) + timedelta(days=90),
            at=at,
        )
        return {
            "page_system": system.code,
            "page_token": issued.token.id,
            "page_assignment": list_roles(session, person_id=member.id)[0].id,
        }
