"""What the processes of test_claims_under_fire.py do: each opens the records for itself, reports outcomes."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import Engine, select

from identity.models import Bureau
from identity.service.tree import TREE_LOCK
from infra.database import Busy, open_database, reading, serialise, transaction
from infra.errors import SijiError
from provisioning.quota import Limits, Resources
from provisioning.service import claims, grants
from provisioning.service.recount import recount
from provisioning.service.tree import QuotaGuard

REGION = "baoding"
ACTOR = "person:1"
THREADS = 25

Act = Callable[..., object]

Order = tuple[int, int, str]
"""A claim to make: bureau id, system id, key."""


@dataclass(frozen=True)
class Outcome:
    """What came of a claim at `bureau_id`: None if granted, else the facts of the refusal or the error.

    `begun` and `ended` are readings of the clock that all processes of the machine share.
    """

    bureau_id: int
    refusal: Any
    begun: int
    ended: int


def claim_all(url: str, orders: list[Order], vcpus: int, at: datetime, start: Barrier) -> list[Outcome]:
    """Make every claim, as many at a time as there are threads; one told "busy" is made again."""
    engine = open_database(url, pool_size=THREADS)

    def one(order: Order) -> Outcome:
        bureau_id, system_id, key = order
        amounts = Resources.of(vcpus=vcpus)
        how: dict[str, Any] = {"region": REGION, "bureau_id": bureau_id, "system_id": system_id}
        while True:
            begun = time.monotonic_ns()
            refusal = _outcome(engine, claims.claim, **how, key=key, amounts=amounts, at=at, actor=ACTOR)
            if not (isinstance(refusal, dict) and refusal["code"] == Busy.code):
                return Outcome(bureau_id, refusal, begun, time.monotonic_ns())

    with ThreadPoolExecutor(THREADS) as pool:
        start.wait()
        outcomes = list(pool.map(one, orders))
    engine.dispose()
    return outcomes


def live(url: str, seed: int, orders: list[Order], turns: int, at: datetime, start: Barrier) -> list[Any]:
    """Claim, settle, resize, revert and release at random under keys of its own; the errors that are no
    refusals.
    """
    engine, chance = open_database(url), random.Random(seed)
    start.wait()
    outcomes = []
    for turn in range(turns):
        bureau_id, system_id, key = chance.choice(orders)
        common: dict[str, Any] = {"key": key, "at": at + timedelta(seconds=turn), "actor": ACTOR}
        amounts = Resources.of(vcpus=chance.randint(1, 30))
        place = {"region": REGION, "bureau_id": bureau_id, "system_id": system_id}
        acts: list[tuple[Act, dict[str, Any]]] = [
            (claims.claim, {**place, "amounts": amounts}),
            (claims.claim, {**place, "amounts": amounts}),
            (claims.resize, {"amounts": amounts}),
            (claims.settle, {}),
            (claims.revert, {}),
            (claims.release, {}),
        ]
        act, how = chance.choice(acts)
        outcomes.append(_outcome(engine, act, **common, **how))
    engine.dispose()
    return [one for one in outcomes if isinstance(one, str)]


def reorganise(
    url: str, seed: int, counties: list[int], towns: list[int], turns: int, at: datetime, start: Barrier
) -> list[Any]:
    """Switch modes, freeze, unfreeze, grant and move at random; the errors that are no refusals."""
    engine, chance = open_database(url), random.Random(seed)
    start.wait()
    outcomes = []
    for turn in range(turns):
        common: dict[str, Any] = {"at": at + timedelta(seconds=turn), "actor": ACTOR}
        place = {"region": REGION, "bureau_id": chance.choice([*counties, *towns])}
        acts: list[tuple[Act, dict[str, Any]]] = [
            (grants.set_mode, {**place, "mode": chance.choice(["shared", "reserved"])}),
            (
                grants.freeze,
                {**place, "limit": Limits.of(vcpus=chance.randint(0, 200)), "reason": "核查"},
            ),
            (grants.unfreeze, place),
            (grants.grant_quota, {**place, "limit": Limits.of(vcpus=chance.randint(50, 200))}),
            (move, {"bureau_id": chance.choice(towns), "new_parent_id": chance.choice(counties)}),
        ]
        act, how = chance.choice(acts)
        outcomes.append(_outcome(engine, act, **common, **how))
    engine.dispose()
    return [one for one in outcomes if isinstance(one, str)]


def keep_recounting(url: str, times: int, start: Barrier) -> list[Any]:
    """Recount while the others act; the differences that any of the snapshots showed."""
    engine = open_database(url)
    start.wait()
    found: list[Any] = []
    for _ in range(times):
        with reading(engine) as session:
            found += recount(session)
    engine.dispose()
    return found


def move(session: Any, *, bureau_id: int, new_parent_id: int, at: datetime, actor: str) -> None:
    """A move as the tree makes it: its lock first, the row written, then the guard's word."""
    serialise(session, TREE_LOCK)
    bureau = session.scalars(select(Bureau).where(Bureau.id == bureau_id).with_for_update()).one()
    old, bureau.parent_id = bureau.parent_id, new_parent_id
    QuotaGuard().on_move(
        session, bureau_id=bureau_id, old_parent_id=old, new_parent_id=new_parent_id, at=at, actor=actor
    )


def _outcome(engine: Engine, act: Act, **how: Any) -> Any:
    """None if done, the facts of a refusal, or the text of any other error, which must not be."""
    try:
        with transaction(engine) as session:
            act(session, **how)
    except SijiError as refused:
        return {"code": refused.code, **refused.facts}
    except Exception as error:  # noqa: BLE001 - whatever escapes is what the test looks for
        return repr(error)
    return None
