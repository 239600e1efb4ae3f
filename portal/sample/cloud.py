"""Takes every phase-1 system of the sample city from quota to confirmed servers; any step may be repeated."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from approval.flow import State
from approval.models import CaseStep
from approval.queries import find_active_step, get_case
from approval.service import load_items
from identity.actor import INSTALLATION
from identity.models import System
from identity.phase1 import Phase1Group, read_phase1
from identity.queries import get_bureau, get_bureau_by_id, get_system, list_chain
from identity.roles import Role
from identity.service.people import add_person, find_person_by_login
from identity.service.roles import give_role
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.city import ACTOR, system_codes
from portal.sample.people import PEOPLE
from provisioning.cloud.driver import Cloud
from provisioning.models import Region, Request, RequestLine, Server
from provisioning.quota import Limits
from provisioning.service.asking import LineAsked
from provisioning.service.grants import grant_quota, set_root_grant
from provisioning.service.offers import learn_region
from provisioning.service.regions import open_region
from provisioning.service.requests import confirm_request, decide_request, draft_request, submit_request

IMAGE = "openEuler-24.03-LTS"
LEASE = timedelta(days=3 * 365)
REVIEWER, VERIFIER = "shenhe", "hezhun"
COUNTY_REVIEWERS = {one.scope: one.login for one in PEOPLE if one.role == Role.reviewer}
Done = Callable[[], None]
UNDER_WAY = ("provisioning", "confirming")


def open_sample_region(here: Installation, cloud: Cloud) -> None:
    """The region with phase 1's flavors and what it holds, and the items of the approval hall."""
    for group in read_phase1():
        cloud.ensure_flavor(
            name=group.flavor, vcpus=group.vcpus, ram_mib=group.ram_mib, root_gib=group.root_gib
        )
    at = here.clock.now()
    with transaction(here.engine) as session:
        load_items(session, at=at)
        if session.get(Region, cloud.region) is None:
            open_region(session, name=cloud.region, at=at, actor=ACTOR)
    learn_region(here.engine, cloud, at=at)


def grant_down_the_tree(here: Installation, *, region: str) -> None:
    """What each bureau's phase-1 systems need, and what those below it need, from the city downwards."""
    with transaction(here.engine) as session:
        needed: dict[int, Limits] = {}
        heights: dict[int, int] = {}
        for group in read_phase1():
            chain = list_chain(session, bureau_id=get_bureau(session, code=group.bureau_code).id)
            for depth, bureau in enumerate(reversed(chain)):
                needed[bureau.id] = needed.get(bureau.id, Limits.of()) + _need(group)
                heights[bureau.id] = depth
        for bureau_id in sorted(needed, key=lambda one: (heights[one], one)):
            grant = grant_quota if heights[bureau_id] else set_root_grant
            grant(
                session,
                region=region,
                bureau_id=bureau_id,
                limit=needed[bureau_id],
                at=here.clock.now(),
                actor=ACTOR,
            )


def request_everything(here: Installation, *, region: str, done: Done) -> list[int]:
    """One request a system: asked for by its bureau, reviewed, verified by another; `done` after each.

    The ids of these requests; whatever else the reader asked for is left to them.
    """
    groups = read_phase1()
    asked = []
    with transaction(here.engine) as session:
        _appoint_county_reviewers(session, groups, at=here.clock.now())
    for code in system_codes(groups):
        with transaction(here.engine) as session:
            system = get_system(session, code=code)
            request = _draft(session, here, region=region, system=system, groups=groups)
            if request.state == "draft":
                submit_request(
                    session, request_id=request.id, person_id=request.applicant_id, at=here.clock.now()
                )
        while _decide_next(here, request_id=request.id):
            pass
        asked.append(request.id)
        done()
    return asked


def confirm_everything(here: Installation, ids: Collection[int]) -> int:
    """The applicants of these requests confirm what stands built; how many are still being built.

    One that was refused, withdrawn or sent back will never be built: nobody waits for it.
    """
    with reading(here.engine) as session:
        waiting = session.execute(
            select(Request.id, Request.applicant_id, Request.state).where(
                Request.id.in_(ids), Request.state.in_(UNDER_WAY)
            )
        ).all()
    for request_id, applicant_id, state in waiting:
        if state == "confirming":
            with transaction(here.engine) as session:
                confirm_request(session, request_id=request_id, person_id=applicant_id, at=here.clock.now())
    return sum(state == "provisioning" for _, _, state in waiting)


def count_built(here: Installation, ids: Collection[int]) -> int:
    """How many servers of these requests stand in the region, whatever else stands there."""
    with reading(here.engine) as session:
        query = select(func.count(Server.id)).join(RequestLine, RequestLine.id == Server.line_id)
        return session.scalar(query.where(RequestLine.request_id.in_(ids), Server.cloud_id.is_not(None))) or 0


def list_left_aside(here: Installation, ids: Collection[int]) -> list[tuple[str, str]]:
    """The systems, (code, state of its request), that were not built since somebody else said no."""
    with reading(here.engine) as session:
        rows = session.execute(
            select(System.code, Request.state)
            .join(Request, Request.system_id == System.id)
            .where(Request.id.in_(ids), Request.state.not_in((*UNDER_WAY, "active")))
            .order_by(Request.id)
        )
        return [(code, state) for code, state in rows]


def _need(group: Phase1Group) -> Limits:
    """What the group takes and a quarter more, so that its bureau can ask for something new."""
    taken = {
        "servers": group.count,
        "vcpus": group.count * group.vcpus,
        "ram_mib": group.count * group.ram_mib,
        "root_gib": group.count * group.root_gib,
        "volume_gib": group.count * group.volume_gib,
        "volumes": group.count,
    }
    return Limits.of(**{name: amount + ceil(amount / 4) for name, amount in taken.items()})


def _draft(
    session: Session, here: Installation, *, region: str, system: System, groups: Sequence[Phase1Group]
) -> Request:
    """The system's first request of the sample's own applicant, drafted if there is none yet.

    The reader may have asked for the same system under their own name.
    """
    at = here.clock.now()
    bureau = get_bureau_by_id(session, bureau_id=system.bureau_id)
    applicant_id = _account(
        session, f"gly-{bureau.code}", f"{bureau.name}管理员", Role.bureau_admin, bureau_id=bureau.id, at=at
    )
    found = session.scalars(
        select(Request)
        .where(
            Request.system_id == system.id,
            Request.kind == "new_system",
            Request.applicant_id == applicant_id,
        )
        .order_by(Request.id)
    ).first()
    if found is not None:
        return found
    lines = [
        LineAsked(count=one.count, flavor=one.flavor, image=IMAGE, volume_gib=one.volume_gib)
        for one in groups
        if (one.bureau_code, one.system) == (bureau.code, system.name)
    ]
    return draft_request(
        session,
        kind="new_system",
        applicant_id=applicant_id,
        region=region,
        purpose=f"示例：一期“{system.name}”上云",
        at=at,
        system_id=system.id,
        end_on=city_date(at + LEASE),
        lines=lines,
    )


def _appoint_county_reviewers(session: Session, groups: Sequence[Phase1Group], *, at: datetime) -> None:
    """Every county with phase-1 systems below it gives the first review of their requests itself."""
    counties = {group.bureau_code[:6] for group in groups if "-" not in group.bureau_code}
    for code in sorted(counties):
        county = get_bureau(session, code=code)
        _account(
            session,
            _county_reviewer(code),
            f"{county.name}初审员",
            Role.reviewer,
            bureau_id=county.id,
            at=at,
        )


def _county_reviewer(code: str) -> str:
    """The login of a county's reviewer: a sample person who signs in, or one who is there for the record."""
    return COUNTY_REVIEWERS.get(code, f"chushen-{code}")


def _account(session: Session, login: str, name: str, role: Role, *, bureau_id: int, at: datetime) -> int:
    """The id of the person with that login, made with the role if not there; nobody knows its password."""
    known = find_person_by_login(session, login=login)
    if known is not None:
        return known.id
    made = add_person(session, actor=INSTALLATION, login=login, name=name, bureau_id=bureau_id, at=at)
    give_role(session, actor=INSTALLATION, person_id=made.person.id, role=role, bureau_id=bureau_id, at=at)
    return made.person.id


def _decide_next(here: Installation, *, request_id: int) -> bool:
    """Let the person of the active step approve; False when no step waits for a decision."""
    with transaction(here.engine) as session:
        request = session.get_one(Request, request_id)
        if request.state != "submitted":
            return False
        case = get_case(session, request.case_id or 0)
        step = find_active_step(session, case)
        if step is None or case.state not in (State.submitted, State.accepted):
            return False
        decide_request(
            session,
            request_id=request_id,
            step_key=step.key,
            person_id=_decider(session, step),
            decision="approve",
            revision_seen=case.revision,
            at=here.clock.now(),
        )
        return True


def _decider(session: Session, step: CaseStep) -> int:
    """Whose turn the step is: a county's own reviewer, and of the office two different people."""
    login = VERIFIER if step.key == "verify" else REVIEWER
    if step.key == "first_review":
        login = _county_reviewer(get_bureau_by_id(session, bureau_id=step.bureau_id).code)
    person = find_person_by_login(session, login=login)
    if person is None:
        raise RuntimeError(f"the sample city has nobody called {login} for the step {step.key}")
    return person.id
