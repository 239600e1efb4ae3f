"""What people do with the sample city between two runs: something of every kind that a run made."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.queries import get_case
from exchange.models import Subscription
from exchange.service.entitlements import revoke_subscription
from exchange.service.subscriptions import revision_to_act_on, withdraw_subscription
from identity.actor import INSTALLATION, Actor
from identity.models import Person
from identity.queries import get_bureau, get_system
from identity.service import reorganise
from identity.service.people import depart_person, find_person_by_login
from identity.service.roles import end_role, list_roles
from identity.service.sign_in import change_password
from identity.service.systems import transfer_system
from infra.database import Base, reading, transaction
from infra.installation import Installation
from portal.guards import SYSTEM_GUARDS, TREE_GUARDS
from portal.sample import cloud as sample
from provisioning.cloud.connect import connect
from provisioning.models import Request, Server
from provisioning.quota import Limits
from provisioning.service.accounts import find_account
from provisioning.service.asking import LineAsked
from provisioning.service.grants import freeze, grant_quota, set_root_grant
from provisioning.service.regions import set_reserve
from provisioning.service.requests import draft_request, submit_request
from tests.portal.cloud import work

OFFICE = "person:1"
WORK_OF_ITS_OWN = {
    "beat_slots", "journal_seals", "journal_unsealed", "pushed_quotas", "region_flavors", "region_images",
    "region_inventories",
}  # fmt: skip
"""Tables that workers keep up to date, also with what people did before: what they say is nobody's wish."""
LOOKED_AT = "inventory_seen_at"


def turn_upside_down(here: Installation, password: str) -> None:
    """Reorganise the tree, change quotas on both levels, hand over, end and release what the run made.

    One server fewer stands in the region afterwards; the rest of the work that it makes is done.
    """
    at = here.clock.now()
    with transaction(here.engine) as session:
        _reorganise(here, session)
    with transaction(here.engine) as session:
        _change_quotas(here, session)
    with transaction(here.engine) as session:
        _end_subscriptions(here, session)
    for code in ("1306-rsj-s1", "1306-mzj-s1"):
        with transaction(here.engine) as session:
            _transfer(here, session, code, to="1306-zhb")
    _release_a_server(here)
    renshe = _person(here, "renshe")
    actor = Actor("person", renshe.id, renshe.name, renshe.bureau_id)
    change_password(here.engine, actor=actor, old=password, new="自己的密码-2026-好记", at=at)
    with transaction(here.engine) as session:
        for role in list_roles(session, person_id=_person(here, "shenhe").id):
            end_role(session, actor=INSTALLATION, assignment_id=role.id, at=at)
        depart_person(session, actor=INSTALLATION, person_id=_person(here, "kaifa").id, at=at)


def dump(here: Installation) -> dict[str, list[str]]:
    """All records by table, but for those in WORK_OF_ITS_OWN."""
    tables = [table for name, table in Base.metadata.tables.items() if name not in WORK_OF_ITS_OWN]
    with reading(here.engine) as session:
        return {
            table.name: sorted(
                repr(row)
                for row in session.execute(select(*(c for c in table.columns if c.name != LOOKED_AT)))
            )
            for table in tables
        }


def _reorganise(here: Installation, session: Session) -> None:
    how: dict[str, Any] = {"at": here.clock.now(), "actor": OFFICE}
    ids = {
        code: get_bureau(session, code=code).id
        for code in (
            "130602", "130624", "130602001004", "130602001005", "130602001006", "130602002", "1306-mzj",
        )
    }  # fmt: skip
    reorganise.rename(session, bureau_id=ids["130624"], name="阜平新县", **how)
    reorganise.abolish(session, bureau_id=ids["130602001004"], guards=TREE_GUARDS, **how)
    reorganise.recode(session, bureau_id=ids["130602001005"], code="130602001999", **how)
    reorganise.recode(session, bureau_id=ids["130602"], code="130699", **how)
    reorganise.recode(session, bureau_id=ids["1306-mzj"], code="1306-minzheng", **how)
    reorganise.move(
        session, bureau_id=ids["130602001006"], parent_id=ids["130602002"], guards=TREE_GUARDS, **how
    )


def _change_quotas(here: Installation, session: Session) -> None:
    region = here.settings.region
    how: dict[str, Any] = {"region": region, "at": here.clock.now(), "actor": OFFICE}
    city = get_bureau(session, code="1306").id
    set_root_grant(session, bureau_id=city, limit=_more(session, city, region), **how)
    for code in ("1306-zhb", "1306-minzheng", "130699", "130602002"):
        bureau_id = get_bureau(session, code=code).id
        grant_quota(session, bureau_id=bureau_id, limit=_more(session, bureau_id, region), **how)
    village, street = (get_bureau(session, code=code).id for code in ("130602001002", "130602002"))
    reorganise.move(
        session, bureau_id=village, parent_id=street, guards=TREE_GUARDS, at=how["at"], actor=OFFICE
    )
    county = get_bureau(session, code="130624").id
    freeze(session, bureau_id=county, limit=Limits.of(servers=1), reason="整顿", **how)
    set_reserve(session, reserve_largest_host=True, **how)


def _more(session: Session, bureau_id: int, region: str) -> Limits:
    """What the bureau has, and enough for the systems that it takes over."""
    account = find_account(session, region=region, bureau_id=bureau_id)
    has = Limits() if account is None else account.limit
    more = Limits.of(servers=40, vcpus=200, ram_mib=400_000, root_gib=4_000, volume_gib=40_000, volumes=40)
    return has + (more + more + more if bureau_id == 1 else more)


def _end_subscriptions(here: Installation, session: Session) -> None:
    at = here.clock.now()
    granted, pending = (session.get_one(Subscription, number) for number in (1, 2))
    seen = revision_to_act_on(session, subscription=granted)
    revoke_subscription(
        session, subscription_id=granted.id, revision_seen=seen, actor=OFFICE, reason="不再需要", at=at
    )
    applicant_id = get_case(session, pending.case_id or 0).applicant_id
    withdraw_subscription(session, subscription_id=pending.id, person_id=applicant_id, at=at)


def _transfer(here: Installation, session: Session, code: str, *, to: str) -> None:
    transfer_system(
        session,
        system_id=get_system(session, code=code).id,
        bureau_id=get_bureau(session, code=to).id,
        at=here.clock.now(),
        actor=OFFICE,
        guards=SYSTEM_GUARDS,
    )


def _release_a_server(here: Installation) -> None:
    """Asked for, decided and done as the hall does it."""
    at = here.clock.now()
    with transaction(here.engine) as session:
        server = session.scalars(select(Server).join(Request, Request.system_id == Server.system_id)).first()
        assert server is not None
        request = draft_request(
            session,
            kind="release",
            applicant_id=session.scalars(
                select(Request.applicant_id).filter_by(system_id=server.system_id)
            ).one(),
            region=here.settings.region,
            purpose="不再使用",
            at=at,
            system_id=server.system_id,
            lines=[LineAsked(target_id=server.id)],
        )
        submit_request(session, request_id=request.id, person_id=request.applicant_id, at=at)
    while sample._decide_next(here, request_id=request.id):
        pass
    work(here, connect(here.settings, here.settings.region, here.clock))


def _person(here: Installation, login: str) -> Person:
    with reading(here.engine) as session:
        found = find_person_by_login(session, login=login)
        assert found is not None
        session.expunge_all()
        return found
