"""One server: what it is, what it holds, why the last try failed; what may be done with it."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.queries import get_bureau_by_id, get_system_by_id
from identity.roles import Permission
from identity.service.access import may
from infra.database import reading
from infra.errors import SijiError
from portal.access import Reading
from portal.badges import SERVER
from portal.clouds import cloud_of
from portal.flash import Pair, onward
from portal.form import Form, Sent, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import RowId
from portal.render import render
from provisioning.models import Server
from provisioning.queries import find_lease, get_server, list_volumes_of
from provisioning.quota import DIMENSIONS
from provisioning.service import servers
from provisioning.service.consoles import SHOWN, open_console
from provisioning.service.settling import request_of
from provisioning.service.states import RECLAIMABLE
from provisioning.wording import VOLUME_STATES

router = APIRouter(include_in_schema=False)
Operates = Annotated[Asker, form_needs(Permission.servers_operate)]
Submits = Annotated[Asker, form_needs(Permission.requests_submit)]
Reclaims = Annotated[Asker, form_needs(Permission.servers_reclaim)]
REASON_LENGTH = 2000


@router.get("/servers/{server_id}")
def server(
    request: Request,
    server_id: RowId,
    asker: Annotated[Asker, page_needs(Permission.servers_see)],
    session: Reading,
) -> Response:
    """The server as it is now."""
    found = get_server(session, server_id)
    asker.at(session, found.bureau_id)
    return _show(request, session, asker.actor, found, Form())


@router.post("/servers/{server_id}/stop")
def stop(request: Request, server_id: RowId, asker: Operates, sent: SentForm) -> Response:
    """Have it stopped; it keeps what it holds."""
    said = ("已安排停机", "It is being stopped")
    return _act(request, sent, asker, server_id, servers.stop_server, said)


@router.post("/servers/{server_id}/start")
def start(request: Request, server_id: RowId, asker: Operates, sent: SentForm) -> Response:
    """Have it run again."""
    said = ("已安排开机", "It is being started")
    return _act(request, sent, asker, server_id, servers.start_server, said)


@router.post("/servers/{server_id}/reboot")
def reboot(request: Request, server_id: RowId, asker: Operates, sent: SentForm) -> Response:
    """Have it rebooted; hard, with a tick: what is not on its disks is lost."""
    hard = bool(sent.form.typed("hard"))
    if hard and not sent.form.typed("power"):
        why = (
            "强制重启会丢失未写入磁盘的数据，请勾选确认",
            "What is not on its disks is lost; tick that it may be",
        )
        sent.form.refuse("power", why)
    said = ("已安排强制重启", "Its power is being cut") if hard else ("已安排重启", "It is being rebooted")
    return _act(request, sent, asker, server_id, partial(servers.reboot_server, hard=hard), said)


@router.post("/servers/{server_id}/console")
def console(request: Request, server_id: RowId, asker: Operates, sent: SentForm) -> Response:
    """The way to its screen, on a page of its own that nobody keeps."""
    here = sent.here
    with reading(here.engine) as session:
        found = get_server(session, server_id)
        asker.at(session, found.bureau_id)
    actor = asker.actor.journal_id
    try:
        cloud = cloud_of(here, found.region)
        url = open_console(here.engine, cloud, server_id=found.id, at=sent.at, actor=actor)
    except SijiError as refusal:
        sent.form.refusal = refusal
        with reading(here.engine) as session:
            return _show(request, session, asker.actor, get_server(session, server_id), sent.form)
    return render(request, "console.html", {"server": found, "url": url})


@router.post("/servers/{server_id}/retry")
def retry(request: Request, server_id: RowId, asker: Submits, sent: SentForm) -> Response:
    """Build a failed one anew."""
    said = ("已安排重建", "It is being built anew")
    return _act(request, sent, asker, server_id, servers.retry_server, said)


@router.post("/servers/{server_id}/give-up")
def give_up(request: Request, server_id: RowId, asker: Submits, sent: SentForm) -> Response:
    """Do without a failed one."""
    return _act(request, sent, asker, server_id, servers.give_up_server, ("已放弃", "It was given up"))


@router.post("/servers/{server_id}/reclaim")
def reclaim(request: Request, server_id: RowId, asker: Reclaims, sent: SentForm) -> Response:
    """The office takes it back, with a reason and a tick: its snapshot is kept, and it is deleted."""
    reason = sent.form.text("reason", longest=REASON_LENGTH)
    if not sent.form.typed("sure"):
        sent.form.refuse(
            "sure", ("回收后不能恢复，请勾选确认", "This cannot be undone; tick that you are sure")
        )
    reclaimed = partial(servers.reclaim_server, reason=reason)
    return _act(request, sent, asker, server_id, reclaimed, ("已安排回收", "It is being reclaimed"))


def _act(
    request: Request, sent: Sent, asker: Asker, server_id: int, act: Callable[..., Server], said: Pair
) -> Response:
    def done(session: Session) -> str:
        found = get_server(session, server_id)
        asker.at(session, found.bureau_id)
        act(session, server_id=found.id, at=sent.at, actor=asker.actor.journal_id)
        came_from = sent.form.typed("request")
        return f"/requests/{request_of(session, found.line_id)}" if came_from else f"/servers/{found.id}"

    if not sent.form.errors and (path := sent.once(asker.actor, done)):
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        found = get_server(session, server_id)
        asker.at(session, found.bureau_id)
        return _show(request, session, asker.actor, found, sent.form)


def _show(request: Request, session: Session, actor: Actor, found: Server, form: Form) -> Response:
    def holds(permission: Permission) -> bool:
        return may(session, actor, permission, bureau_id=found.bureau_id)

    facts: dict[str, Any] = {
        "server": found,
        "form": form,
        "badge": SERVER[found.state],
        "bureau": get_bureau_by_id(session, bureau_id=found.bureau_id),
        "system": get_system_by_id(session, system_id=found.system_id),
        "lease": find_lease(session, found.id),
        "volumes": list_volumes_of(session, found.id),
        "request_id": request_of(session, found.line_id),
        "dimensions": DIMENSIONS,
        "volume_states": VOLUME_STATES,
        "operates": holds(Permission.servers_operate),
        "has_screen": found.state in SHOWN,
        "submits": holds(Permission.requests_submit),
        "reclaims": found.state in RECLAIMABLE and holds(Permission.servers_reclaim),
    }
    return render(request, "server.html", facts, status=form.status)
