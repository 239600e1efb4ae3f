"""The five laws of quota under any sequence of acts: a state machine against a model without counters."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.models import Bureau
from infra.database import open_database, reading, transaction
from infra.migrations.run import upgrade
from provisioning.errors import AllocationBusy, CapacityExceeded, QuotaExceeded
from provisioning.models import Allocation
from provisioning.quota import Limits, Resources
from provisioning.service import claims, grants
from provisioning.service.recount import recount
from provisioning.service.tree import QuotaGuard
from tests.factories import make_bureau, make_region, make_system
from tests.service.quota_model import INFINITE, Account, Held, Model

TREE: dict[str, str | None] = {
    "city": None,
    "a": "city",
    "b": "city",
    "a1": "a",
    "a2": "a",
    "b1": "b",
    "a1x": "a1",
}
CAPACITY = 60
GRANTS = {"city": 60, "a": 30, "b": 20, "a1": 14, "a2": 10, "b1": 12, "a1x": 6}
ACTOR = "person:1"
KEYS = ("k1", "k2", "k3", "k4", "k5", "k6")
LIVES = {
    "claimed": ["settle", "settle", "settle", "resize", "revert", "begin_release", "release"],
    "settled": ["resize", "resize", "resize", "settle", "revert", "begin_release", "release"],
    "releasing": ["settle", "resize", "begin_release", "release"],
}
"""What is tried on a key in each state, the usual more often."""
_regions = count(1)

bureaus = st.sampled_from(sorted(TREE))
keys = st.sampled_from(KEYS)


class QuotaLaws(RuleBasedStateMachine):
    """Every act is tried on the product and foretold by the model: done, or refused for which bureaus."""

    engine: Engine

    @initialize(shared=st.sets(bureaus, min_size=1, max_size=3))
    def lay_out(self, shared: set[str]) -> None:
        self.region = f"r{next(_regions)}"
        self.at = datetime(2026, 3, 2, tzinfo=UTC)
        self.model = Model(dict(TREE), CAPACITY)
        self.ids: dict[str, int] = {}
        self.systems: dict[str, int] = {}
        with transaction(self.engine) as session:
            make_region(session, name=self.region, holds=Limits.of(vcpus=CAPACITY))
            for name, parent in TREE.items():
                above = None if parent is None else session.get(Bureau, self.ids[parent])
                bureau = make_bureau(session, parent=above, name=f"{self.region}-{name}")
                self.ids[name], self.systems[name] = bureau.id, make_system(session, bureau).id
        self.names = {bureau_id: name for name, bureau_id in self.ids.items()}
        for name, limit in GRANTS.items():
            self.grant(name, limit)
        for name in sorted(shared):
            self.set_mode(name, "shared")
            for child in self.model.children(name):
                self.grant(child, GRANTS[name])

    @rule(data=st.data(), acts=st.integers(4, 10))
    def use(self, data: st.DataObject, acts: int) -> None:
        """A spell of work on servers: what is not held is claimed, what is held is led on through life."""
        for _ in range(acts):
            key = data.draw(keys)
            held = self.model.held.get(key)
            if held is None:
                name = data.draw(bureaus)
                self.claim(key, name, self.draw_amount(data, name))
            else:
                act = data.draw(st.sampled_from(LIVES[held.state]))
                getattr(self, act)(
                    key, held, *([self.draw_amount(data, held.bureau)] if act == "resize" else [])
                )
            self.counters_equal_a_recount_and_the_laws_hold()

    def claim(self, key: str, name: str, amount: int) -> None:
        done = self.attempt(
            self.model.short_of(name, amount),
            claims.claim,
            bureau_id=self.ids[name],
            region=self.region,
            system_id=self.systems[name],
            key=self.key(key),
            amounts=Resources.of(vcpus=amount),
        )
        if done:
            self.model.held[key] = Held(name, amount)

    def settle(self, key: str, held: Held) -> None:
        self.attempt(set(), claims.settle, key=self.key(key))
        if held.state == "claimed":
            self.conclude(held, held.settles_to)

    def revert(self, key: str, held: Held) -> None:
        self.attempt(set(), claims.revert, key=self.key(key))
        if held.reverts_to is not None:
            self.conclude(held, held.reverts_to)

    def resize(self, key: str, held: Held, amount: int) -> None:
        how: dict[str, Any] = {"key": self.key(key), "amounts": Resources.of(vcpus=amount)}
        same = amount == held.settles_to or (held.state == "settled" and amount == held.amount)
        if held.state != "settled" and not same:
            with pytest.raises(AllocationBusy), transaction(self.engine) as session:
                claims.resize(session, **how, at=self.at, actor=ACTOR)
            return
        short = set() if same else self.model.short_of(held.bureau, amount - held.amount)
        if self.attempt(short, claims.resize, **how) and not same:
            held.state, held.settles_to, held.reverts_to = "claimed", amount, held.amount
            held.amount = max(held.amount, amount)

    def begin_release(self, key: str, held: Held) -> None:
        self.attempt(set(), claims.begin_release_all, keys=[self.key(key)])
        held.state, held.settles_to, held.reverts_to = "releasing", None, None

    def release(self, key: str, held: Held) -> None:
        self.attempt(set(), claims.release, key=self.key(key))
        del self.model.held[key]

    @rule(data=st.data(), name=bureaus)
    def regrant(self, data: st.DataObject, name: str) -> None:
        self.grant(name, self.draw_limit(data, name))

    def grant(self, name: str, limit: int | None) -> None:
        short = self.model.short_of_grant(name, limit)
        act = grants.set_root_grant if self.model.parents[name] is None else grants.grant_quota
        done = self.attempt(
            short, act, bureau_id=self.ids[name], region=self.region, limit=Limits.of(vcpus=limit)
        )
        if done:
            account = self.model.accounts.setdefault(name, Account())
            if account.limit != limit:
                account.limit = limit
                self.model.recharge(name)

    @rule(name=bureaus, mode=st.sampled_from(["shared", "reserved"]))
    def set_mode(self, name: str, mode: Any) -> None:
        account = self.model.accounts[name]
        taken = self.model.used(name) + self.model.carved(name)
        short = {name} if account.mode != mode == "reserved" and taken > self.limit_of(name) else set()
        if self.attempt(short, grants.set_mode, bureau_id=self.ids[name], region=self.region, mode=mode):
            account.mode = mode

    @rule(data=st.data(), name=bureaus, shrinks=st.booleans())
    def freeze(self, data: st.DataObject, name: str, shrinks: bool) -> None:
        """Also with its grant shrunk under the freeze, and what that frees wanted elsewhere at once."""
        limit = self.draw_limit(data, name)
        self.attempt(
            set(),
            grants.freeze,
            bureau_id=self.ids[name],
            region=self.region,
            limit=Limits.of(vcpus=limit),
            reason="核查",
        )
        account, parent = self.model.accounts[name], self.model.parents[name]
        account.frozen, account.is_frozen = limit, True
        if shrinks:
            self.grant(name, data.draw(st.integers(0, 6)))
            if parent is not None:
                self.regrant(data, data.draw(st.sampled_from(self.model.children(parent))))

    @precondition(lambda self: any(one.is_frozen for one in self.model.accounts.values()))
    @rule()
    def unfreeze(self) -> None:
        """All that are frozen, those below first, so far as what they hold allows."""
        for name in sorted((n for n, a in self.model.accounts.items() if a.is_frozen), reverse=True):
            short = {name} if self.model.taken(name) > self.limit_of(name) else set()
            if self.attempt(short, grants.unfreeze, bureau_id=self.ids[name], region=self.region):
                account = self.model.accounts[name]
                account.frozen, account.is_frozen, account.charged = None, False, account.limit

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Often to a place that was just made crowded."""
        name = data.draw(st.sampled_from(sorted(set(TREE) - {"city"})))
        to = data.draw(st.sampled_from(sorted(set(TREE) - set(self.model.subtree(name)))))
        old = self.model.parents[name]
        assert old is not None
        free = sorted(set(KEYS) - set(self.model.held))
        if data.draw(st.booleans()) and free:
            self.set_mode(to, "shared")
            self.claim(free[0], to, self.draw_amount(data, to))

        def move(session: Session, **how: Any) -> None:
            session.get_one(Bureau, self.ids[name]).parent_id = self.ids[to]
            QuotaGuard().on_move(session, **how)

        short = self.model.short_of_move(name, to) if to != old else set()
        done = to == old or self.attempt(
            short, move, bureau_id=self.ids[name], old_parent_id=self.ids[old], new_parent_id=self.ids[to]
        )
        if done:
            self.model.parents[name] = to

    @invariant()
    def counters_equal_a_recount_and_the_laws_hold(self) -> None:
        assert self.model.broken_laws() == []
        with reading(self.engine) as session:
            assert recount(session, region=self.region) == []
            rows = session.scalars(
                select(Allocation).where(Allocation.region == self.region).order_by(Allocation.id)
            ).all()
            now = {
                one.key: (self.names[one.bureau_id], one.amounts["vcpus"], one.state)
                for one in rows
                if one.valid_to is None
            }
            assert now == {
                self.key(key): (held.bureau, held.amount, held.state) for key, held in self.model.held.items()
            }
            for key in now:
                history = [one for one in rows if one.key == key]
                assert all(
                    earlier.valid_to is not None and earlier.valid_to <= later.valid_from
                    for earlier, later in pairwise(history)
                )

    def attempt(self, short: set[str], act: Callable[..., Any], **how: Any) -> bool:
        """Do it; a refusal must name exactly the bureaus that the model says fall short."""
        self.at += timedelta(minutes=1)
        told = set()
        try:
            with transaction(self.engine) as session:
                act(session, **how, at=self.at, actor=ACTOR)
        except (QuotaExceeded, CapacityExceeded) as refused:
            told = {self.names[one["bureau_id"]] for one in refused.facts["shortfalls"]}
        assert told == short
        return not told

    def draw_amount(self, data: st.DataObject, name: str) -> int:
        """Often just what fits, or one more."""
        fits = max(n for n in range(CAPACITY + 1) if not self.model.short_of(name, n))
        return data.draw(st.sampled_from(sorted({1, 2, 5, max(1, fits // 2), max(1, fits), fits + 1})))

    def draw_limit(self, data: st.DataObject, name: str) -> int | None:
        """Often just what is taken of the grant or what its parent has left, or one beside that."""
        taken, allowed = min(self.model.taken(name), CAPACITY), [0]
        allowed += [n for n in range(CAPACITY + 1) if not self.model.short_of_grant(name, n)]
        edges = {max(0, taken - 1), taken, taken + 1, allowed[-1], allowed[-1] + 1, 3, 10, 25}
        return data.draw(st.sampled_from([*sorted(edges), None]))

    def conclude(self, held: Held, amount: int | None) -> None:
        held.amount = held.amount if amount is None else amount
        held.state, held.settles_to, held.reverts_to = "settled", None, None

    def limit_of(self, name: str) -> int:
        limit = self.model.accounts[name].limit
        return INFINITE if limit is None else limit

    def key(self, key: str) -> str:
        return f"{self.region}:{key}"


def try_laws(engine: Engine, *, examples: int, steps: int) -> None:
    machine = type("Machine", (QuotaLaws,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_laws_hold_on_sqlite() -> None:
    engine = open_database("sqlite://")
    upgrade(engine)
    try_laws(engine, examples=20, steps=25)
    engine.dispose()


def test_the_laws_hold_on_postgresql(database: Engine) -> None:
    try_laws(database, examples=6, steps=20)


@pytest.mark.soak
def test_the_laws_hold_for_long(database: Engine) -> None:
    try_laws(database, examples=200, steps=40)
