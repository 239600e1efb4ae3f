"""Asking for resources: choosing what and for which system, the form of it, editing what was asked."""

from collections.abc import Collection
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from approval.models import Case
from approval.queries import get_case
from approval.service.record import check_act, check_applicant
from identity.actor import Actor
from identity.models import Bureau, System
from identity.queries import (
    find_bureau,
    find_bureaus,
    find_system,
    get_bureau_by_id,
    get_system_by_id,
    list_systems_within,
)
from identity.roles import Permission, bureaus_with
from identity.service.access import may
from infra.clock import city_date
from infra.database import reading
from portal.access import At, Here, Reading
from portal.asking import ASKERS, who_asks
from portal.badges import SERVER
from portal.flash import onward
from portal.form import Form, SentForm
from portal.needs import Asker, form_needs, page_needs
from portal.numbers import Place, RowId
from portal.quota_view import view_quota
from portal.render import render
from portal.request_form import (
    COLUMNS,
    ENDING,
    PICKED,
    empty_form,
    form_of,
    offer_of,
    place_refusal,
    read_request,
    rows_of,
    with_a_line,
    without_a_line,
)
from provisioning.finding_wording import KINDS as FOUND_KINDS
from provisioning.models import KINDS
from provisioning.models import Request as Asked
from provisioning.queries import get_request, list_lines, list_regions
from provisioning.quota import Limits
from provisioning.service import requests
from provisioning.service.accounts import find_account
from provisioning.service.asking import WITHOUT_SYSTEM
from provisioning.service.removal_asking import removing_of
from provisioning.wording import KINDS as KIND_NAMES

router = APIRouter(include_in_schema=False)
MayAsk = Annotated[Asker, page_needs(*ASKERS)]
Asks = Annotated[Asker, form_needs(*ASKERS)]
SYSTEMS_SHOWN = 500
USUAL_LEASE = timedelta(days=365)
SAVED = ("草稿已保存，请核对后提交", "The draft was saved; check it and submit it")
EDITED = ("修改已保存", "The changes were saved")


@router.get("/requests/new")
def new(
    request: Request,
    here: Here,
    at: At,
    asker: MayAsk,
    session: Reading,
    kind: Annotated[str, Query(max_length=16)] = "",
    system: Annotated[str, Query(max_length=64)] = "",
    bureau: Annotated[str, Query(max_length=64)] = "",
    region: Annotated[str, Query(max_length=64)] = "",
    finding: Place = 0,
) -> Response:
    """First what is asked for which system or bureau, then the form of it; a removal begins at a finding."""
    if finding:
        return _begin_removal(request, session, asker, finding)
    place = region or _usual_region(session, here.settings.region)
    chosen = Form.of(kind=kind, system=system, bureau=bureau, region=place)
    about = _about(session, asker, chosen, is_first=not kind)
    if about is None:
        return _choose(request, session, asker, chosen)
    account = find_account(session, region=about["region"], bureau_id=about["bureau"].id)
    form = empty_form(kind, limit=account.limit if account else Limits())
    form.fields = {**form.fields, "end_on": [(city_date(at) + USUAL_LEASE).isoformat()]}
    return _show(request, session, about, form)


@router.post("/requests/new")
def draft(request: Request, asker: Asks, sent: SentForm) -> Response:
    """Save what was typed as a draft, or show it with a line more or less."""
    form = sent.form
    with reading(sent.here.engine) as session:
        about = _about(session, asker, form, is_first=False)
        if about is None:
            return _choose(request, session, asker, form)
        if (changed := _with_other_lines(form)) is not None:
            return _show(request, session, about, changed)
        asked = read_request(form, about["kind"], about["offer"])

    def act(session: Session) -> str:
        who_asks(asker, about["kind"]).at(session, about["bureau"].id)
        made = requests.draft_request(
            session,
            kind=about["kind"],
            applicant_id=asker.person_id,
            region=about["region"],
            purpose=asked.purpose,
            at=sent.at,
            system_id=about["system"].id if about["system"] else None,
            bureau_id=about["bureau"].id,
            end_on=asked.end_on,
            lines=asked.lines,
            limit=asked.limit,
        )
        return f"/requests/{made.id}"

    if not form.errors and (path := sent.once(asker.actor, act)):
        return onward(request, path, SAVED)
    place_refusal(form, about["kind"])
    with reading(sent.here.engine) as session:
        return _show(request, session, about, form)


@router.get("/requests/{request_id}/edit")
def edit(request: Request, request_id: RowId, asker: MayAsk, session: Reading) -> Response:
    """The form with what is asked for now, for who applied, while it can be changed."""
    found, case = _own(session, asker, request_id)
    check_act(case, "edit")
    about = _about_request(session, found, case)
    return _show(request, session, about, form_of(found, list_lines(session, found.id)))


@router.post("/requests/{request_id}/edit")
def change(request: Request, request_id: RowId, asker: Asks, sent: SentForm) -> Response:
    """Change what is asked before it is decided; approvals that it had are void."""
    form = sent.form
    with reading(sent.here.engine) as session:
        about = _about_request(session, *_own(session, asker, request_id))
        if (changed := _with_other_lines(form)) is not None:
            return _show(request, session, about, changed)
        asked = read_request(form, about["kind"], about["offer"])

    def act(session: Session) -> str:
        requests.edit_request(
            session,
            request_id=request_id,
            person_id=asker.person_id,
            revision_seen=form.whole("revision") or 0,
            at=sent.at,
            purpose=asked.purpose,
            end_on=asked.end_on,
            lines=None if about["kind"] == "quota_change" else asked.lines,
            limit=asked.limit,
        )
        return f"/requests/{request_id}"

    if not form.errors and (path := sent.once(asker.actor, act)):
        return onward(request, path, EDITED)
    place_refusal(form, about["kind"])
    with reading(sent.here.engine) as session:
        return _show(request, session, _about_request(session, *_own(session, asker, request_id)), form)


def _with_other_lines(form: Form) -> Form | None:
    """The form as it is to be shown anew, if a button of its lines was pressed."""
    pressed = form.typed("act")
    if pressed == "add-line":
        return with_a_line(form)
    return without_a_line(form, pressed.removeprefix("remove.")) if pressed.startswith("remove.") else None


def _about(session: Session, asker: Asker, form: Form, *, is_first: bool) -> dict[str, Any] | None:
    """What the request is of; None until it is chosen well, which the form then tells."""
    if is_first:
        return None
    kind = form.one_of("kind", KINDS)
    region = form.one_of("region", [one.name for one in list_regions(session)])
    system: System | None = None
    bureau: Bureau | None = None
    if kind in WITHOUT_SYSTEM:
        bureau = find_bureau(session, code=form.typed("bureau"))
        if bureau is None:
            form.refuse("bureau", ("请选择单位", "Choose the bureau"))
    elif kind:
        system = find_system(session, code=form.typed("system"))
        if system is None:
            form.refuse("system", ("请选择信息系统", "Choose the information system"))
        else:
            bureau = get_bureau_by_id(session, bureau_id=system.bureau_id)
    if not (kind and region and bureau):
        return None
    who_asks(asker, kind).at(session, bureau.id)
    return _of(session, kind, region, system, bureau)


def _own(session: Session, asker: Asker, request_id: int) -> tuple[Asked, Case]:
    """The request with its case, for who applied. Raises NotFound, Forbidden, NotApplicant."""
    found = get_request(session, request_id)
    who_asks(asker, found.kind).at(session, found.bureau_id)
    case = get_case(session, found.case_id or 0)
    check_applicant(case, asker.person_id, "edit")
    return found, case


def _about_request(session: Session, found: Asked, case: Case) -> dict[str, Any]:
    system = None if found.system_id is None else get_system_by_id(session, system_id=found.system_id)
    bureau = get_bureau_by_id(session, bureau_id=found.bureau_id)
    targets = [one.target_id for one in list_lines(session, found.id) if one.target_id is not None]
    about = _of(session, found.kind, found.region, system, bureau, targets)
    return about | {"editing": found, "case": case}


def _of(
    session: Session,
    kind: str,
    region: str,
    system: System | None,
    bureau: Bureau,
    asked: Collection[int] = (),
) -> dict[str, Any]:
    system_id = system.id if system else None
    offer = offer_of(session, kind=kind, region=region, bureau_id=bureau.id, system_id=system_id, asked=asked)
    account = find_account(session, region=region, bureau_id=bureau.id)
    return {
        "kind": kind,
        "kind_names": KIND_NAMES,
        "region": region,
        "system": system,
        "bureau": bureau,
        "offer": offer,
        "columns": COLUMNS.get(kind, ()),
        "is_picked": kind in PICKED,
        "found_kinds": FOUND_KINDS,
        "ends": kind in ENDING,
        "server_badges": SERVER,
        "view": view_quota(region, account),
        "editing": None,
        "case": None,
    }


def _show(request: Request, session: Session, about: dict[str, Any], form: Form) -> Response:
    facts = {**about, "form": form, "rows": rows_of(form)}
    return render(request, "request_form.html", facts, status=form.status)


def _begin_removal(request: Request, session: Session, asker: Asker, finding_id: int) -> Response:
    """The form with that finding ticked, and beside it the others that may go with it."""
    region, bureau_id = removing_of(session, [finding_id])
    who_asks(asker, "removal").at(session, bureau_id)
    bureau = get_bureau_by_id(session, bureau_id=bureau_id)
    about = _of(session, "removal", region, None, bureau)
    return _show(request, session, about, Form.of(finding=[finding_id]))


def _usual_region(session: Session, configured: str) -> str:
    """The region of a request that names none: the configured one, else the only one; empty: to be chosen."""
    names = [one.name for one in list_regions(session)]
    return configured if configured in names else names[0] if len(names) == 1 else ""


def _choose(request: Request, session: Session, asker: Asker, form: Form) -> Response:
    """The page to choose on: what the reader came from stands first, and what is left out is said."""
    asker = asker.only(Permission.requests_submit)  # a removal begins at a finding
    came_from = find_bureau(session, code=form.typed("bureau"))
    if came_from is not None and not asker.may(session, came_from.id):
        came_from = None
    own = bureaus_with(Permission.requests_submit, asker.actor.roles)
    bureaus = find_bureaus(session, own | ({came_from.id} if came_from else set()))
    systems = list_systems_within(session, bureau_ids=asker.scope(session), limit=SYSTEMS_SHOWN + 1)
    its = {came_from.id} if came_from else set()
    nearest = list_systems_within(session, bureau_ids=its, limit=SYSTEMS_SHOWN + 1)
    rows = dict.fromkeys([*nearest[:SYSTEMS_SHOWN], *systems[:SYSTEMS_SHOWN]])
    facts = {
        "form": form,
        "kind_names": KIND_NAMES,
        "systems": list(rows),
        "is_cut": max(len(systems), len(nearest)) > SYSTEMS_SHOWN,
        "bureaus": [bureaus[one] for one in sorted(bureaus)],
        "registers_at": [one for one in bureaus.values() if _registers(session, asker.actor, one)],
        "regions": [one.name for one in list_regions(session)],
    }
    return render(request, "request_choose.html", facts, status=form.status)


def _registers(session: Session, actor: Actor, bureau: Bureau) -> bool:
    return may(session, actor, Permission.systems_edit, bureau_id=bureau.id)
