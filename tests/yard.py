"""A yard for provisioning's tests: a town with quota and a system, a simulated region, a stepped clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from approval.flow import Outcome
from approval.models import Notice
from approval.queries import find_active_step, get_case
from identity.models import System, SystemOwner
from infra.clock import city_date
from infra.database import reading, transaction
from infra.workdays import load_calendar
from provisioning.cloud.simulated import SimulatedCloud, SimulatedRegion
from provisioning.models import Allocation, PushedQuota, Region, Request, Server
from provisioning.queries import get_request, list_due, list_servers_of
from provisioning.quota import Limits, Resources, total_used
from provisioning.service.asking import LineAsked
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.leases import list_leases_to_tend, tend_lease
from provisioning.service.offers import learn_region
from provisioning.service.recount import recount
from provisioning.service.requests import decide_request, draft_request, submit_request
from provisioning.service.servers import provision_server
from tests.factories import Hall, make_hall

REGION = "yard"
FLAVOR, BIGGER, IMAGE = "yard-c2", "yard-c4", "Debian-12"
LINE = LineAsked(count=2, flavor=FLAVOR, image=IMAGE, volume_gib=100)
ROOM = Limits.of(servers=300, vcpus=2000, ram_mib=8_000_000, root_gib=60_000, volume_gib=300_000, volumes=400)


@dataclass
class Yard:
    """Where a test works; `at` moves only when told.

    What is asked for ends on `end_on`, ten months after the beginning, unless the test wishes otherwise.
    """

    engine: Engine
    region: SimulatedRegion
    cloud: SimulatedCloud
    hall: Hall
    system_id: int
    at: datetime
    end_on: date

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.at += timedelta(**by)

    def draft(self, *lines: LineAsked, kind: str = "servers", **wishes: Any) -> int:
        """The id of a draft by the town's applicant."""
        wanted = {"end_on": self.end_on, "purpose": "统一预约挂号", "system_id": self.system_id, **wishes}
        with transaction(self.engine) as session:
            return draft_request(
                session,
                kind=kind,
                applicant_id=self.hall.applicant,
                region=REGION,
                at=self.at,
                lines=lines,
                **wanted,
            ).id

    def submit(self, request_id: int) -> list[dict[str, Any]]:
        """Hand it in; the warnings."""
        with transaction(self.engine) as session:
            done = submit_request(session, request_id=request_id, person_id=self.hall.applicant, at=self.at)
            return done.shortfalls

    def decide(self, request_id: int, decision: Any = "approve", reason: str = "") -> Outcome:
        """The active step, by the person of that step."""
        with transaction(self.engine) as session:
            case = get_case(session, get_request(session, request_id).case_id or 0)
            step = find_active_step(session, case)
            assert step is not None
            first, second, _third = self.hall.operators
            by = {"first_review": self.hall.county_reviewer, "verify": second}.get(step.key, first)
            return decide_request(
                session,
                request_id=request_id,
                step_key=step.key,
                person_id=by,
                decision=decision,
                revision_seen=case.revision,
                at=self.at,
                reason=reason,
            )

    def approve(self, request_id: int) -> list[str]:
        """Approve every step; the keys of those that waited."""
        steps = ["accept"]
        while not (outcome := self.decide(request_id)).decided:
            assert outcome.next_step is not None
            steps.append(outcome.next_step)
        return steps

    def ask(self, *lines: LineAsked, kind: str = "servers", **wishes: Any) -> int:
        """A request, approved by all; its id."""
        request_id = self.draft(*lines, kind=kind, **wishes)
        self.submit(request_id)
        self.approve(request_id)
        return request_id

    def work(self, rounds: int = 40) -> None:
        """Visit whatever is due, again and again while time passes, until nothing is left to visit."""
        for _ in range(rounds):
            with reading(self.engine) as session:
                due = list_due(session, at=self.at, limit=1000)
                left = list_due(session, at=self.at + timedelta(days=3650), limit=1)
            if not left:
                return
            for server_id in due:
                provision_server(self.engine, self.cloud, server_id=server_id, now=lambda: self.at)
            self.later(seconds=31)

    def request(self, request_id: int) -> Request:
        """As it is now."""
        with transaction(self.engine) as session:
            return get_request(session, request_id)

    def servers(self, request_id: int) -> Sequence[Server]:
        """The rows that it asked for."""
        with transaction(self.engine) as session:
            return list_servers_of(session, request_id)

    def server(self, request_id: int) -> Server:
        """The only row that it asked for."""
        [server] = self.servers(request_id)
        return server

    def tend_leases(self) -> None:
        """What the workers do every ten minutes, without the visits that it asks for."""
        on = city_date(self.at)
        with reading(self.engine) as session:
            due, calendar = list_leases_to_tend(session, on=on), load_calendar(session)
        for server_id in due:
            with transaction(self.engine) as session:
                tend_lease(session, server_id=server_id, on=on, at=self.at, calendar=calendar)

    def told(self, code: str) -> list[tuple[int | str | None, int | None]]:
        """Who was told, in order: a person's id and None, or a role and its bureau."""
        with reading(self.engine) as session:
            query = select(Notice).where(Notice.code == code).order_by(Notice.id)
            return [(one.role or one.person_id, one.bureau_id) for one in session.scalars(query)]

    def project_of(self, bureau_id: int) -> str:
        """The bureau's project in the cloud."""
        with reading(self.engine) as session:
            query = select(PushedQuota.project).where(PushedQuota.bureau_id == bureau_id)
            return session.scalars(query).one() or ""

    def held(self) -> Resources:
        """The sum of open allocations."""
        with reading(self.engine) as session:
            return total_used(
                session.scalars(select(Allocation.amounts).where(Allocation.valid_to.is_(None)))
            )

    def check(self) -> None:
        """Counters equal the recount, and no tag is in the cloud twice or unrecorded."""
        with reading(self.engine) as session:
            assert recount(session) == []
            tags = set(session.scalars(select(Server.tag)))
        seen = [server.tag for server in self.cloud.list_servers()]
        assert len(set(seen)) == len(seen)
        assert set(seen) <= tags


def make_yard(
    engine: Engine, folder: Path, *, at: datetime, latency_s: float = 0.0, room: Limits = ROOM
) -> Yard:
    """The yard, with everything asked for and nothing built."""
    region = SimulatedRegion(folder / "yard.sqlite")
    with transaction(engine) as session:
        hall = make_hall(session, at=at)
        session.add(Region(name=REGION, opened_at=at))
        system_id = _system(session, hall.town, at)
    cloud = SimulatedCloud(region.store, region=REGION, now=lambda: yard.at, latency_s=latency_s)
    yard = Yard(engine, region, cloud, hall, system_id, at, end_on=city_date(at) + timedelta(days=300))
    cloud.ensure_flavor(name=FLAVOR, vcpus=2, ram_mib=4096, root_gib=40)
    cloud.ensure_flavor(name=BIGGER, vcpus=4, ram_mib=8192, root_gib=40)
    learn_region(engine, cloud, at=at)
    with transaction(engine) as session:
        whole: dict[str, Any] = {"region": REGION, "limit": ROOM, "at": at, "actor": "person:1"}
        set_root_grant(session, bureau_id=hall.city, **{**whole, "limit": ROOM + ROOM})
        grant_quota(session, bureau_id=hall.county, **whole)
        grant_quota(session, bureau_id=hall.town, **{**whole, "limit": room})
    return yard


def make_spring_yard(engine: Engine, folder: Path) -> Yard:
    """Always in the spring of 2026, whose calendar is published: leases end weeks later, on its work days."""
    return make_yard(engine, folder, at=datetime(2026, 3, 2, 1, tzinfo=UTC))


def _system(session: Session, bureau_id: int, at: datetime) -> int:
    system = System(
        code="SYS-1", name="预约挂号", bureau_id=bureau_id, mlps_grade=2, zone="extranet", created_at=at
    )
    session.add(system)
    session.flush()
    session.add(SystemOwner(system_id=system.id, bureau_id=bureau_id, valid_from=at))
    session.flush()
    return system.id
