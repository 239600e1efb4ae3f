"""Information systems: registered, edited, handed over, retired."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from identity.errors import (
    BureauAbolished,
    CodeTaken,
    MlpsGradeRefused,
    StillHolding,
    SystemFault,
    SystemRetired,
)
from identity.models import Bureau, System, Token
from identity.queries import find_system, get_system, get_system_by_id, list_system_owners, list_systems
from identity.service.systems import edit_system, register_system, retire_system, transfer_system
from infra.database import reading, transaction
from infra.errors import NotFound, SijiError, Stale
from infra.journal import JournalEntry
from tests.factories import make_bureau, make_person, make_system, make_token

DAY = timedelta(days=1)


@dataclass
class Watcher:
    """A guard that notes transfers, and says that every system holds what it is told."""

    kinds: list[str] = field(default_factory=list)
    refuses: bool = False
    transfers: list[tuple[int, int, int]] = field(default_factory=list)

    def system_holdings(self, session: Session, *, system_ids: Collection[int]) -> dict[int, list[str]]:
        """As told."""
        return dict.fromkeys(system_ids, self.kinds)

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
        """Note it, or refuse."""
        if self.refuses:
            raise SijiError()
        self.transfers.append((system_id, old_bureau_id, new_bureau_id))


@pytest.fixture
def county(database: Engine) -> Bureau:
    with transaction(database) as session:
        return make_bureau(session, parent=make_bureau(session, code="13"), code="1301")


def register(engine: Engine, bureau: Bureau, at: datetime, **fields: Any) -> System:
    wanted: dict[str, Any] = {"code": "mz", "name": "智慧民生", "mlps_grade": 3, "zone": "internet"} | fields
    with transaction(engine) as session:
        return register_system(session, bureau_id=bureau.id, at=at, actor="person:3", **wanted)


def test_register(database: Engine, county: Bureau, at: datetime) -> None:
    system = register(database, county, at, purpose="民生服务", contacts="王某 13800000000")
    with reading(database) as session:
        kept = get_system(session, code="mz")
        assert (kept.id, kept.bureau_id, kept.mlps_grade, kept.zone) == (system.id, county.id, 3, "internet")
        owners = list_system_owners(session, system_id=kept.id)
        assert [(o.bureau_id, o.valid_from, o.valid_to) for o in owners] == [(county.id, at, None)]
        entry = session.scalars(select(JournalEntry)).one()
        assert (entry.act, entry.subject, entry.personal) == ("system.register", f"system:{kept.id}", True)
        assert "13800000000" not in str(entry.after)
        assert [one.code for one in list_systems(session, within=county.parent_id)] == ["mz"]
        assert list_systems(session, bureau_id=county.parent_id) == []
        with pytest.raises(NotFound):
            get_system_by_id(session, system_id=99)


@pytest.mark.parametrize("grade", [0, 4, 5])
def test_only_grades_1_to_3(database: Engine, county: Bureau, at: datetime, grade: int) -> None:
    with pytest.raises(MlpsGradeRefused, match=f"grade {grade}"):
        register(database, county, at, mlps_grade=grade)


@pytest.mark.parametrize(
    "bad",
    [
        {"zone": "dmz"},
        {"name": " "},
        {"name": "系\u202e统"},
        {"name": "系" * 256},
        {"code": "a b"},
        {"code": ""},
        {"purpose": "用" * 2001},
        {"contacts": "人" * 501},
        {"purpose": "a\0"},
    ],
)
def test_fields_that_may_not_be_are_refused(
    database: Engine, county: Bureau, at: datetime, bad: dict[str, Any]
) -> None:
    with pytest.raises(SystemFault):
        register(database, county, at, **bad)
    with reading(database) as session:
        assert find_system(session, code="mz") is None


def test_a_code_is_given_once(database: Engine, county: Bureau, at: datetime) -> None:
    register(database, county, at)
    with pytest.raises(CodeTaken, match="智慧民生"):
        register(database, county, at, name="别的")


def test_edit_says_what_was_before(database: Engine, county: Bureau, at: datetime) -> None:
    system = register(database, county, at)
    with transaction(database) as session:
        assert edit_system(session, system_id=system.id, at=at, actor="p", name="智慧民生").revision == 1
        edited = edit_system(session, system_id=system.id, at=at, actor="p", mlps_grade=2, revision=1)
        assert (edited.mlps_grade, edited.revision, edited.name) == (2, 2, "智慧民生")
        with pytest.raises(Stale):
            edit_system(session, system_id=system.id, at=at, actor="p", name="x", revision=1)
        with pytest.raises(MlpsGradeRefused):
            edit_system(session, system_id=system.id, at=at, actor="p", mlps_grade=4)
        entry = session.scalars(select(JournalEntry).where(JournalEntry.act == "system.edit")).one()
        assert ((entry.before or {})["mlps_grade"], (entry.after or {})["mlps_grade"]) == (3, 2)


def test_transfer_keeps_every_owner(database: Engine, county: Bureau, at: datetime) -> None:
    system, watcher = register(database, county, at), Watcher()
    city_id = county.parent_id or 0
    with transaction(database) as session:
        for _ in range(2):
            moved = transfer_system(
                session, system_id=system.id, bureau_id=city_id, at=at + DAY, actor="p", guards=[watcher]
            )
        assert (moved.bureau_id, moved.revision) == (city_id, 2)
    assert watcher.transfers == [(system.id, county.id, city_id)]
    with reading(database) as session:
        owners = list_system_owners(session, system_id=system.id)
        assert [(o.bureau_id, o.valid_to) for o in owners] == [(county.id, at + DAY), (city_id, None)]


def test_a_transfer_that_a_guard_refuses_did_not_happen(
    database: Engine, county: Bureau, at: datetime
) -> None:
    system = register(database, county, at)
    with pytest.raises(SijiError), transaction(database) as session:
        transfer_system(
            session,
            system_id=system.id,
            bureau_id=county.parent_id or 0,
            at=at,
            actor="p",
            guards=[Watcher(refuses=True)],
        )
    with reading(database) as session:
        assert get_system(session, code="mz").bureau_id == county.id


def test_nothing_goes_to_an_abolished_bureau(database: Engine, county: Bureau, at: datetime) -> None:
    system = register(database, county, at)
    with transaction(database) as session:
        gone = make_bureau(session, parent=county, abolished_at=at)
    with pytest.raises(BureauAbolished), transaction(database) as session:
        transfer_system(session, system_id=system.id, bureau_id=gone.id, at=at, actor="p")
    with pytest.raises(BureauAbolished):
        register(database, gone, at, code="other")


def test_retire_ends_its_tokens_and_never_what_it_holds(
    database: Engine, county: Bureau, at: datetime
) -> None:
    with transaction(database) as session:
        system = make_system(session, session.merge(county))
        token = make_token(session, system, make_person(session, county))
    with pytest.raises(StillHolding) as refusal, transaction(database) as session:
        retire_system(session, system_id=system.id, at=at, actor="p", guards=[Watcher(kinds=["allocations"])])
    assert refusal.value.facts["held"] == {system.code: ["allocations"]}
    with transaction(database) as session:
        retire_system(session, system_id=system.id, at=at, actor="p", guards=[Watcher()])
    with reading(database) as session:
        assert session.get_one(Token, token.id).revoked_at == at
        assert list_systems(session) == []
        assert [one.id for one in list_systems(session, with_retired=True)] == [system.id]
        assert [owner.valid_to for owner in list_system_owners(session, system_id=system.id)] == [at]
    with pytest.raises(SystemRetired), transaction(database) as session:
        edit_system(session, system_id=system.id, at=at, actor="p", name="x")
