"""A second `siji run` waits for the sample's own requests alone, and only for those that are being built.

What people changed meanwhile is left as it is, and told where a step is refused for it.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from approval.queries import get_case
from identity.actor import INSTALLATION
from identity.models import Person, System, SystemOwner
from identity.phase1 import read_phase1
from identity.queries import get_bureau, get_system
from identity.service.people import find_person_by_login
from identity.service.reorganise import recode
from identity.service.roles import end_role, list_roles
from identity.service.systems import transfer_system
from infra.database import reading, transaction
from infra.installation import Installation
from portal.sample import cloud as sample
from portal.sample.aside import Aside
from portal.sample.city import CITY, load_systems, system_codes
from provisioning.cloud.connect import connect
from provisioning.cloud.driver import Cloud
from provisioning.models import Request
from provisioning.queries import get_request
from provisioning.quota import Limits, headroom
from provisioning.service.accounts import find_account
from provisioning.service.asking import LineAsked
from provisioning.service.grants import grant_quota
from provisioning.service.requests import decide_request, draft_request, submit_request, withdraw_request
from tests.portal.cloud import work

BUREAU = "1306-mzj"
SYSTEM = f"{BUREAU}-s1"
GROUPS = tuple(group for group in read_phase1() if group.bureau_code == BUREAU)


@pytest.fixture
def cloud(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The sample's region, of which one bureau's systems are enough."""
    monkeypatch.setattr(sample, "read_phase1", lambda: GROUPS)
    found = connect(installation.settings, installation.settings.region, installation.clock)
    sample.open_sample_region(installation, found)
    sample.grant_down_the_tree(installation, region=found.region, aside=Aside())
    return found


def request_everything(here: Installation, cloud: Cloud) -> list[int]:
    """The sample's part of `siji run` until its workers build."""
    return sample.request_everything(here, region=cloud.region, aside=Aside(), done=lambda: None)


def ask(here: Installation, cloud: Cloud, *, kind: str = "new_system", login: str = "minzheng") -> int:
    """The id of a draft that a reader of the sample city makes for the same system."""
    at = here.clock.now()
    with transaction(here.engine) as session:
        person = find_person_by_login(session, login=login)
        assert person is not None
        line = LineAsked(count=1, flavor="g2", image=sample.IMAGE)
        return draft_request(
            session,
            kind=kind,
            applicant_id=person.id,
            region=cloud.region,
            purpose="读者的申请",
            at=at,
            system_id=get_system(session, code=SYSTEM).id,
            end_on=(at + sample.LEASE).date(),
            lines=[line],
        ).id


def act(here: Installation, request_id: int, what: Callable[..., Any], **how: Any) -> None:
    """Do something with a request as its applicant, unless `how` says who does it."""
    with transaction(here.engine) as session:
        person_id = get_request(session, request_id).applicant_id
        what(session, **{"request_id": request_id, "person_id": person_id, "at": here.clock.now(), **how})


def state_of(here: Installation, request_id: int) -> str:
    with reading(here.engine) as session:
        return get_request(session, request_id).state


def test_requests_of_the_reader_are_neither_waited_for_nor_confirmed(
    installation: Installation, cloud: Cloud
) -> None:
    before = ask(installation, cloud)
    own = request_everything(installation, cloud)
    assert before not in own
    assert sample.confirm_everything(installation, own, aside=Aside()) == len(own)
    assert sample.count_built(installation, own) == 0

    drafted, handed_in, taken_back = (ask(installation, cloud, kind="servers") for _ in range(3))
    for request_id in (handed_in, taken_back):
        act(installation, request_id, submit_request)
    act(installation, taken_back, withdraw_request)
    while sample._decide_next(installation, request_id=handed_in):
        pass
    work(installation, cloud)
    assert state_of(installation, handed_in) == "confirming"
    assert sample.count_built(installation, own) == sum(group.count for group in GROUPS)
    assert len(cloud.list_servers()) == sample.count_built(installation, own) + 1
    assert sample.confirm_everything(installation, own, aside=Aside()) == 0
    assert {state_of(installation, one) for one in own} == {"active"}
    assert state_of(installation, handed_in) == "confirming"
    assert [state_of(installation, one) for one in (before, drafted)] == ["draft", "draft"]
    assert request_everything(installation, cloud) == own
    assert sample.list_left_aside(installation, own) == []


@pytest.mark.parametrize(("answer", "state"), [("refuse", "refused"), ("return", "submitted")])
def test_what_the_reader_refused_or_sent_back_is_left_aside_and_told(
    installation: Installation, cloud: Cloud, answer: str, state: str
) -> None:
    """Somebody looks at the city while its first run is in the middle."""
    with transaction(installation.engine) as session:
        system = get_system(session, code=SYSTEM)
        drafted = sample._draft(session, installation, region=cloud.region, system=system, groups=GROUPS)
        operator = find_person_by_login(session, login=sample.REVIEWER)
        assert operator is not None
    act(installation, drafted.id, submit_request)
    with reading(installation.engine) as session:
        revision = get_case(session, drafted.case_id or 0).revision
    said_no = {"step_key": "accept", "decision": answer, "reason": "不", "revision_seen": revision}
    act(installation, drafted.id, decide_request, person_id=operator.id, **said_no)

    own = request_everything(installation, cloud)
    work(installation, cloud)
    assert drafted.id in own
    assert sample.confirm_everything(installation, own, aside=Aside()) == 0
    assert sample.list_left_aside(installation, own) == [(SYSTEM, state)]
    assert {state_of(installation, one) for one in own} - {state} <= {"active"}


def test_what_is_granted_of_ram_is_whole_gib() -> None:
    five_gib = Limits.of(servers=1, ram_mib=5 * 1024)
    assert sample._a_quarter_more(five_gib) == Limits.of(servers=2, ram_mib=7 * 1024)


def test_a_grant_that_people_changed_is_not_made_again(installation: Installation, cloud: Cloud) -> None:
    region, at = cloud.region, installation.clock.now()
    with transaction(installation.engine) as session:
        city, bureau = (get_bureau(session, code=code).id for code in (CITY, BUREAU))
        account = find_account(session, region=region, bureau_id=bureau)
        assert account is not None
        more = account.limit + Limits.of(servers=1)
        grant_quota(session, region=region, bureau_id=bureau, limit=more, at=at, actor="person:1")
        own = find_account(session, region=region, bureau_id=city)
        assert own is not None
        left = headroom(own.limit, own.carved)
    assert (left["servers"] or 0) > 0, "the city's grant leaves room for quota changes"

    aside = Aside()
    sample.grant_down_the_tree(installation, region=region, aside=aside)
    with reading(installation.engine) as session:
        after = find_account(session, region=region, bureau_id=bureau)
        assert after is not None
        assert after.limit == more
    assert not aside


def test_a_system_with_another_bureau_and_a_recoded_one_are_not_asked_for_again(
    installation: Installation, cloud: Cloud
) -> None:
    own = request_everything(installation, cloud)
    how: dict[str, Any] = {"at": installation.clock.now(), "actor": "person:1"}
    with transaction(installation.engine) as session:
        session.get_one(System, get_system(session, code=SYSTEM).id).name = "改名的系统"
        recode(session, bureau_id=get_bureau(session, code=BUREAU).id, code="1306-minzheng", **how)
        people = session.scalar(select(func.count(Person.id)))
    work(installation, cloud)
    assert sample.confirm_everything(installation, own, aside=Aside()) == 0
    with transaction(installation.engine) as session:
        office = get_bureau(session, code="1306-zhb").id
        transfer_system(session, system_id=get_system(session, code=SYSTEM).id, bureau_id=office, **how)

    assert request_everything(installation, cloud) == own
    with reading(installation.engine) as session:
        assert session.scalar(select(func.count(Person.id))) == people
        assert session.scalar(select(func.count(Request.id))) == len(own)


def test_what_people_changed_in_the_middle_of_the_first_run_is_told_and_ends_no_run(
    installation: Installation, cloud: Cloud
) -> None:
    """The one who reviews lost the role before the requests were made."""
    with transaction(installation.engine) as session:
        reviewer = find_person_by_login(session, login=sample.REVIEWER)
        assert reviewer is not None
        [role] = list_roles(session, person_id=reviewer.id)
        end_role(session, actor=INSTALLATION, assignment_id=role.id, at=installation.clock.now())
    aside = Aside()
    own = sample.request_everything(installation, region=cloud.region, aside=aside, done=lambda: None)
    assert sample.confirm_everything(installation, own, aside=aside) == 0
    assert SYSTEM in aside
    assert [line.partition("：")[0] for line in aside.told("zh")] == list(aside)
    assert {state_of(installation, one) for one in own} == {"submitted"}


def test_a_bureau_that_was_abolished_before_its_systems_came_has_none(installation: Installation) -> None:
    aside = Aside()
    with transaction(installation.engine) as session:
        for system in session.scalars(select(System)):
            session.execute(delete(SystemOwner).where(SystemOwner.system_id == system.id))
            session.delete(system)
        get_bureau(session, code=BUREAU).abolished_at = installation.clock.now()
    new = load_systems(installation.engine, at=installation.clock.now(), aside=aside)
    assert set(aside) == {code for code in system_codes(read_phase1()) if code.startswith(f"{BUREAU}-s")}
    assert new == len(system_codes(read_phase1())) - len(aside)
