"""SELECTs on grants and the accounts that they fill."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from identity.models import Bureau
from provisioning.models import Grant, QuotaAccount


def find_open_grant(session: Session, *, region: str, bureau_id: int) -> Grant | None:
    """What the bureau is granted now, and how; None if it never had an account."""
    query = select(Grant).where(
        Grant.bureau_id == bureau_id, Grant.region == region, Grant.valid_to.is_(None)
    )
    return session.scalars(query).one_or_none()


def list_grants(
    session: Session, *, region: str, bureau_id: int, before_id: int | None = None, limit: int = 50
) -> Sequence[Grant]:
    """What the bureau was granted, the newest first; `before_id` is the last one seen."""
    query = select(Grant).where(Grant.bureau_id == bureau_id, Grant.region == region)
    if before_id is not None:
        query = query.where(Grant.id < before_id)
    return session.scalars(query.order_by(Grant.id.desc()).limit(limit)).all()


def list_accounts_of(
    session: Session, *, region: str, bureau_ids: Collection[int]
) -> dict[int, QuotaAccount]:
    """The accounts of these bureaus in the region, by the bureau's id; those without one are left out."""
    query = select(QuotaAccount).where(QuotaAccount.region == region, QuotaAccount.bureau_id.in_(bureau_ids))
    return {account.bureau_id: account for account in session.scalars(query)}


def list_granted_children(
    session: Session,
    *,
    region: str,
    parent_id: int,
    bureau_ids: Collection[int] | None = None,
    after_code: str = "",
    limit: int = 50,
) -> Sequence[tuple[Bureau, QuotaAccount]]:
    """A page of the living bureaus right below, of `bureau_ids` only, with their accounts, by code."""
    query = (
        select(Bureau, QuotaAccount)
        .join(QuotaAccount, QuotaAccount.bureau_id == Bureau.id)
        .where(Bureau.parent_id == parent_id, Bureau.abolished_at.is_(None), Bureau.code > after_code)
        .where(QuotaAccount.region == region)
    )
    if bureau_ids is not None:
        query = query.where(Bureau.id.in_(bureau_ids))
    return [
        (bureau, account) for bureau, account in session.execute(query.order_by(Bureau.code).limit(limit))
    ]
