"""The rows of quota accounts, and the one order in which everything locks them.

First the lock of the tree, shared (renames, moves, merges and transfers hold it alone, and only then lock
bureaus, systems, cases, requests and servers), then a case, its request and its servers, then the region's
row (grants, modes and freezes only, one at a time), then accounts: deeper ones before those above them, then
by id. A claim takes its own account and the pooled ones above it, nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, bindparam, literal, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from identity.models import Bureau
from identity.queries import get_bureau_by_id
from identity.service.tree import keep_tree_still
from infra.database import locked
from provisioning.errors import CapacityExceeded, NoSuchRegion, QuotaExceeded, QuotaInconsistent, describe
from provisioning.models import Grant, QuotaAccount, Region
from provisioning.quota import DIMENSIONS, Limits, Resources, Room, Shortfall, headroom

MODE_AT_FIRST = "reserved"
E = TypeVar("E", Region, QuotaAccount)


def _make_pooled_above() -> Select[QuotaAccount]:
    start = select(Bureau.id, Bureau.parent_id, literal(0).label("height"))
    up = start.where(Bureau.id == bindparam("bureau_id")).cte("chain", recursive=True)
    above = aliased(Bureau)
    up = up.union_all(select(above.id, above.parent_id, up.c.height + 1).where(above.id == up.c.parent_id))
    return (
        select(QuotaAccount)
        .join(up, QuotaAccount.bureau_id == up.c.id)
        .where(QuotaAccount.region == bindparam("region"), up.c.height > 0)
        .where(or_(QuotaAccount.mode == "shared", QuotaAccount.frozen.is_not(None)))
        .order_by(up.c.height)
    )


def _for_update(query: Select[E]) -> Select[E]:
    """Lock what `query` selects (not against foreign keys to it), and read it anew in any case."""
    entity = query.column_descriptions[0]["entity"]
    return locked(query, key_share=True, of=entity)


ACCOUNT = select(QuotaAccount).where(
    QuotaAccount.bureau_id == bindparam("bureau_id"), QuotaAccount.region == bindparam("region")
)
POOLED_ABOVE = _make_pooled_above()
LOCKED_ACCOUNT, LOCKED_POOLED_ABOVE = _for_update(ACCOUNT), _for_update(POOLED_ABOVE)
"""Built once: composing them anew was a quarter of a claim's work."""


def lock_region(session: Session, region: str) -> Region:
    """One change of grants, modes or freezes at a time in `region`; claims pass by. Raises `NoSuchRegion`."""
    keep_tree_still(session)
    found = session.scalar(_for_update(select(Region).where(Region.name == region)))
    if found is None:
        raise NoSuchRegion(region=region)
    return found


def lock_account(session: Session, *, region: str, bureau_id: int) -> QuotaAccount | None:
    """The bureau's account as last committed, locked until the transaction ends; None if it has none."""
    return session.scalar(LOCKED_ACCOUNT, {"bureau_id": bureau_id, "region": region})


def open_account(session: Session, *, region: str, bureau_id: int, at: datetime, actor: str) -> QuotaAccount:
    """The bureau's account, locked; made with nothing granted if it has none. Needs the region's lock."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    empty = {"limit": Limits(), "charged": Limits(), "mode": MODE_AT_FIRST, "frozen": None}
    made = session.execute(
        insert(QuotaAccount)
        .values(
            bureau_id=bureau_id,
            region=region,
            used=Resources(),
            carved=Limits(),
            pooled_used=Resources(),
            version=1,
            **empty,
        )
        .on_conflict_do_nothing(index_elements=["bureau_id", "region"])
        .returning(QuotaAccount.id)
    ).scalar()
    if made is not None:
        session.add(Grant(bureau_id=bureau_id, region=region, valid_from=at, actor=actor, **empty))
    return session.scalars(LOCKED_ACCOUNT, {"bureau_id": bureau_id, "region": region}).one()


def lock_pooled_above(session: Session, *, region: str, bureau_id: int) -> list[QuotaAccount]:
    """The accounts above the bureau that pool usage (shared or frozen), nearest first, locked as last
    committed.

    Needs the bureau's own account locked: then neither its chain nor what is pooled in it can change.
    """
    return list(session.scalars(LOCKED_POOLED_ABOVE, {"bureau_id": bureau_id, "region": region}))


def list_pooled_above(session: Session, *, region: str, bureau_id: int) -> list[QuotaAccount]:
    """The same, read without a lock: good for a warning, not for a decision."""
    return list(session.scalars(POOLED_ABOVE, {"bureau_id": bureau_id, "region": region}))


def find_account(session: Session, *, region: str, bureau_id: int) -> QuotaAccount | None:
    """The bureau's account, read without a lock."""
    query = ACCOUNT.execution_options(populate_existing=True)
    return session.scalar(query, {"bureau_id": bureau_id, "region": region})


def lock_subtree(session: Session, *, region: str, bureau_id: int) -> list[QuotaAccount]:
    """The accounts of the bureau and all below it, deepest first and the bureau's own last, locked.

    Needs the region's lock: then no account is opened below meanwhile, and no claim below is missed.
    """
    root = select(Bureau.id, literal(0).label("depth")).where(Bureau.id == bureau_id)
    tree = root.cte("tree", recursive=True)
    below = aliased(Bureau)
    tree = tree.union_all(select(below.id, tree.c.depth + 1).where(below.parent_id == tree.c.id))
    return list(
        session.scalars(
            _for_update(
                select(QuotaAccount)
                .join(tree, QuotaAccount.bureau_id == tree.c.id)
                .where(QuotaAccount.region == region)
                .order_by(tree.c.depth.desc(), QuotaAccount.id)
            )
        )
    )


def list_child_accounts(session: Session, *, region: str, bureau_id: int | None) -> list[QuotaAccount]:
    """The accounts of the bureaus right below (None: of the roots); their grants stand still under the
    region's lock, their usage does not.
    """
    parent = Bureau.parent_id.is_(None) if bureau_id is None else Bureau.parent_id == bureau_id
    return list(
        session.scalars(
            select(QuotaAccount)
            .join(Bureau, Bureau.id == QuotaAccount.bureau_id)
            .where(parent, QuotaAccount.region == region)
            .order_by(QuotaAccount.id)
            .execution_options(populate_existing=True)
        )
    )


def effective_limit(account: QuotaAccount) -> Limits:
    """The grant, or the stricter limit that a freeze put on it."""
    return account.limit if account.frozen is None else account.limit.lower(account.frozen)


def held_by(account: QuotaAccount) -> Limits:
    """What is taken of a grant: used and carved out, or, in shared mode, used in the whole subtree."""
    if account.mode == "shared":
        return Limits.exactly(account.pooled_used)
    return Limits.exactly(account.used) + account.carved


def own_rooms(account: QuotaAccount) -> list[Room]:
    """The limits that a claim of the account's own bureau meets there."""
    rooms = [] if account.mode == "shared" else [Room(account.bureau_id, account.limit, held_by(account))]
    return rooms + ([pool_room(account)] if account.is_pooled else [])


def below_of(account: QuotaAccount) -> Limits:
    """What the bureaus below take of the account's grant: what is carved out for them, or in shared mode
    what they use.
    """
    if account.mode == "shared":
        return Limits.exactly(account.pooled_used - account.used)
    return account.carved


def pool_room(account: QuotaAccount) -> Room:
    """The limit that a claim anywhere in the subtree of a pooled account meets there."""
    return Room(account.bureau_id, effective_limit(account), Limits.exactly(account.pooled_used))


def headroom_of(account: QuotaAccount) -> Limits:
    """What the account itself still lets its bureau claim, never below 0; pooled ones above may let less."""
    left = Limits.unlimited()
    for room in own_rooms(account):
        left = left.lower(headroom(room.limit, room.used))
    return left


def refuse_shortfalls(session: Session, *, region: str, shortfalls: Sequence[Shortfall]) -> None:
    """Raise `QuotaExceeded` that names them all; nothing happens if there are none."""
    if shortfalls:
        named = name_shortfalls(session, shortfalls)
        raise QuotaExceeded(region=region, shortfalls=named, **describe(named))


def refuse_overcommit(session: Session, *, region: str, shortfalls: Sequence[Shortfall]) -> None:
    """Raise `CapacityExceeded` that names them all; nothing happens if there are none."""
    if shortfalls:
        named = name_shortfalls(session, shortfalls)
        raise CapacityExceeded(region=region, shortfalls=named, **describe(named))


def inconsistency_of(session: Session, account: QuotaAccount) -> QuotaInconsistent | None:
    """What keeps the bureau from new claims while not every service of its cloud holds its quota."""
    if account.inconsistent_at is None:
        return None
    bureau = get_bureau_by_id(session, bureau_id=account.bureau_id)
    return QuotaInconsistent.of(
        bureau_id=bureau.id,
        code=bureau.code,
        bureau=bureau.name,
        region=account.region,
        since_at=account.inconsistent_at,
        faults=account.service_faults or {},
    )


def name_shortfalls(session: Session, shortfalls: Iterable[Shortfall]) -> list[dict[str, Any]]:
    """As JSON-able facts with the bureaus' codes and names and the dimensions' words; `child` is the bureau
    whose ceiling `used` is, null where it is usage.
    """
    rows = list(shortfalls)
    ids = {row.bureau_id for row in rows} | {row.child_id for row in rows if row.child_id is not None}
    bureaus = {
        row.id: row
        for row in session.execute(select(Bureau.id, Bureau.code, Bureau.name).where(Bureau.id.in_(ids)))
    }
    words = {d.key: d for d in DIMENSIONS}
    return [
        {
            "bureau_id": row.bureau_id,
            "code": bureaus[row.bureau_id].code,
            "bureau": bureaus[row.bureau_id].name,
            "child": None
            if row.child_id is None
            else {"code": bureaus[row.child_id].code, "name": bureaus[row.child_id].name},
            "dimension": row.dimension,
            "zh": words[row.dimension].zh,
            "en": words[row.dimension].en,
            "unit": words[row.dimension].unit,
            "limit": row.limit,
            "used": row.used,
            "asked": row.asked,
        }
        for row in rows
    ]
