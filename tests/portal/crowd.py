"""A city with many of everything, each of another bureau, system and person."""

from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from approval.service import load_items
from exchange.models import Batch
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from identity.actor import INSTALLATION
from identity.models import Bureau, Person, System
from identity.roles import Role
from identity.service.people import add_person
from identity.service.roles import give_role
from infra.database import transaction
from provisioning.models import Lease, RequestLine, Server
from provisioning.quota import Limits, Resources
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.requests import draft_request
from tests.factories import (
    make_bureau,
    make_person,
    make_region,
    make_system,
    make_token,
)

PASSWORD = "一个全新的十二字以上密码"
MANY = 20
REGION = "baoding"


def make_crowd(engine: Engine, *, at: datetime) -> None:
    """That city, whose `operator` sees all of it; its own system is `first`, its dataset `people`."""
    with transaction(engine) as session:
        load_items(session, at=at)
        make_region(session)
        city = make_bureau(session, name="保定市", code="1306")
        set_root_grant(session, bureau_id=city.id, limit=Limits.of(), **by_hand(at))
        first = make_system(session, city, code="first")
        dataset_id = make_entry(session, city, code="people", at=at)
        for number in range(MANY):
            bureau = make_bureau(session, parent=city, name=f"单位{number}", code=f"1306{number:02}")
            system, person = make_system(session, bureau), make_person(session, bureau)
            grant_quota(session, bureau_id=bureau.id, limit=Limits.of(), **by_hand(at))
            make_token(session, first, person)
            give_role(
                session, actor=INSTALLATION, person_id=person.id, role=Role.reviewer, bureau_id=city.id, at=at
            )
            make_entry(session, bureau, code=f"d{number}", at=at)
            make_server(session, bureau, system, person, at=at)
            make_batch(session, dataset_id, system, at=at)
        who: dict[str, Any] = {"session": session, "actor": INSTALLATION, "bureau_id": city.id, "at": at}
        person = add_person(login="operator", name="运营", password=PASSWORD, **who).person
        for role in (Role.operator, Role.bureau_admin):
            give_role(person_id=person.id, role=role, **who)


def by_hand(at: datetime) -> dict[str, Any]:
    return {"region": REGION, "at": at, "actor": "person:1"}


def make_server(session: Session, bureau: Bureau, system: System, person: Person, *, at: datetime) -> None:
    """A request of the system with its case, and a server with its lease."""
    asked = draft_request(
        session,
        kind="quota_change",
        applicant_id=person.id,
        region=REGION,
        purpose="二期扩容",
        bureau_id=bureau.id,
        limit=Limits.of(),
        at=at,
    )
    asked.system_id = system.id
    line = RequestLine(request_id=asked.id, position=1, count=1, flavor="g2", image="openEuler")
    session.add(line)
    session.flush()
    server = Server(
        tag=f"t{asked.id}",
        name=f"server-{asked.id}",
        line_id=line.id,
        work_line_id=line.id,
        system_id=system.id,
        bureau_id=bureau.id,
        region=REGION,
        zone="extranet",
        image="openEuler",
        flavor="g2",
        amounts=Resources(),
        state="active",
        since_at=at,
        allocation_key=f"k{asked.id}",
    )
    session.add(server)
    session.flush()
    session.add(Lease(server_id=server.id, end_on=at.date(), notices_sent=[]))


def make_entry(session: Session, provider: Bureau, *, code: str, at: datetime) -> int:
    """A catalogue entry of the provider; its id."""
    entry = Entry(
        code=code,
        name="人员",
        bureau_id=provider.id,
        share_type="unconditional",
        update_mode="incremental",
        items=[Item("id", "text")],
        key_items=["id"],
    )
    return create_dataset(session, entry, actor="person:1", at=at).id


def make_batch(session: Session, dataset_id: int, publisher: System, *, at: datetime) -> None:
    """A batch that was claimed."""
    session.add(
        Batch(
            dataset_id=dataset_id,
            publisher_id=publisher.id,
            key="k",
            marker=f"m{publisher.id}",
            request_digest="0" * 64,
            update_mode="incremental",
            version=1,
            received=0,
            upserts=0,
            deletes=0,
            quarantined=0,
            digest="0" * 64,
            digests={},
            claimed_at=at,
        )
    )
