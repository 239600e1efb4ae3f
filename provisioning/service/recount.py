"""The proof that counters are caches: a recount from allocations, grants and the tree, compared with them.

And that each server is the bureau's whose quota carries it, and as large as that quota was told.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, true
from sqlalchemy.orm import Session

from identity.models import Bureau
from provisioning.models import Allocation, Grant, QuotaAccount, Server, Volume
from provisioning.queries import keys_held_by
from provisioning.quota import Limits, Resources, total_of


@dataclass(frozen=True)
class Difference:
    """One counter, or the bureau or the size of one server, that is not what the recount finds; both values
    as stored documents, words or ids.
    """

    region: str
    bureau_id: int
    counter: str
    cached: Any
    recounted: Any


def recount(session: Session, *, region: str | None = None) -> list[Difference]:
    """Every difference between the counters and sums over open allocations and grants, and between servers'
    bureaus and sizes and those of their allocations; must always be empty.

    Give it a `reading` session: one snapshot, so that claims in flight are no differences. None: all regions.
    """
    accounts = list(session.scalars(select(QuotaAccount).where(_in(QuotaAccount.region, region))))
    return [
        difference
        for name in sorted({account.region for account in accounts})
        for difference in _recount_region(session, name, [one for one in accounts if one.region == name])
    ]


def _recount_region(session: Session, region: str, accounts: list[QuotaAccount]) -> Iterator[Difference]:
    parents = {row.id: row.parent_id for row in session.execute(select(Bureau.id, Bureau.parent_id))}
    own, below = _usage(session, region, parents)
    grants = {
        grant.bureau_id: grant
        for grant in session.scalars(select(Grant).where(Grant.region == region, Grant.valid_to.is_(None)))
    }
    children: dict[int | None, list[Limits]] = defaultdict(list)
    for account in accounts:
        children[parents[account.bureau_id]].append(grants[account.bureau_id].charged)
    for account in sorted(accounts, key=lambda one: one.bureau_id):
        grant = grants[account.bureau_id]
        carved = total_of(children[account.bureau_id]) if grant.mode == "reserved" else Limits()
        pooled = (
            below[account.bureau_id] if grant.mode == "shared" or grant.frozen is not None else Resources()
        )
        for counter, cached, recounted in (
            ("limit", account.limit, grant.limit),
            ("charged", account.charged, grant.charged),
            ("mode", account.mode, grant.mode),
            ("frozen", account.frozen, grant.frozen),
            ("used", account.used, own[account.bureau_id]),
            ("carved", account.carved, carved),
            ("pooled_used", account.pooled_used, pooled),
        ):
            if cached != recounted:
                yield Difference(region, account.bureau_id, counter, _shown(cached), _shown(recounted))
    yield from _astray(session, region)
    yield from _missized(session, region)


def _astray(session: Session, region: str) -> Iterator[Difference]:
    """Servers that are one bureau's while another one's quota carries them or one of their volumes."""
    keys = keys_held_by(true(), Server.id.label("id"), Server.bureau_id.label("bureau_id"))
    query = (
        select(keys.c.id, keys.c.bureau_id, Allocation.bureau_id)
        .join(Allocation, Allocation.key == keys.c.key)
        .where(Allocation.region == region, Allocation.valid_to.is_(None))
        .where(Allocation.bureau_id != keys.c.bureau_id)
    )
    for server_id, its, carrier in session.execute(query.distinct().order_by(keys.c.id)):
        yield Difference(region, its, f"server:{server_id}", its, carrier)


def _missized(session: Session, region: str) -> Iterator[Difference]:
    """Servers and volumes whose own size is not what is settled for them: the next change would go wrong."""
    query = (
        select(Server.id, Server.bureau_id, Server.amounts, Allocation.amounts)
        .join(Allocation, Allocation.key == Server.allocation_key)
        .where(Allocation.region == region, Allocation.valid_to.is_(None), Allocation.state == "settled")
    )
    for server_id, bureau_id, its, settled in session.execute(query.order_by(Server.id)):
        if its != settled:
            yield Difference(region, bureau_id, f"server:{server_id}.amounts", _shown(its), _shown(settled))
    volumes = (
        select(Volume, Server.bureau_id, Allocation.amounts)
        .join(Server, Server.id == Volume.server_id)
        .join(Allocation, Allocation.key == Volume.allocation_key)
        .where(Allocation.region == region, Allocation.valid_to.is_(None), Allocation.state == "settled")
    )
    for volume, bureau_id, settled in session.execute(volumes.order_by(Volume.id)):
        if volume.amounts != settled:
            counter = f"volume:{volume.id}.amounts"
            yield Difference(region, bureau_id, counter, _shown(volume.amounts), _shown(settled))


def _usage(
    session: Session, region: str, parents: dict[int, int | None]
) -> tuple[dict[int, Resources], dict[int, Resources]]:
    """What each bureau uses itself, and what its whole subtree uses."""
    own: dict[int, Resources] = defaultdict(Resources)
    below: dict[int, Resources] = defaultdict(Resources)
    held = select(Allocation.bureau_id, Allocation.amounts)
    for bureau_id, amounts in session.execute(
        held.where(Allocation.region == region, Allocation.valid_to.is_(None))
    ):
        own[bureau_id] += amounts
    for bureau_id, amounts in own.items():
        above: int | None = bureau_id
        while above is not None:
            below[above] += amounts
            above = parents[above]
    return own, below


def _in(column: Any, region: str | None) -> Any:
    return True if region is None else column == region


def _shown(value: Any) -> Any:
    return value.document() if isinstance(value, Resources | Limits) else value
