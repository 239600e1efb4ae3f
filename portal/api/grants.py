"""Quotas of bureaus by region: what was granted, how, what is used of it; granting, modes and freezes.

The ETag is that of the grant, whose row changes with limit, mode and freeze; usage goes on beside it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import get_bureau
from identity.roles import Permission
from portal.access import At, Reading, Writing
from portal.api.amounts import LimitsIn, LimitsOut, limits_out
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.granting import GRANTING, let_grant
from portal.needs import Asker, needs
from portal.revisions import Seen, tag
from provisioning.models import Grant, QuotaAccount
from provisioning.queries import find_open_grant, get_region, list_granted_children, list_grants
from provisioning.quota import Limits, Resources, find_excess
from provisioning.service import grants
from provisioning.service.accounts import find_account, headroom_of, held_by, name_shortfalls, own_rooms

router = api_router("grants")
AT_A_REGION = "/bureaus/{code}/grants/{region}"


class ServiceFaultOut(Out):
    """Why a service of the cloud does not hold the quota as it was pushed."""

    service: str = Field(examples=["cinder"])
    zh: str = Field(examples=["云平台答复 503：服务不可用"])
    en: str = Field(examples=["the cloud answered 503: service unavailable"])


class InconsistentOut(Out):
    """The quota was pushed to the cloud and not every service holds it; nothing new is claimed meanwhile."""

    since: datetime
    services: list[ServiceFaultOut]


class AccountOut(Out):
    """A bureau's quota in a region. `headroom` is what its own account lets it claim further."""

    bureau: str = Field(examples=["130624"], description="单位代码 · the bureau's code")
    name: str = Field(examples=["阜平县"])
    region: str = Field(examples=["baoding"])
    limit: LimitsOut = Field(description="上级下达的配额 · what its parent grants")
    mode: Literal["reserved", "shared"] = Field(
        description="下级独占或共享 · whether its children carve out or share"
    )
    frozen: LimitsOut | None = Field(
        description="冻结上限，空为未冻结 · the limit of a freeze, null: not frozen"
    )
    used: LimitsOut = Field(description="本单位自用 · used by the bureau itself")
    held: LimitsOut = Field(description="本单位与下级合计占用 · used and carved out, or pooled below it")
    headroom: LimitsOut = Field(description="余量 · what is left")
    excess: list[dict[str, Any]] = Field(description="超出限额之处 · where more is used than a freeze allows")
    inconsistent: InconsistentOut | None = Field(
        description="云上配额不一致，空为一致 · which services of the cloud do not hold it, null: each does"
    )


class GrantOut(Out):
    """What a bureau was granted from an instant on, until the next."""

    id: int
    limit: LimitsOut
    mode: str = Field(examples=["reserved"])
    frozen: LimitsOut | None
    valid_from: datetime
    valid_to: datetime | None = Field(description="空为现行 · null: still")
    actor: str = Field(examples=["person:3"])
    reason: str = Field(examples=["二期扩容"])
    is_overcommit: bool


class GrantIn(In):
    """A grant to make."""

    limit: LimitsIn
    reason: str = Field("", max_length=2000, examples=["二期扩容"])
    overcommit: bool = Field(
        False, description="仅市级：超出容量下达，须写明理由 · beyond the capacity, with a reason"
    )


class ModeIn(In):
    """How the bureau's children share its grant."""

    mode: Literal["reserved", "shared"]
    reason: str = Field("", max_length=2000, examples=["统筹使用"])


class FreezeIn(In):
    """A stricter limit than the grant, for as long as it lasts."""

    limit: LimitsIn
    reason: str = Field(max_length=2000, examples=["闲置核查"])


@router.get(AT_A_REGION)
def account(
    asker: Annotated[Asker, needs(Permission.grants_see)],
    session: Reading,
    response: Response,
    code: str,
    region: str,
) -> AccountOut:
    """A bureau's quota in a region; all zero if it was never granted anything."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    get_region(session, region)
    return _shown(session, bureau, region, response)


@router.get(AT_A_REGION + "/children")
def children(
    asker: Annotated[Asker, needs(Permission.grants_see)],
    session: Reading,
    code: str,
    region: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[AccountOut]:
    """The quotas of the bureaus right below that you may see, by code; those without an account are left
    out."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    get_region(session, region)
    rows = list_granted_children(
        session,
        region=region,
        parent_id=bureau.id,
        bureau_ids=asker.scope(session),
        after_code=cursor,
        limit=limit + 1,
    )
    excess = _excess_of(session, [account for _, account in rows])

    def shown(row: tuple[Bureau, QuotaAccount]) -> AccountOut:
        return _out(row[0], region, row[1], excess[row[0].id])

    return page_of(rows, limit, shown=shown, place=lambda row: row[0].code)


@router.get(AT_A_REGION + "/history")
def history(
    asker: Annotated[Asker, needs(Permission.grants_see)],
    session: Reading,
    code: str,
    region: str,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[GrantOut]:
    """What the bureau was granted over time, the newest first."""
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    get_region(session, region)
    rows = list_grants(session, region=region, bureau_id=bureau.id, before_id=id_of(cursor), limit=limit + 1)
    return page_of(rows, limit, shown=_grant_out, place=lambda row: row.id)


@router.put(AT_A_REGION)
def grant(
    asker: Annotated[Asker, needs(*GRANTING)],
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    code: str,
    region: str,
    body: GrantIn,
) -> AccountOut:
    """Grant to a bureau, from its parent; to the top of the tree, from the office."""
    bureau = get_bureau(session, code=code)
    let_grant(session, asker, bureau)
    grants.see_grant(session, region=region, bureau_id=bureau.id, grant_seen=seen)
    wanted: dict[str, Any] = {
        "region": region,
        "bureau_id": bureau.id,
        "limit": Limits.parse(body.limit),
        "at": at,
        "actor": asker.actor.journal_id,
        "reason": body.reason,
    }
    if bureau.parent_id is None:
        grants.set_root_grant(session, **wanted, overcommit=body.overcommit)
    else:
        grants.grant_quota(session, **wanted)
    return _shown(session, bureau, region, response)


@router.put(AT_A_REGION + "/mode")
def mode(
    asker: Annotated[Asker, needs(Permission.grants_set)],
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    code: str,
    region: str,
    body: ModeIn,
) -> AccountOut:
    """Let the bureau's children carve out their grants, or share the bureau's."""
    return _change(
        asker,
        session,
        at,
        seen,
        response,
        (code, region),
        grants.set_mode,
        mode=body.mode,
        reason=body.reason,
    )


@router.put(AT_A_REGION + "/freeze")
def freeze(
    asker: Annotated[Asker, needs(Permission.grants_freeze)],
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    code: str,
    region: str,
    body: FreezeIn,
) -> AccountOut:
    """Refuse growth beyond a limit in the whole subtree; shrinking stays allowed."""
    limit = Limits.parse(body.limit)
    return _change(
        asker, session, at, seen, response, (code, region), grants.freeze, limit=limit, reason=body.reason
    )


@router.delete(AT_A_REGION + "/freeze")
def unfreeze(
    asker: Annotated[Asker, needs(Permission.grants_freeze)],
    session: Writing,
    at: At,
    seen: Seen,
    response: Response,
    code: str,
    region: str,
    reason: Annotated[str, Query(max_length=2000)] = "",
) -> AccountOut:
    """Let the grant itself count again."""
    return _change(asker, session, at, seen, response, (code, region), grants.unfreeze, reason=reason)


def _change(
    asker: Asker,
    session: Session,
    at: datetime,
    seen: int,
    response: Response,
    place: tuple[str, str],
    act: Callable[..., QuotaAccount],
    **how: Any,
) -> AccountOut:
    code, region = place
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    grants.see_grant(session, region=region, bureau_id=bureau.id, grant_seen=seen)
    act(session, region=region, bureau_id=bureau.id, at=at, actor=asker.actor.journal_id, **how)
    return _shown(session, bureau, region, response)


def _shown(session: Session, bureau: Bureau, region: str, response: Response) -> AccountOut:
    now = find_open_grant(session, region=region, bureau_id=bureau.id)
    tag(response, now.id if now else 0)
    account = find_account(session, region=region, bureau_id=bureau.id)
    excess = _excess_of(session, [account] if account else [])
    return _out(bureau, region, account, excess[bureau.id])


def _excess_of(session: Session, accounts: Sequence[QuotaAccount]) -> defaultdict[int, list[dict[str, Any]]]:
    """By the bureaus' ids, where more is used than their accounts allow."""
    excess = [one for account in accounts for one in find_excess(own_rooms(account))]
    found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in name_shortfalls(session, excess):
        found[one["bureau_id"]].append(one)
    return found


def _out(
    bureau: Bureau, region: str, account: QuotaAccount | None, excess: list[dict[str, Any]]
) -> AccountOut:
    place: dict[str, Any] = {"bureau": bureau.code, "name": bureau.name, "region": region}
    if account is None:
        nothing = dict.fromkeys(("limit", "used", "held", "headroom"), limits_out(Resources()))
        return AccountOut.model_validate(
            {**place, **nothing, "mode": "reserved", "frozen": None, "excess": [], "inconsistent": None}
        )
    figures: dict[str, Any] = {
        "limit": limits_out(account.limit),
        "mode": account.mode,
        "frozen": None if account.frozen is None else limits_out(account.frozen),
        "used": limits_out(account.used),
        "held": limits_out(held_by(account)),
        "headroom": limits_out(headroom_of(account)),
        "excess": excess,
        "inconsistent": _inconsistent(account),
    }
    return AccountOut(**place, **figures)


def _inconsistent(account: QuotaAccount) -> InconsistentOut | None:
    if account.inconsistent_at is None:
        return None
    faults = account.service_faults or {}
    services = [ServiceFaultOut(service=one, zh=why["zh"], en=why["en"]) for one, why in faults.items()]
    return InconsistentOut(since=account.inconsistent_at, services=services)


def _grant_out(row: Grant) -> GrantOut:
    return GrantOut(
        id=row.id,
        limit=limits_out(row.limit),
        mode=row.mode,
        frozen=None if row.frozen is None else limits_out(row.frozen),
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        actor=row.actor,
        reason=row.reason,
        is_overcommit=row.is_overcommit,
    )
