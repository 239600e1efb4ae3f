"""A bureau's quota in a region and what it grants below; granting, modes, freezes."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.models import Bureau
from identity.queries import get_bureau, get_bureau_by_id, list_bureaus
from identity.roles import Permission
from identity.service.access import may
from infra.database import reading
from portal.access import Reading
from portal.flash import onward
from portal.form import Form, Sent, SentForm
from portal.granting import GRANTING, let_grant, may_grant
from portal.limits_form import limits_fields, read_limits
from portal.needs import Asker, form_needs, page_needs
from portal.pages.bureau_head import head_of
from portal.pages.names import names_of_actors
from portal.quota_view import view_quota
from portal.render import render
from provisioning.models import QuotaAccount
from provisioning.queries import find_open_grant, get_region, list_accounts_of, list_grants
from provisioning.quota import Limits, headroom
from provisioning.service import grants
from provisioning.service.accounts import find_account
from provisioning.service.rooms import room_for
from provisioning.wording import MODES

router = APIRouter(include_in_schema=False)
PLACE = "/bureaus/{code}/grants/{region}"
Sees = Annotated[Asker, page_needs(Permission.grants_see)]
MayGrant = Annotated[Asker, page_needs(*GRANTING)]
Grants = Annotated[Asker, form_needs(*GRANTING)]
MaySwitch = Annotated[Asker, page_needs(Permission.grants_set)]
Switches = Annotated[Asker, form_needs(Permission.grants_set)]
MayFreeze = Annotated[Asker, page_needs(Permission.grants_freeze)]
Freezes = Annotated[Asker, form_needs(Permission.grants_freeze)]
AT_ONCE = 50
REASON_LENGTH = 2000
SEEN = "grant_seen"
FROZEN = "limit"
"""The limits of the freeze form as a whole."""
NOTHING_FROZEN = ("请至少为一类资源填写冻结上限", "Give at least one resource a limit to freeze it at")


@router.get(PLACE)
def quota(
    request: Request,
    code: str,
    region: str,
    asker: Sees,
    session: Reading,
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """What the bureau has, uses and grants below in the region."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    return render(request, "bureau_grants.html", _facts(session, asker.actor, bureau, region, after, Form()))


@router.get(PLACE + "/change")
def change(request: Request, code: str, region: str, asker: MayGrant, session: Reading) -> Response:
    """The form to grant to the bureau, for its parent's people; for a top, for the office's."""
    bureau = get_bureau(session, code=code)
    let_grant(session, asker, bureau)
    account = find_account(session, region=region, bureau_id=bureau.id)
    form = Form.of(**limits_fields(account.limit if account else Limits()))
    return _show_form(request, session, asker.actor, bureau, region, "change", form)


@router.post(PLACE + "/change")
def grant(request: Request, code: str, region: str, asker: Grants, sent: SentForm) -> Response:
    """Grant to the bureau."""
    form = sent.form
    limit = read_limits(form)
    reason = form.text("reason", longest=REASON_LENGTH, needed=False)

    def act(session: Session) -> str:
        bureau = get_bureau(session, code=code)
        let_grant(session, asker, bureau)
        _see(session, bureau, region, form)
        wanted: dict[str, Any] = {"region": region, "bureau_id": bureau.id, "limit": limit, "reason": reason}
        wanted |= {"at": sent.at, "actor": asker.actor.journal_id}
        if bureau.parent_id is None:
            grants.set_root_grant(session, **wanted, overcommit=bool(form.typed("overcommit")))
            return _path(bureau, region)
        grants.grant_quota(session, **wanted)
        return _path(get_bureau_by_id(session, bureau_id=bureau.parent_id), region)

    return _after(
        request, sent, asker, (code, region, "change"), act, ("配额已下达", "The quota was granted")
    )


@router.get(PLACE + "/mode")
def mode(request: Request, code: str, region: str, asker: MaySwitch, session: Reading) -> Response:
    """The form to switch between reserved and shared."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    account = find_account(session, region=region, bureau_id=bureau.id)
    form = Form.of(mode=account.mode if account else "reserved")
    return _show_form(request, session, asker.actor, bureau, region, "mode", form)


@router.post(PLACE + "/mode")
def set_mode(request: Request, code: str, region: str, asker: Switches, sent: SentForm) -> Response:
    """Let the bureaus below share its quota, or carve theirs out of it."""
    mode = sent.form.one_of("mode", MODES)
    reason = sent.form.text("reason", longest=REASON_LENGTH, needed=False)
    act = _changing(sent, asker, (code, region), grants.set_mode, mode=mode, reason=reason)
    return _after(request, sent, asker, (code, region, "mode"), act, ("模式已切换", "The mode was switched"))


@router.get(PLACE + "/freeze")
def freeze(request: Request, code: str, region: str, asker: MayFreeze, session: Reading) -> Response:
    """The form to freeze the bureau's quota below its grant."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    account = find_account(session, region=region, bureau_id=bureau.id)
    frozen = account.frozen if account else None
    form = Form.of(**limits_fields(Limits.unlimited() if frozen is None else frozen))
    return _show_form(request, session, asker.actor, bureau, region, "freeze", form)


@router.post(PLACE + "/freeze")
def set_freeze(request: Request, code: str, region: str, asker: Freezes, sent: SentForm) -> Response:
    """Refuse growth beyond a limit in the whole subtree."""
    limit = read_limits(sent.form)
    if limit == Limits.unlimited():
        sent.form.refuse(FROZEN, NOTHING_FROZEN)
    reason = sent.form.text("reason", longest=REASON_LENGTH)
    act = _changing(sent, asker, (code, region), grants.freeze, limit=limit, reason=reason)
    return _after(request, sent, asker, (code, region, "freeze"), act, ("配额已冻结", "The quota was frozen"))


@router.post(PLACE + "/unfreeze")
def unfreeze(request: Request, code: str, region: str, asker: Freezes, sent: SentForm) -> Response:
    """Let the grant itself count again."""
    act = _changing(sent, asker, (code, region), grants.unfreeze, reason="")
    return _after(request, sent, asker, (code, region, ""), act, ("已解除冻结", "The freeze was lifted"))


def _changing(
    sent: Sent, asker: Asker, place: tuple[str, str], act: Callable[..., QuotaAccount], **how: Any
) -> Callable[[Session], str]:
    code, region = place

    def changed(session: Session) -> str:
        bureau = get_bureau(session, code=code)
        asker.at(session, bureau.id)
        _see(session, bureau, region, sent.form)
        act(
            session,
            region=region,
            bureau_id=bureau.id,
            at=sent.at,
            actor=asker.actor.journal_id,
            **how,
        )
        return _path(bureau, region)

    return changed


def _see(session: Session, bureau: Bureau, region: str, form: Form) -> None:
    """Nothing is changed that the person has not seen: the grant that the page showed is still the one."""
    grants.see_grant(session, region=region, bureau_id=bureau.id, grant_seen=form.whole(SEEN) or 0)


def _after(
    request: Request,
    sent: Sent,
    asker: Asker,
    place: tuple[str, str, str],
    act: Callable[[Session], str],
    said: tuple[str, str],
) -> Response:
    """On to where `act` leads, or the same form again with what is wrong."""
    code, region, page = place
    if not sent.form.errors and (path := sent.once(asker.actor, act)):
        return onward(request, path, said)
    with reading(sent.here.engine) as session:
        bureau = get_bureau(session, code=code)
        if page == "change":
            let_grant(session, asker, bureau)
        else:
            asker.at(session, bureau.id)
        if page:
            return _show_form(request, session, asker.actor, bureau, region, page, sent.form)
        facts = _facts(session, asker.actor, bureau, region, "", sent.form)
        return render(request, "bureau_grants.html", facts, status=sent.form.status)


def _show_form(
    request: Request, session: Session, actor: Actor, bureau: Bureau, region: str, page: str, form: Form
) -> Response:
    facts = {**_about(session, actor, bureau, region), "form": form}
    if page == "change":
        room = room_for(session, region=region, bureau_id=bureau.id)
        facts["left_above"] = headroom(room.limit, room.used)
        facts["parent"] = (
            None if bureau.parent_id is None else get_bureau_by_id(session, bureau_id=bureau.parent_id)
        )
    return render(request, f"bureau_grant_{page}.html", facts, status=form.status)


def _about(session: Session, actor: Actor, bureau: Bureau, region: str) -> dict[str, Any]:
    get_region(session, region)
    now = find_open_grant(session, region=region, bureau_id=bureau.id)
    account = find_account(session, region=region, bureau_id=bureau.id)
    return {
        **head_of(session, actor, bureau),
        "tab": _path(bureau, region),
        "region": region,
        "view": view_quota(region, account),
        "grant": now,
        SEEN: now.id if now else 0,
    }


def _facts(
    session: Session, actor: Actor, bureau: Bureau, region: str, after: str, form: Form
) -> dict[str, Any]:
    below = list_bureaus(session, parent_id=bureau.id, after_code=after, limit=AT_ONCE + 1)
    children = below[:AT_ONCE]
    accounts = list_accounts_of(session, region=region, bureau_ids=[one.id for one in children])
    past = list_grants(session, region=region, bureau_id=bureau.id, limit=20)
    return {
        **_about(session, actor, bureau, region),
        "form": form,
        "children": [(one, view_quota(region, accounts.get(one.id))) for one in children],
        "after": after,
        "next": children[-1].code if len(below) > AT_ONCE else "",
        "past": past,
        "actors": names_of_actors(session, [one.actor for one in past]),
        "grants_here": may(session, actor, Permission.grants_set, bureau_id=bureau.id),
        "grants_above": may_grant(session, actor, bureau),
        "freezes": may(session, actor, Permission.grants_freeze, bureau_id=bureau.id),
    }


def _path(bureau: Bureau, region: str) -> str:
    return f"/bureaus/{bureau.code}/grants/{region}"
