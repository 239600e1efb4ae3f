"""`siji people`: accounts, from the console of the machine; the work is in identity.service.people.

Roles are given in the portal, by a security administrator, never here: who holds the console is not one.
"""

from typing import Annotated

import typer
from sqlalchemy.orm import Session

from identity.actor import INSTALLATION
from identity.models import Bureau, Person
from identity.queries import get_bureau
from identity.roles import ROLE_NAMES, Role
from identity.service.access import load_roles
from identity.service.directory import list_people
from identity.service.people import (
    Account,
    add_person,
    appoint_first_administrators,
    depart_person,
    find_person_by_login,
    reset_password,
)
from infra.clock import city_date
from infra.database import transaction
from infra.errors import NotFound
from portal.cli.local import open_local
from portal.cli.speech import language
from portal.cli.tables import print_table

app = typer.Typer(no_args_is_help=True)

PAGE = 200
COLUMNS = {
    "zh": ("登录名", "姓名", "部门", "角色", "离任"),
    "en": ("login", "name", "bureau", "roles", "departed"),
}
SAID = {
    "account": {
        "zh": "账号 {login}（{name}）已创建，一次性密码：{password}",
        "en": "Account {login} ({name}) is made; one-time password: {password}",
    },
    "reset": {
        "zh": "账号 {login} 的一次性密码：{password}",
        "en": "One-time password of {login}: {password}",
    },
    "once": {
        "zh": "一次性密码只显示这一次，首次登录时必须更改",
        "en": "A one-time password is shown this once and must be changed at the first sign-in",
    },
    "departed": {
        "zh": "账号 {login} 已离任：会话和角色已终止，其签发的令牌仍然有效",
        "en": "{login} has departed: sessions and roles ended, tokens they issued stay good",
    },
}


@app.command()
def add(
    login: Annotated[str, typer.Argument(help="登录名 · login")],
    name: Annotated[str, typer.Argument(help="姓名 · name")],
    bureau: Annotated[str, typer.Option(help="部门代码 · code of the bureau")],
) -> None:
    """创建账号（不含角色）· Make an account, without roles; prints its one-time password once."""
    here = open_local()
    with transaction(here.engine) as session:
        bureau_id = get_bureau(session, code=bureau).id
        account = add_person(
            session, actor=INSTALLATION, login=login, name=name, bureau_id=bureau_id, at=here.clock.now()
        )
    _tell_accounts(account)


@app.command("list")
def list_(
    bureau: Annotated[str, typer.Option(help="部门代码 · code of one bureau")] = "",
    departed: Annotated[bool, typer.Option("--departed", help="含离任人员 · departed people too")] = False,
) -> None:
    """列出账号 · List the accounts and their roles; tab-separated unless on a terminal."""
    here = open_local()
    rows: list[tuple[str, ...]] = []
    with transaction(here.engine) as session:
        bureau_ids = {get_bureau(session, code=bureau).id} if bureau else None
        after_id = 0
        while page := list_people(
            session,
            actor=INSTALLATION,
            at=here.clock.now(),
            bureau_ids=bureau_ids,
            with_departed=departed,
            after_id=after_id,
            limit=PAGE,
        ):
            rows += [_cells(session, person) for person in page]
            after_id = page[-1].id
    print_table(COLUMNS[language()], rows)


@app.command()
def depart(login: Annotated[str, typer.Argument(help="登录名 · login")]) -> None:
    """登记离任 · Close an account: its sessions and roles end, tokens issued by it stay good."""
    here = open_local()
    with transaction(here.engine) as session:
        person = _get_person(session, login)
        depart_person(session, actor=INSTALLATION, person_id=person.id, at=here.clock.now())
    typer.echo(SAID["departed"][language()].format(login=person.login))


@app.command("reset-password")
def reset_password_(login: Annotated[str, typer.Argument(help="登录名 · login")]) -> None:
    """重置密码 · Give an account a new one-time password; also a fellow administrator's, only here."""
    here = open_local()
    with transaction(here.engine) as session:
        person = _get_person(session, login)
        password = reset_password(session, actor=INSTALLATION, person_id=person.id, at=here.clock.now())
    typer.echo(SAID["reset"][language()].format(login=person.login, password=password))
    typer.echo(SAID["once"][language()], err=True)


@app.command("first-administrators")
def first_administrators(
    system_login: Annotated[str, typer.Option(help="系统管理员登录名 · the system administrator's login")],
    system_name: Annotated[str, typer.Option(help="系统管理员姓名 · the system administrator's name")],
    security_login: Annotated[
        str, typer.Option(help="安全管理员登录名 · the security administrator's login")
    ],
    security_name: Annotated[str, typer.Option(help="安全管理员姓名 · the security administrator's name")],
) -> None:
    """创建首任系统管理员和安全管理员 · Make the first two administrators; refused if there are people."""
    here = open_local()
    with transaction(here.engine) as session:
        accounts = appoint_first_administrators(
            session,
            system_admin=(system_login, system_name),
            security_admin=(security_login, security_name),
            at=here.clock.now(),
        )
    _tell_accounts(*accounts)


def _tell_accounts(*accounts: Account) -> None:
    for account in accounts:
        person, password = account.person, account.one_time_password
        said = SAID["account"][language()]
        typer.echo(said.format(login=person.login, name=person.name, password=password))
    typer.echo(SAID["once"][language()], err=True)


def _get_person(session: Session, login: str) -> Person:
    person = find_person_by_login(session, login=login)
    if person is None:
        raise NotFound(what_zh="人员", what_en="person", key=login)
    return person


def _cells(session: Session, person: Person) -> tuple[str, ...]:
    roles = ", ".join(
        f"{ROLE_NAMES[Role(role)][0 if language() == 'zh' else 1]} @ {session.get_one(Bureau, at).code}"
        for role, at in load_roles(session, person_id=person.id)
    )
    departed = "" if person.departed_at is None else city_date(person.departed_at).isoformat()
    return (person.login, person.name, session.get_one(Bureau, person.bureau_id).code, roles, departed)
