"""Calls of the routes on the tree, the systems, people, roles and tokens, and on who one is."""

from datetime import timedelta
from typing import Any

from identity.actor import INSTALLATION, Actor
from identity.queries import get_bureau, list_systems
from identity.roles import Role
from identity.service.access import load_roles
from identity.service.people import add_person, find_person_by_login
from identity.service.roles import give_role
from identity.service.tokens import issue_token
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation
from tests.portal.walk import Call, Named

MINZHENG, RENSHE = "1306-mzj", "1306-rsj"
AT = {"code": MINZHENG}
SYSTEM = {"code": "{api_system}"}
STAYS, GOES = {"login": "api-stays"}, {"login": "api-goes"}
STALE = {"If-Match": '"r99"'}
CSV = {"Content-Type": "text/csv"}

CALLS = [
    Call("GET /api/v1/me"),
    Call("GET /api/v1/bureaus"),
    Call("GET /api/v1/bureaus/{code}", bureau=MINZHENG, names=AT),
    Call("GET /api/v1/bureaus/{code}/history", bureau=MINZHENG, names=AT),
    Call("GET /api/v1/tree", query={"top": MINZHENG}),
    Call("POST /api/v1/bureaus/{code}/renaming", bureau=MINZHENG, names=AT, json={"name": "新名"},
         headers=STALE),
    Call("POST /api/v1/bureaus/{code}/recoding", bureau=MINZHENG, names=AT, json={"code": "1306-mz"},
         headers=STALE),
    Call("POST /api/v1/bureaus/{code}/move", bureau=MINZHENG, names=AT, json={"parent": "1306"},
         headers=STALE),
    Call("POST /api/v1/bureaus/{code}/merger", bureau=MINZHENG, names=AT, json={"successor": RENSHE},
         headers=STALE),
    Call("POST /api/v1/bureaus/{code}/abolition", bureau=MINZHENG, names=AT, headers=STALE),
    Call("POST /api/v1/tree/import", bureau="1306", query={"dry_run": "true"}, headers=CSV,
         content="code,parent_code,level,name\n1306-mzj,1306,city,民政\n".encode()),
    Call("GET /api/v1/systems"),
    Call("GET /api/v1/systems/{code}", bureau=MINZHENG, names=SYSTEM),
    Call("GET /api/v1/systems/{code}/owners", bureau=MINZHENG, names=SYSTEM),
    Call("GET /api/v1/bureaus/{code}/systems", bureau=MINZHENG, names=AT),
    Call("POST /api/v1/bureaus/{code}/systems", bureau=MINZHENG, names=AT,
         json={"code": "walked", "name": "走查", "mlps_grade": 2, "zone": "extranet"}),
    Call("PATCH /api/v1/systems/{code}", bureau=MINZHENG, names=SYSTEM, json={"name": "新名"}, headers=STALE),
    Call("POST /api/v1/systems/{code}/transfer", bureau=MINZHENG, names=SYSTEM, json={"bureau": MINZHENG},
         headers=STALE),
    Call("POST /api/v1/systems/{code}/retirement", bureau=MINZHENG, names=SYSTEM, headers=STALE),
    Call("GET /api/v1/people"),
    Call("POST /api/v1/people", bureau=RENSHE, json={"login": "api-new", "name": "新人", "bureau": RENSHE}),
    Call("GET /api/v1/people/{login}", bureau=RENSHE, names=STAYS, hidden=True),
    Call("GET /api/v1/people/{login}/roles", bureau=RENSHE, names=STAYS, hidden=True),
    Call("POST /api/v1/people/{login}/roles", bureau=RENSHE, names=STAYS,
         json={"role": "developer", "bureau": RENSHE}, hidden=True),
    Call("DELETE /api/v1/people/{login}/roles/{role_id}", bureau=RENSHE,
         names=STAYS | {"role_id": "{api_role}"}, hidden=True),
    Call("POST /api/v1/people/{login}/password-reset", bureau=RENSHE, names=STAYS, hidden=True),
    Call("POST /api/v1/people/{login}/departure", bureau=RENSHE, names=GOES, hidden=True),
    Call("GET /api/v1/bureaus/{code}/roles", bureau=MINZHENG, names=AT),
    Call("GET /api/v1/systems/{code}/tokens", bureau=MINZHENG, names=SYSTEM),
    Call("POST /api/v1/systems/{code}/tokens", bureau=MINZHENG, names=SYSTEM,
         json={"label": "走查", "scopes": ["datasets:pull"], "expires_on": "{api_expires_on}"}),
    Call("POST /api/v1/tokens/{number}/rotation", bureau=MINZHENG, names={"number": "{api_token}"},
         json={"expires_on": "{api_expires_on}"}),
    Call("POST /api/v1/tokens/{number}/revocation", bureau=MINZHENG, names={"number": "{api_token}"}),
    Call("GET /"),
    Call("GET /bureaus"),
    Call("GET /bureaus/{code}", bureau=MINZHENG, names=AT),
    Call("GET /systems"),
    Call("GET /password"),
]  # fmt: skip


def prepare(installation: Installation) -> Named:
    """A system of 市民政局 with a token; two people of 市人社局, one of them with a role."""
    at = installation.clock.now()
    expires_on = city_date(at) + timedelta(days=30)
    with transaction(installation.engine) as session:
        system = list_systems(session, bureau_id=get_bureau(session, code=MINZHENG).id)[0]
        admin = find_person_by_login(session, login="minzheng")
        assert admin
        actor = Actor(
            "person", admin.id, admin.name, admin.bureau_id, load_roles(session, person_id=admin.id)
        )
        issued = issue_token(
            session,
            actor=actor,
            system_id=system.id,
            label="走查",
            scopes=["datasets:pull"],
            expires_on=expires_on,
            at=at,
        )
        home = get_bureau(session, code=RENSHE).id
        here: dict[str, Any] = {
            "session": session,
            "actor": INSTALLATION,
            "bureau_id": home,
            "at": at,
        }
        stays = add_person(login="api-stays", name="留任", **here).person
        add_person(login="api-goes", name="离任", **here)
        held = give_role(person_id=stays.id, role=Role.bureau_member, **here)
        return {
            "api_system": system.code,
            "api_token": issued.token.id,
            "api_role": held.id,
            "api_expires_on": expires_on.isoformat(),
        }
