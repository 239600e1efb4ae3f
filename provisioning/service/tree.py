"""What provisioning says to changes of the tree and of systems' owners: what is held, and whether it fits
elsewhere.

Whoever calls holds the tree's lock alone (identity.guard says so), so that no claim and no grant is under
way and counters stand still.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.orm import Session

from approval.service import hand_over_cases
from identity.guard import chunks
from identity.queries import list_chain_ids, subtree_ids
from infra import journal
from infra.jobs import enqueue
from provisioning.models import Allocation, QuotaAccount, Region, Request, Server
from provisioning.quota import Limits, Resources, Room, Shortfall, decide, total_used
from provisioning.service.accounts import (
    effective_limit,
    find_account,
    held_by,
    pool_room,
    refuse_overcommit,
    refuse_shortfalls,
)
from provisioning.service.claims import reopen
from provisioning.service.rooms import capacity_room, carved_of, parent_room


class QuotaGuard:
    """Provisioning's word in identity's changes (identity.guard.TreeGuard and SystemGuard)."""

    def holdings(self, session: Session, *, bureau_ids: Collection[int]) -> dict[int, list[str]]:
        """'grants' of bureaus that were granted something, 'allocations' of those that use something."""
        held: dict[int, list[str]] = defaultdict(list)
        for some in chunks(sorted(bureau_ids)):
            accounts = select(QuotaAccount).where(QuotaAccount.bureau_id.in_(some))
            used = select(Allocation.bureau_id).where(
                Allocation.bureau_id.in_(some), Allocation.valid_to.is_(None)
            )
            for bureau_id in sorted(
                {one.bureau_id for one in session.scalars(accounts) if one.limit or one.charged}
            ):
                held[bureau_id].append("grants")
            for bureau_id in sorted(session.scalars(used.distinct())):
                held[bureau_id].append("allocations")
        return dict(held)

    def on_move(
        self,
        session: Session,
        *,
        bureau_id: int,
        old_parent_id: int | None,
        new_parent_id: int | None,
        at: datetime,
        actor: str,
    ) -> None:
        """Take the bureau's grants and its subtree's usage along, in every region, once the move is written.

        Raises `QuotaExceeded` or `CapacityExceeded` with every shortfall where the new place has no room.
        """
        for region in session.scalars(select(Region.name).order_by(Region.name)).all():
            moved = find_account(session, region=region, bureau_id=bureau_id)
            if moved is not None:
                _move_in(session, region, moved, old_parent_id, new_parent_id)
                _journal(session, moved, before=old_parent_id, after=new_parent_id, at=at, actor=actor)

    def on_merge(
        self, session: Session, *, bureau_id: int, successor_id: int, at: datetime, actor: str
    ) -> None:
        """Grants are not handed over: who granted them takes them back and grants the successor its own."""

    def on_abolish(self, session: Session, *, bureau_ids: Collection[int], at: datetime, actor: str) -> None:
        """A bureau that is abolished has no grant that could end; its projects in the clouds are retired."""
        enqueue(session, "provisioning.retire_projects")

    def system_holdings(self, session: Session, *, system_ids: Collection[int]) -> dict[int, list[str]]:
        """'allocations' of systems that use something."""
        held: dict[int, list[str]] = {}
        for some in chunks(sorted(system_ids)):
            used = select(Allocation.system_id).where(
                Allocation.system_id.in_(some), Allocation.valid_to.is_(None)
            )
            held.update((system_id, ["allocations"]) for system_id in session.scalars(used.distinct()))
        return held

    def on_transfer(
        self,
        session: Session,
        *,
        system_id: int,
        old_bureau_id: int,
        new_bureau_id: int,
        at: datetime,
        actor: str,
    ) -> None:
        """Let the new bureau's quota carry what the system uses, and its servers and open requests be the new
        bureau's; ended ones stay as they were. Raises `QuotaExceeded` where the quota cannot.
        """
        _hand_over(session, system_id, old_bureau_id, new_bureau_id, at=at, actor=actor)
        query = select(Allocation).where(Allocation.system_id == system_id, Allocation.valid_to.is_(None))
        allocations = session.scalars(query.order_by(Allocation.id)).all()
        for region in sorted({one.region for one in allocations}):
            carried = [one for one in allocations if one.region == region]
            usage = total_used(one.amounts for one in carried)
            _carry_usage(session, region, usage, old_bureau_id=old_bureau_id, new_bureau_id=new_bureau_id)
            for one in carried:
                opened = reopen(
                    session, one, amounts=one.amounts, state=one.state, at=at, bureau_id=new_bureau_id
                )
                opened.settles_to, opened.reverts_to = one.settles_to, one.reverts_to
            journal.append(
                session,
                actor=actor,
                act="quota.transfer",
                subject=f"system:{system_id}",
                bureau_id=new_bureau_id,
                at=at,
                before={"bureau_id": old_bureau_id},
                after={"bureau_id": new_bureau_id, "region": region, "usage": usage.document()},
            )
        session.flush()


def _hand_over(
    session: Session, system_id: int, old_bureau_id: int, new_bureau_id: int, *, at: datetime, actor: str
) -> None:
    """Make the system's open requests, with their cases, and its servers those of the new bureau.

    In the order in which everybody locks them. A server that is or may be in the cloud stays in its project.
    """
    asked = select(Request.case_id).where(Request.system_id == system_id, Request.ended_at.is_(None))
    cases = [case_id for case_id in session.scalars(asked.order_by(Request.case_id)) if case_id is not None]
    hand_over_cases(session, case_ids=cases, bureau_id=new_bureau_id, at=at, actor=actor)
    still_open = (Request.system_id == system_id) & Request.ended_at.is_(None)
    requests = update(Request).where(still_open).values(bureau_id=new_bureau_id).returning(Request.id)
    request_ids = sorted(session.scalars(requests))
    stays_in = func.nullif(func.coalesce(Server.project_bureau_id, old_bureau_id), new_bureau_id)
    servers = (
        update(Server)
        .where(Server.system_id == system_id, Server.state.not_in(("given_up", "released")))
        .values(
            bureau_id=new_bureau_id,
            project_bureau_id=case(
                (Server.project.is_not(None), Server.project_bureau_id),
                (and_(Server.visits == 0, Server.cloud_id.is_(None)), None),
                else_=stays_in,
            ),
            revision=Server.revision + 1,
        )
        .returning(Server.id)
    )
    server_ids = sorted(session.scalars(servers, execution_options={"populate_existing": True}))
    if request_ids or server_ids:
        journal.append(
            session,
            actor=actor,
            act="server.transfer",
            subject=f"system:{system_id}",
            bureau_id=new_bureau_id,
            at=at,
            before={"bureau_id": old_bureau_id},
            after={"bureau_id": new_bureau_id, "request_ids": request_ids, "server_ids": server_ids},
        )
        enqueue(session, "provisioning.push_quotas")


def _move_in(
    session: Session, region: str, moved: QuotaAccount, old_parent_id: int | None, new_parent_id: int | None
) -> None:
    """Bring every counter that the move touches to what the tree is now; refuse where one grew too far."""
    old_chain, new_chain = _chain(session, old_parent_id), _chain(session, new_parent_id)
    if new_parent_id is None:
        refuse_overcommit(
            session, region=region, shortfalls=decide(moved.charged, [capacity_room(session, moved)])
        )
    else:
        parent = find_account(session, region=region, bureau_id=new_parent_id)
        short = _short_at_parent(session, new_parent_id, parent, moved)
        for account in _accounts(session, region, (one for one in new_chain if one not in old_chain)):
            short += _repool(session, account)
        refuse_shortfalls(session, region=region, shortfalls=short)
    for account in _accounts(session, region, (one for one in old_chain if one not in new_chain)):
        _repool(session, account)
    for account in _accounts(session, region, [*old_chain[:1], *new_chain[:1]]):
        if account.mode == "reserved":
            account.carved = carved_of(session, account)
        account.version += 1
    session.flush()


def _short_at_parent(
    session: Session, parent_id: int, parent: QuotaAccount | None, moved: QuotaAccount
) -> list[Shortfall]:
    """Where the new parent's grant has no room for the moved one, carved out or as a ceiling."""
    is_ceiling = parent is not None and parent.mode == "shared"
    asked = moved.limit if is_ceiling else moved.charged
    return decide(asked, [parent_room(session, parent, parent_id, besides=moved)])


def _repool(session: Session, account: QuotaAccount) -> list[Shortfall]:
    """Count a pooled account's subtree anew; where that grew, the shortfalls."""
    if not account.is_pooled:
        return []
    below = select(QuotaAccount.used).where(
        QuotaAccount.region == account.region, QuotaAccount.bureau_id.in_(subtree_ids(account.bureau_id))
    )
    before, account.pooled_used = account.pooled_used, total_used(session.scalars(below))
    room = Room(account.bureau_id, effective_limit(account), Limits.exactly(before))
    return decide(before.growth_to(account.pooled_used), [room])


def _carry_usage(
    session: Session, region: str, usage: Resources, *, old_bureau_id: int, new_bureau_id: int
) -> None:
    """Count `usage` at the new bureau instead of the old one; a pool around both counts it once."""
    old_chain, new_chain = _chain(session, old_bureau_id), _chain(session, new_bureau_id)
    [old] = _accounts(session, region, [old_bureau_id])
    enters = [
        one
        for one in _accounts(session, region, new_chain)
        if one.bureau_id not in old_chain and one.is_pooled
    ]
    new = find_account(session, region=region, bureau_id=new_bureau_id)
    if new is None:
        rooms = [Room(new_bureau_id, Limits(), Limits())]
    else:
        rooms = [Room(new_bureau_id, new.limit, held_by(new))] if new.mode == "reserved" else []
    shortfalls = decide(usage, [*rooms, *(pool_room(one) for one in enters)])
    refuse_shortfalls(session, region=region, shortfalls=shortfalls)
    old.used -= usage
    for one in _accounts(session, region, old_chain):
        if one.is_pooled and one.bureau_id not in new_chain:
            one.pooled_used -= usage
    for one in enters:
        one.pooled_used += usage
    if new is not None:
        new.used += usage
    session.flush()


def _chain(session: Session, bureau_id: int | None) -> list[int]:
    """The bureau and all above it, nearest first."""
    return [] if bureau_id is None else list(list_chain_ids(session, bureau_id=bureau_id))


def _accounts(session: Session, region: str, bureau_ids: Iterable[int]) -> list[QuotaAccount]:
    found = (find_account(session, region=region, bureau_id=one) for one in bureau_ids)
    return [account for account in found if account is not None]


def _journal(
    session: Session, moved: QuotaAccount, *, before: int | None, after: int | None, at: datetime, actor: str
) -> None:
    journal.append(
        session,
        actor=actor,
        act="quota.move",
        subject=f"grant:{moved.region}",
        bureau_id=moved.bureau_id,
        at=at,
        before={"parent_id": before},
        after={"parent_id": after, "limit": moved.limit.document()},
    )
