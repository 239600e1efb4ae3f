"""Who is told of a request, of a server and of a host: people leave, bureaus and the office stay."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from approval.queries import holds_role
from approval.service import notify
from identity.models import Person
from identity.queries import list_chain_ids, list_tops
from identity.roles import Role
from infra.clock import CITY_ZONE
from provisioning.errors import QuotaInconsistent
from provisioning.models import Maintenance, Removal, Request, RequestLine, Server


def tell_applicant(
    session: Session, request: Request, *, code: str, at: datetime, server: Server | None = None, **facts: Any
) -> None:
    """Tell the applicant how the request, or a server of it, stands; once they left, its bureau's admins."""
    told: dict[str, Any]
    if server is None:
        told = {"subject_kind": "request", "subject_id": request.id, "code": code, "at": at}
        told |= {"key": f"{code}:{request.id}", "facts": {"request_id": request.id, **facts}}
    else:
        told = {"key": f"{code}:{server.id}:{server.revision}", **_about(server, code, at, facts)}
    if has_left(session, request.applicant_id):
        notify(session, **told, **_admins(session, request.bureau_id, at=at))
    else:
        notify(session, **told, person_id=request.applicant_id)


def tell_bureau(
    session: Session, server: Server, request: Request, *, key: str, code: str, at: datetime, **facts: Any
) -> None:
    """Tell the admins of the server's bureau, and whoever asked for the server if that is somebody else.

    A notice to a role reaches who holds it above the bureau too; where nobody does, it goes to the office.
    """
    admins = _admins(session, server.bureau_id, at=at)
    told = _about(server, code, at, facts)
    notify(session, key=key, **told, **admins)
    person_id = request.applicant_id
    if not has_left(session, person_id) and not holds_role(session, person_id=person_id, at=at, **admins):
        notify(session, key=f"{key}:{person_id}", **told, person_id=person_id)


def tell_office(
    session: Session, server: Server, *, code: str, at: datetime, key: str | None = None, **facts: Any
) -> None:
    """Tell the office of something about the server that it should look into; once for each `key`, which is
    what the server is doing if none is given.
    """
    key = key or f"{code}:office:{server.id}:{server.revision}"
    notify(session, key=key, **_about(server, code, at, facts), **_office(session, server.bureau_id))


def tell_office_of_removal(
    session: Session, removal: Removal, *, at: datetime, fault: Mapping[str, str]
) -> None:
    """Tell the office, once, of a removal that it should look into."""
    notify(
        session,
        key=f"removal_stuck:{removal.id}:{removal.state}",
        code="removal_stuck",
        facts={
            "region": removal.region,
            "name": removal.name,
            "fault_zh": fault["zh"],
            "fault_en": fault["en"],
        },
        subject_kind="request",
        subject_id=session.get_one(RequestLine, removal.line_id).request_id,
        at=at,
        **_office(session, removal.bureau_id),
    )


def tell_office_of_quota(session: Session, inconsistent: QuotaInconsistent, *, at: datetime) -> None:
    """Tell the office, once for each time, that not every service of a cloud holds a bureau's quota."""
    named = ("bureau_id", "code", "bureau", "region", "list_zh", "list_en")
    facts = {name: inconsistent.facts[name] for name in named}
    bureau_id, code = facts["bureau_id"], inconsistent.code
    notify(
        session,
        key=f"{code}:{facts['region']}:{bureau_id}:{at.isoformat()}",
        code=code,
        facts=facts,
        subject_kind="grant",
        subject_id=bureau_id,
        at=at,
        **_office(session, bureau_id),
    )


def tell_bureau_of_host(
    session: Session, found: Maintenance, *, bureau_id: int, key: str, code: str, at: datetime, **facts: Any
) -> None:
    """Tell the bureau's admins of the maintenance of a host that its servers are on."""
    notify(session, key=key, **_of_host(found, code, at, facts), **_admins(session, bureau_id, at=at))


def tell_office_of_host(
    session: Session, found: Maintenance, *, code: str, at: datetime, key: str = "", **facts: Any
) -> None:
    """Tell the office of a host's maintenance, once for each code, or for each `key`."""
    for top in list_tops(session):
        office: dict[str, Any] = {"role": Role.operator.value, "bureau_id": top.id}
        once = f"{key or f'{code}:{found.id}'}:{top.id}"
        notify(session, key=once, **_of_host(found, code, at, facts), **office)


def has_left(session: Session, person_id: int) -> bool:
    """Whether the person's account is closed."""
    return session.get_one(Person, person_id).departed_at is not None


def _about(server: Server, code: str, at: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    named = {"server": server.name, **facts}
    return {"code": code, "facts": named, "subject_kind": "server", "subject_id": server.id, "at": at}


def _of_host(found: Maintenance, code: str, at: datetime, facts: dict[str, Any]) -> dict[str, Any]:
    window = {
        name: instant.astimezone(CITY_ZONE).strftime("%Y-%m-%d %H:%M")
        for name, instant in (("from_at", found.from_at), ("until_at", found.until_at))
    }
    named = {"region": found.region, "host": found.host, **window, **facts}
    about = {"subject_kind": "maintenance", "subject_id": found.id}
    return {"code": code, "facts": named, "at": at, **about}


def _admins(session: Session, bureau_id: int, *, at: datetime) -> dict[str, Any]:
    admins: dict[str, Any] = {"role": Role.bureau_admin.value, "bureau_id": bureau_id}
    return admins if holds_role(session, person_id=None, at=at, **admins) else _office(session, bureau_id)


def _office(session: Session, bureau_id: int) -> dict[str, Any]:
    return {"role": Role.operator.value, "bureau_id": list_chain_ids(session, bureau_id=bureau_id)[-1]}
