"""Builders of rows for tests; each takes a session first, flushes, and commits nothing."""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from approval.models import Case
from approval.service import decide, load_items, open_case, submit_case
from exchange.models import Dataset
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from identity.actor import Actor
from identity.models import Bureau, BureauVersion, Person, RoleAssignment, System, SystemOwner, Token
from identity.service.access import load_roles
from provisioning.models import Region
from provisioning.quota import DIMENSIONS, Inventory, Limits
from provisioning.service.regions import open_region, record_inventory

LONG_AGO = datetime(2004, 1, 1, tzinfo=UTC)
"""Before any day that the tests may live on."""
_number = count(1)


@dataclass(frozen=True)
class Hall:
    """A city with its office, a county, a bureau that provides, and people who may decide; ids only."""

    city: int
    county: int
    town: int
    provider: int
    applicant: int
    county_reviewer: int
    operators: tuple[int, int, int]
    steward: int

    @property
    def places(self) -> dict[str, int]:
        """Which bureau each scope of a step means."""
        return {"office": self.city, "county": self.county, "provider": self.provider}


def make_hall(session: Session, *, at: datetime) -> Hall:
    """The shipped items, a small tree and its people with their roles."""
    load_items(session, at=at)
    city = _hall_bureau(session, "H", "city", None)
    county = _hall_bureau(session, "H-1", "county", city)
    town = _hall_bureau(session, "H-1-1", "township", county)
    provider = _hall_bureau(session, "H-P", "city", city)
    return Hall(
        city,
        county,
        town,
        provider,
        applicant=_hall_person(session, "applicant", town, "bureau_admin", at),
        county_reviewer=_hall_person(session, "county-reviewer", county, "reviewer", at),
        operators=(
            _hall_person(session, "operator-1", city, "operator", at),
            _hall_person(session, "operator-2", city, "operator", at),
            _hall_person(session, "operator-3", city, "operator", at),
        ),
        steward=_hall_person(session, "steward", provider, "data_steward", at),
    )


def make_case(
    session: Session,
    hall: Hall,
    *,
    at: datetime,
    item_code: str = "resource-request",
    skip_steps: tuple[str, ...] = ("first_review",),
    upto: str = "accept",
) -> Case:
    """A submitted case of the town's applicant, moved on by the hall's people until `upto` is active."""
    case = open_case(
        session,
        item_code=item_code,
        applicant_id=hall.applicant,
        bureau_id=hall.town,
        subject_kind="request",
        subject_id=1,
        at=at,
    )
    outcome = submit_case(
        session,
        case_id=case.id,
        person_id=hall.applicant,
        places=hall.places,
        skip_steps=skip_steps,
        at=at,
    )
    by = {"first_review": hall.county_reviewer, "verify": hall.operators[1]}
    while outcome.next_step != upto:
        assert outcome.next_step is not None, f"the case never came to {upto!r}"
        outcome = decide(
            session,
            case_id=case.id,
            step_key=outcome.next_step,
            person_id=by.get(outcome.next_step, hall.operators[0]),
            decision="approve",
            revision_seen=1,
            at=at,
        )
    return case


def _hall_bureau(session: Session, code: str, level: str, parent_id: int | None) -> int:
    bureau = Bureau(code=code, name=f"单位 {code}", level=level, parent_id=parent_id)
    session.add(bureau)
    session.flush()
    return bureau.id


def _hall_person(session: Session, login: str, bureau_id: int, role: str, at: datetime) -> int:
    person = Person(login=login, name=f"人员 {login}", bureau_id=bureau_id, created_at=at)
    session.add(person)
    session.flush()
    session.add(RoleAssignment(person_id=person.id, role=role, bureau_id=bureau_id, valid_from=at))
    session.flush()
    return person.id


@dataclass(frozen=True)
class Exchange:
    """A hall whose provider has two systems that publish, and whose town has two that subscribe; ids only."""

    hall: Hall
    publisher_id: int
    second_publisher_id: int
    subscriber_id: int
    second_subscriber_id: int


def make_exchange(session: Session, *, at: datetime) -> Exchange:
    """The hall and its systems."""
    hall = make_hall(session, at=at)
    owners = (hall.provider, hall.provider, hall.town, hall.town)
    systems = [
        System(code=f"E-{n}", name=f"系统 {n}", bureau_id=owner, mlps_grade=2, zone="extranet", created_at=at)
        for n, owner in enumerate(owners, start=1)
    ]
    session.add_all(systems)
    session.flush()
    session.add_all(
        SystemOwner(system_id=system.id, bureau_id=system.bureau_id, valid_from=at) for system in systems
    )
    session.flush()
    return Exchange(hall, *(system.id for system in systems))


def make_entry(place: Exchange, **changes: Any) -> Entry:
    """The catalogue entry of an unconditional, incremental dataset of `id` (its key) and `name`."""
    content: dict[str, Any] = {
        "code": "people",
        "name": "人员",
        "bureau_id": place.hall.provider,
        "share_type": "unconditional",
        "update_mode": "incremental",
        "items": (Item("id", "text"), Item("name", "text")),
        "key_items": ("id",),
    }
    return Entry(**(content | changes))


def make_dataset(session: Session, place: Exchange, *, at: datetime, **changes: Any) -> Dataset:
    """That entry, catalogued."""
    return create_dataset(session, make_entry(place, **changes), actor="person:1", at=at)


def make_bureau(
    session: Session,
    *,
    parent: Bureau | None = None,
    code: str | None = None,
    name: str | None = None,
    level: str | None = None,
    at: datetime = LONG_AGO,
    **fields: Any,
) -> Bureau:
    """A territorial unit with its open version; by default a city, or one level below its parent."""
    levels = ("city", "county", "township", "village", "village")
    level = level or (levels[levels.index(parent.level) + 1] if parent else "city")
    code = code or f"99{next(_number):06d}"
    bureau = Bureau(
        code=code,
        name=name or f"单位{code}",
        level=level,
        parent_id=parent.id if parent else None,
        **({"is_territorial": "-" not in code} | fields),
    )
    session.add(bureau)
    session.flush()
    session.add(
        BureauVersion(
            bureau_id=bureau.id,
            code=bureau.code,
            name=bureau.name,
            level=bureau.level,
            parent_id=bureau.parent_id,
            valid_from=at,
            valid_to=bureau.abolished_at,
        )
    )
    session.flush()
    return bureau


def make_system(session: Session, bureau: Bureau, *, at: datetime = LONG_AGO, **fields: Any) -> System:
    """An information system of the bureau: grade 2, extranet, with its open ownership."""
    number = next(_number)
    defaults = {"code": f"sys-{number}", "name": f"系统{number}", "mlps_grade": 2, "zone": "extranet"}
    system = System(bureau_id=bureau.id, created_at=at, **(defaults | fields))
    session.add(system)
    session.flush()
    session.add(
        SystemOwner(system_id=system.id, bureau_id=bureau.id, valid_from=at, valid_to=system.retired_at)
    )
    session.flush()
    return system


def make_person(session: Session, bureau: Bureau, *, at: datetime = LONG_AGO, **fields: Any) -> Person:
    """Somebody of the bureau who has no password."""
    number = next(_number)
    person = Person(
        bureau_id=bureau.id, created_at=at, **({"login": f"p{number}", "name": f"人员{number}"} | fields)
    )
    session.add(person)
    session.flush()
    return person


def make_role(
    session: Session, person: Person, *, role: str, bureau: Bureau, at: datetime = LONG_AGO, **fields: Any
) -> RoleAssignment:
    """The person holds `role` at the bureau and below it."""
    held = RoleAssignment(person_id=person.id, role=role, bureau_id=bureau.id, valid_from=at, **fields)
    session.add(held)
    session.flush()
    return held


def make_token(
    session: Session, system: System, issuer: Person, *, at: datetime = LONG_AGO, **fields: Any
) -> Token:
    """A token of the system whose secret nobody knows, good for a year."""
    number = next(_number)
    defaults = {
        "label": f"令牌{number}",
        "digest": f"{number:064x}",
        "scopes": [],
        "expires_on": at.date().replace(year=at.year + 1),
    }
    token = Token(system_id=system.id, issued_by=issuer.id, issued_at=at, **(defaults | fields))
    session.add(token)
    session.flush()
    return token


def make_holder(
    session: Session, bureau: Bureau, *, roles: tuple[tuple[str, Bureau], ...] = (), **fields: Any
) -> Person:
    """Somebody of the bureau who holds `roles`, each at a bureau and below it, whatever the rules say."""
    person = make_person(session, bureau, **fields)
    for role, where in roles:
        make_role(session, person, role=role, bureau=where)
    return person


def make_actor(session: Session, bureau: Bureau, *, role: str) -> Actor:
    """Somebody new of the bureau who acts with `role` there and below."""
    return actor_of(session, make_holder(session, bureau, roles=((role, bureau),)))


def actor_of(session: Session, person: Person) -> Actor:
    """The person as one who acts, with the roles that the records give them now."""
    roles = load_roles(session, person_id=person.id)
    return Actor("person", person.id, person.name, person.bureau_id, roles=roles)


def make_region(session: Session, *, name: str = "baoding", holds: Limits | None = None) -> Region:
    """A region whose one provider has what `holds` says of each dimension; by default 10,000."""
    region = open_region(session, name=name, at=LONG_AGO, actor="test")
    amounts = {d.key: 10_000 if holds is None else holds[d.key] or 0 for d in DIMENSIONS if d.source}
    rows = [Inventory(key, "provider-1", amount, 0, 1.0) for key, amount in amounts.items()]
    record_inventory(session, region=name, inventories=rows, at=LONG_AGO)
    return region
