"""The sample city's people, one of each role; their password is made at the first run and kept.

Whoever is there is left as they are: their roles, their bureau and their password are theirs to change.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.queries import get_bureau_by_id
from identity.roles import ROLE_NAMES, Role
from identity.service.access import load_roles
from identity.service.people import add_person, find_person_by_login
from identity.service.roles import give_role
from infra.database import transaction
from infra.errors import Language
from portal.sample.aside import Aside
from portal.sample.city import bureau_of

KEPT_IN = "sample-people.txt"


@dataclass(frozen=True)
class SamplePerson:
    """Who, in which bureau, with which role over which part of the tree."""

    login: str
    name: str
    bureau: str
    role: Role
    scope: str


PEOPLE = (
    SamplePerson("shenhe", "赵审核", "1306-zhb", Role.operator, "1306"),
    SamplePerson("hezhun", "钱核准", "1306-zhb", Role.operator, "1306"),
    SamplePerson("minzheng", "孙民政", "1306-mzj", Role.bureau_admin, "1306-mzj"),
    SamplePerson("renshe", "李人社", "1306-rsj", Role.bureau_member, "1306-rsj"),
    SamplePerson("fuping", "周阜平", "130624", Role.bureau_admin, "130624"),
    SamplePerson("chushen", "吴初审", "130624", Role.reviewer, "130624"),
    SamplePerson("shuju", "郑数据", "1306-zhb", Role.data_steward, "1306-zhb"),
    SamplePerson("kaifa", "王开发", "1306-mzj", Role.developer, "1306-mzj"),
    SamplePerson("xitong", "冯系统", "1306-zhb", Role.system_admin, "1306"),
    SamplePerson("anquan", "陈安全", "1306-zhb", Role.security_admin, "1306"),
    SamplePerson("shenji", "褚审计", "1306-zhb", Role.auditor, "1306"),
)


def load_people(engine: Engine, *, data_dir: Path, at: datetime, aside: Aside) -> str:
    """Make those who never were there; the password that they shared at first."""
    password = _password(data_dir)
    for one in PEOPLE:
        with aside.unless_refused(one.login), transaction(engine) as session:
            if find_person_by_login(session, login=one.login) is not None:
                continue
            account = add_person(
                session,
                actor=INSTALLATION,
                login=one.login,
                name=one.name,
                bureau_id=bureau_of(session, one.bureau).id,
                at=at,
                password=password,
            )
            give_role(
                session,
                actor=INSTALLATION,
                person_id=account.person.id,
                role=one.role,
                bureau_id=bureau_of(session, one.scope).id,
                at=at,
            )
    return password


def list_standing(session: Session, language: Language) -> list[tuple[str, str, str, str, str]]:
    """Login, name, role, code of the bureau and of the role's scope, as they are now; a line a role.

    Who departed has none, and who holds no role any more one without it.
    """
    rows = []
    for one in PEOPLE:
        person = find_person_by_login(session, login=one.login)
        if person is None or person.departed_at is not None:
            continue
        bureau = get_bureau_by_id(session, bureau_id=person.bureau_id).code
        held = [
            (
                ROLE_NAMES[Role(role)][0 if language == "zh" else 1],
                get_bureau_by_id(session, bureau_id=at).code,
            )
            for role, at in load_roles(session, person_id=person.id)
        ]
        rows += [(one.login, person.name, role, bureau, scope) for role, scope in held or [("", "")]]
    return rows


def _password(data_dir: Path) -> str:
    file = data_dir / KEPT_IN
    if not file.exists():
        fresh = data_dir / f"{KEPT_IN}.new"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(12))
        fresh.replace(file)
    return file.read_text()
