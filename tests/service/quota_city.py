"""A small city with grants, for the tests of quota."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.service.systems import transfer_system
from identity.service.tree import TREE_LOCK
from infra.database import reading, serialise, transaction
from provisioning.errors import (
    QuotaExceeded,
)
from provisioning.models import QuotaAccount
from provisioning.quota import Limits, Resources
from provisioning.service import grants
from provisioning.service.claims import claim
from provisioning.service.recount import recount
from provisioning.service.tree import QuotaGuard
from tests.factories import make_bureau, make_region, make_system

REGION = "baoding"


class City:
    """A city of 100 vCPU with counties east (60) and west (30) and a town of 40 in the east, all by name."""

    def __init__(self, engine: Engine, at: datetime) -> None:
        self.engine, self.at = engine, at
        self.ids: dict[str, int] = {}
        self.systems: dict[str, int] = {}
        with transaction(engine) as session:
            make_region(session, name=REGION, holds=Limits.of(vcpus=100))
            self._add(session, "city", None)
            self._add(session, "east", "city")
            self._add(session, "west", "city")
            self._add(session, "town", "east")
        self.do(grants.set_root_grant, "city", limit=Limits.of(vcpus=100))
        self.grant("east", 60)
        self.grant("west", 30)
        self.grant("town", 40)

    def _add(self, session: Session, name: str, parent: str | None) -> None:
        above = None if parent is None else session.get(Bureau, self.ids[parent])
        bureau = make_bureau(session, parent=above, name=name)
        self.ids[name], self.systems[name] = bureau.id, make_system(session, bureau).id

    def do(self, act: Callable[..., Any], name: str, **how: Any) -> Any:
        with transaction(self.engine) as session:
            return act(session, region=REGION, bureau_id=self.ids[name], at=self.at, actor="person:1", **how)

    def grant(self, name: str, vcpus: int | None) -> None:
        self.do(grants.grant_quota, name, limit=Limits.of(vcpus=vcpus))

    def claim(self, name: str, vcpus: int) -> None:
        amounts = Resources.of(vcpus=vcpus)
        self.do(claim, name, system_id=self.systems[name], key=f"{name}:{vcpus}", amounts=amounts)

    def move(self, name: str, to: str) -> None:
        """As a territorial unit: its level is its own business here."""
        with transaction(self.engine) as session:
            serialise(session, TREE_LOCK)
            bureau = session.get_one(Bureau, self.ids[name])
            old, bureau.parent_id = bureau.parent_id, self.ids[to]
            QuotaGuard().on_move(
                session,
                bureau_id=bureau.id,
                old_parent_id=old,
                new_parent_id=bureau.parent_id,
                at=self.at,
                actor="person:1",
            )

    def transfer(self, system: str, to: str) -> None:
        with transaction(self.engine) as session:
            transfer_system(
                session,
                system_id=self.systems[system],
                bureau_id=self.ids[to],
                at=self.at,
                actor="person:1",
                guards=[QuotaGuard()],
            )

    def account(self, name: str) -> QuotaAccount:
        with reading(self.engine) as session:
            assert recount(session) == []
            query = select(QuotaAccount).where(QuotaAccount.bureau_id == self.ids[name])
            account = session.scalars(query).one()
            session.expunge(account)
            return account

    def refused(self, act: Callable[..., Any], *how: Any, **named: Any) -> list[tuple[str, Any, Any, Any]]:
        """(bureau, limit, used, asked) of every shortfall, all of them vCPU."""
        with pytest.raises(QuotaExceeded) as refusal:
            act(*how, **named)
        shortfalls = refusal.value.facts["shortfalls"]
        assert {one["dimension"] for one in shortfalls} == {"vcpus"}
        return [(one["bureau"], one["limit"], one["used"], one["asked"]) for one in shortfalls]
