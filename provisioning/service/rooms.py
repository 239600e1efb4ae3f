"""What grants have room for above them, and what they may not fall below. Changes and locks nothing."""

from typing import Any

from sqlalchemy.orm import Session

from identity.models import Bureau
from infra.errors import NotFound
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Room, decide_change, total_of
from provisioning.service.accounts import find_account, held_by, list_child_accounts, name_shortfalls
from provisioning.service.regions import capacity_of


def room_for(session: Session, *, region: str, bureau_id: int) -> Room:
    """What whoever grants to the bureau has for its grant, apart from that grant: its parent, or the region.

    Read without a lock: good for showing, not for a decision. Raises `NotFound`, `NoSuchRegion`.
    """
    parent_id = living_bureau(session, bureau_id).parent_id
    account = find_account(session, region=region, bureau_id=bureau_id)
    if parent_id is None:
        return _region_room(session, region, bureau_id)
    return parent_room(
        session, find_account(session, region=region, bureau_id=parent_id), parent_id, besides=account
    )


def find_grant_shortfalls(
    session: Session, *, region: str, bureau_id: int, limit: Limits
) -> list[dict[str, Any]]:
    """What granting `limit` would be refused for if it were done now: a warning, read without a lock.

    Raises `NotFound`, `NoSuchRegion`.
    """
    room = room_for(session, region=region, bureau_id=bureau_id)
    account = find_account(session, region=region, bureau_id=bureau_id)
    if account is None:
        return name_shortfalls(session, decide_change(Limits(), limit, at_least=[], within=[room]))
    floor = rooms_to_keep(session, account)
    return name_shortfalls(session, decide_change(account.limit, limit, at_least=floor, within=[room]))


def capacity_room(session: Session, root: QuotaAccount) -> Room:
    """What the region has left for the grant of `root`, beside those of the other roots."""
    return _region_room(session, root.region, root.bureau_id)


def parent_room(
    session: Session, parent: QuotaAccount | None, parent_id: int, *, besides: QuotaAccount | None
) -> Room:
    """What a parent has for the grant of `besides`, apart from that grant; nothing without an account."""
    if parent is None:
        return Room(parent_id, Limits(), Limits())
    if parent.mode == "shared":
        return Room(parent_id, parent.limit, Limits())
    return Room(
        parent_id, parent.limit, Limits.exactly(parent.used) + carved_of(session, parent, besides=besides)
    )


def rooms_to_keep(session: Session, account: QuotaAccount) -> list[Room]:
    """What a grant may not fall below: nothing while frozen; else what is held, and in shared mode the
    ceilings.
    """
    if account.frozen is not None:
        return []
    rooms = [Room(account.bureau_id, account.limit, held_by(account))]
    if account.mode == "shared":
        children = list_child_accounts(session, region=account.region, bureau_id=account.bureau_id)
        rooms += [
            Room(account.bureau_id, account.limit, child.limit, child_id=child.bureau_id)
            for child in children
        ]
    return rooms


def carved_of(session: Session, parent: QuotaAccount, *, besides: QuotaAccount | None = None) -> Limits:
    """The sum of what the bureau's children are charged with, without that of `besides`."""
    children = list_child_accounts(session, region=parent.region, bureau_id=parent.bureau_id)
    return total_of(child.charged for child in children if besides is None or child.id != besides.id)


def living_bureau(session: Session, bureau_id: int) -> Bureau:
    """The bureau as last committed. Raises `NotFound` if it is not there or was abolished."""
    bureau = session.get(Bureau, bureau_id, populate_existing=True)
    if bureau is None or bureau.abolished_at is not None:
        raise NotFound(what_zh="单位", what_en="bureau", key=bureau_id)
    return bureau


def _region_room(session: Session, region: str, root_id: int) -> Room:
    roots = list_child_accounts(session, region=region, bureau_id=None)
    others = total_of(one.charged for one in roots if one.bureau_id != root_id)
    return Room(root_id, capacity_of(session, region=region), others)
