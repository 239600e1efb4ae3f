"""Takes every phase-1 system of the sample city from quota to confirmed servers.

Any step may be repeated: it does what was never done, and leaves the rest as people made it meanwhile.
Tests and benchmarks take other `groups` than phase 1's the same way.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
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
from identity.queries import get_system
from identity.roles import Role
from identity.service.people import add_person, find_person_by_login
from identity.service.roles import give_role
from infra.clock import city_date
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample.aside import Aside
from portal.sample.city import ACTOR, CITY, bureau_of, city_units, code_at_first, system_codes
from portal.sample.people import PEOPLE
from provisioning.cloud.driver import Cloud
from provisioning.models import Region, Request, RequestLine, Server
from provisioning.quota import Limits
from provisioning.service.accounts import find_account
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
Groups = Sequence[Phase1Group]
UNDER_WAY = ("provisioning", "confirming")
DONE = ("active", "closed")
MIB_PER_GIB = 1024
TO_BE_BUILT = ("pending", "creating", "cleaning")


def open_sample_region(here: Installation, cloud: Cloud, *, groups: Groups | None = None) -> None:
    """The region with phase 1's flavors and what it holds, and the items of the approval hall."""
    for group in groups or read_phase1():
        cloud.ensure_flavor(
            name=group.flavor, vcpus=group.vcpus, ram_mib=group.ram_mib, root_gib=group.root_gib
        )
    at = here.clock.now()
    with transaction(here.engine) as session:
        load_items(session, at=at)
        if session.get(Region, cloud.region) is None:
            open_region(session, name=cloud.region, at=at, actor=ACTOR)
    learn_region(here.engine, cloud, at=at)


def grant_down_the_tree(
    here: Installation, *, region: str, aside: Aside, groups: Groups | None = None
) -> None:
    """What each bureau's phase-1 systems need, and what those below it need, from the city downwards.

    The city gets a quarter more, from which the bureaus' quotas can grow. Whoever was ever granted something
    in the region is left as they are.
    """
    parents = {unit["code"]: unit["parent_code"] for unit in city_units()}
    needed: dict[str, Limits] = {}
    for group in groups or read_phase1():
        for code in _chain(parents, group.bureau_code):
            needed[code] = needed.get(code, Limits.of()) + _need(group)
    needed[CITY] = _a_quarter_more(needed[CITY])
    for code in sorted(needed, key=lambda one: len(_chain(parents, one))):
        grant = set_root_grant if code == CITY else grant_quota
        with aside.unless_refused(code), transaction(here.engine) as session:
            bureau_id = bureau_of(session, code).id
            if find_account(session, region=region, bureau_id=bureau_id) is None:
                at = here.clock.now()
                grant(session, region=region, bureau_id=bureau_id, limit=needed[code], at=at, actor=ACTOR)


def request_everything(
    here: Installation, *, region: str, aside: Aside, done: Done, groups: Groups | None = None
) -> list[int]:
    """One request a system: asked for by its bureau, reviewed, verified by another; `done` after each.

    The ids of these requests; whatever else the reader asked for is left to them.
    """
    groups = groups or read_phase1()
    asked = []
    _appoint_county_reviewers(here, groups, aside=aside)
    for code in system_codes(groups):
        with aside.unless_refused(code):
            with transaction(here.engine) as session:
                system = get_system(session, code=code)
                request = _draft(session, here, region=region, system=system, groups=groups)
                if request.state == "draft":
                    submit_request(
                        session, request_id=request.id, person_id=request.applicant_id, at=here.clock.now()
                    )
            asked.append(request.id)
            while _decide_next(here, request_id=request.id):
                pass
        done()
    return asked


def confirm_everything(here: Installation, ids: Collection[int], *, aside: Aside) -> int:
    """The applicants of these requests confirm what stands built; how many are still being built.

    One that was refused, withdrawn or sent back will never be built: nobody waits for it.
    """
    with reading(here.engine) as session:
        waiting = session.execute(
            select(Request.id, Request.applicant_id, Request.state, System.code)
            .join(System, System.id == Request.system_id)
            .where(Request.id.in_(ids), Request.state.in_(UNDER_WAY))
        ).all()
    for request_id, applicant_id, state, code in waiting:
        if state == "confirming":
            with aside.unless_refused(code), transaction(here.engine) as session:
                confirm_request(session, request_id=request_id, person_id=applicant_id, at=here.clock.now())
    return sum(row.state == "provisioning" for row in waiting)


def count_built(here: Installation, ids: Collection[int]) -> int:
    """How many servers of these requests were built, released ones too; nobody else's."""
    built = Server.state.not_in(TO_BE_BUILT)
    with reading(here.engine) as session:
        query = select(func.count(Server.id)).join(RequestLine, RequestLine.id == Server.line_id)
        return session.scalar(query.where(RequestLine.request_id.in_(ids), built)) or 0


def list_left_aside(here: Installation, ids: Collection[int]) -> list[tuple[str, str]]:
    """The systems, (code, state of its request), that were not built since somebody else said no."""
    with reading(here.engine) as session:
        rows = session.execute(
            select(System.code, Request.state)
            .join(Request, Request.system_id == System.id)
            .where(Request.id.in_(ids), Request.state.not_in((*UNDER_WAY, *DONE)))
            .order_by(Request.id)
        )
        return [(code, state) for code, state in rows]


def _chain(parents: Mapping[str, str], code: str) -> list[str]:
    """The codes from a bureau up to the city, as the city came."""
    return [code, *_chain(parents, parents[code])] if parents[code] else [code]


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
    return _a_quarter_more(Limits.of(**taken))


def _a_quarter_more(limits: Limits) -> Limits:
    """Rounded up, RAM to whole GiB, as pages show it."""
    more = {name: amount + ceil(amount / 4) for name, amount in limits.document().items() if amount}
    more["ram_mib"] = ceil(more["ram_mib"] / MIB_PER_GIB) * MIB_PER_GIB
    return Limits.of(**more)


def _draft(
    session: Session, here: Installation, *, region: str, system: System, groups: Sequence[Phase1Group]
) -> Request:
    """The system's first request of the sample's own applicant, drafted if there is none yet.

    The reader may have asked for the same system under their own name, or have handed it to another bureau.
    """
    at = here.clock.now()
    group = system_codes(groups)[system.code]
    applicant_id = _account(
        session, f"gly-{group.bureau_code}", "管理员", Role.bureau_admin, bureau_code=group.bureau_code, at=at
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
        if (one.bureau_code, one.system) == (group.bureau_code, group.system)
    ]
    return draft_request(
        session,
        kind="new_system",
        applicant_id=applicant_id,
        region=region,
        purpose=f"示例：一期“{group.system}”上云",
        at=at,
        system_id=system.id,
        end_on=city_date(at + LEASE),
        lines=lines,
    )


def _appoint_county_reviewers(here: Installation, groups: Sequence[Phase1Group], *, aside: Aside) -> None:
    """Every county with phase-1 systems below it gives the first review of their requests itself."""
    for code in sorted({group.bureau_code[:6] for group in groups if "-" not in group.bureau_code}):
        login = _county_reviewer(code)
        with aside.unless_refused(login), transaction(here.engine) as session:
            _account(session, login, "初审员", Role.reviewer, bureau_code=code, at=here.clock.now())


def _county_reviewer(code: str) -> str:
    """The login of a county's reviewer: a sample person who signs in, or one who is there for the record."""
    return COUNTY_REVIEWERS.get(code, f"chushen-{code}")


def _account(session: Session, login: str, title: str, role: Role, *, bureau_code: str, at: datetime) -> int:
    """The id of the person with that login, made with the role if not there; nobody knows its password."""
    known = find_person_by_login(session, login=login)
    if known is not None:
        return known.id
    bureau = bureau_of(session, bureau_code)
    name = f"{bureau.name}{title}"
    made = add_person(session, actor=INSTALLATION, login=login, name=name, bureau_id=bureau.id, at=at)
    give_role(session, actor=INSTALLATION, person_id=made.person.id, role=role, bureau_id=bureau.id, at=at)
    return made.person.id


def _decide_next(here: Installation, *, request_id: int) -> bool:
    """Let the person of the active step approve; False when no step waits for a decision of the sample's."""
    with transaction(here.engine) as session:
        request = session.get_one(Request, request_id)
        if request.state != "submitted":
            return False
        case = get_case(session, request.case_id or 0)
        step = find_active_step(session, case)
        if step is None or case.state not in (State.submitted, State.accepted):
            return False
        decider_id = _find_decider(session, step)
        if decider_id is None:
            return False
        decide_request(
            session,
            request_id=request_id,
            step_key=step.key,
            person_id=decider_id,
            decision="approve",
            revision_seen=case.revision,
            at=here.clock.now(),
        )
        return True


def _find_decider(session: Session, step: CaseStep) -> int | None:
    """Whose turn the step is: a county's own reviewer, and of the office two different people.

    None where it came to a county that has no reviewer of the sample's.
    """
    login = VERIFIER if step.key == "verify" else REVIEWER
    if step.key == "first_review":
        login = _county_reviewer(code_at_first(session, step.bureau_id))
    person = find_person_by_login(session, login=login)
    return None if person is None else person.id
