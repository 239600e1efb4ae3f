"""Records and settings that cannot be used: every command says so in one line, and leaves nothing behind."""

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, ProgrammingError
from typer.testing import CliRunner

from portal.cli import faults
from portal.cli.main import app
from tests.portal.commands import Siji

ON_RECORDS = (
    "report",
    "quota recount",
    "people list",
    "people reset-password somebody",
    "people first-administrators --system-login a1 --system-name 甲 --security-login b1 --security-name 乙",
    "journal verify",
    "journal seal",
    "bureaus import {file}",
    "bureaus import {file} --dry-run",
    "calendar years",
    "calendar import {file}",
    "serve",
    "worker",
)
LANGUAGES = ("zh_CN.UTF-8", "en_US.UTF-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder that is not there."""
    return tmp_path / "var"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Something to import."""
    made = tmp_path / "some.csv"
    made.write_text("code,parent_code,level,name\n1306,,city,保定市\n")
    return made


def told(line: str, *, language: str, **settings: str) -> str:
    """The one line that a command which could not begin said on standard error; it ended in status 1."""
    env = {"LC_ALL": language, "HOME": "/nonexistent", **settings}
    result = CliRunner().invoke(app, line.split(), env=env, catch_exceptions=False)
    assert (result.exit_code, result.stdout) == (1, "")
    [only] = result.stderr.splitlines()
    return only


@pytest.mark.parametrize("line", ON_RECORDS)
def test_records_that_are_not_migrated(line: str, folder: Path, file: Path) -> None:
    said = [told(line.format(file=file), language=one, SIJI_DATA_DIR=str(folder)) for one in LANGUAGES]
    assert said == [
        "数据库不是当前版本：请先运行 siji migrate",
        "The records are not of this version: run siji migrate first",
    ]
    assert not folder.exists()


@pytest.mark.parametrize("line", ["report", "serve", "worker"])
def test_records_of_another_version(line: str, folder: Path) -> None:
    folder.mkdir()
    (folder / "siji.sqlite").touch()
    assert "siji migrate" in told(line, language="zh_CN.UTF-8", SIJI_DATA_DIR=str(folder))


@pytest.mark.parametrize("line", [*ON_RECORDS, "migrate", "run --no-serve"])
def test_a_database_that_cannot_be_reached(line: str, folder: Path, file: Path) -> None:
    settings = {
        "SIJI_DATA_DIR": str(folder),
        "SIJI_DATABASE_URL": "postgresql+psycopg://siji@127.0.0.1:1/siji",
    }
    zh, en = (told(line.format(file=file), language=one, **settings) for one in LANGUAGES)
    assert zh.startswith("无法使用数据库：")
    assert zh.endswith("；请检查 SIJI_DATABASE_URL 和数据库服务")
    assert en.startswith("The records cannot be used: ")
    assert "127.0.0.1" in zh
    assert "127.0.0.1" in en
    assert not folder.exists()


@pytest.mark.parametrize("url", ["nonsense", "nosuch://siji@127.0.0.1/siji"])
def test_an_address_that_is_none_of_a_database(url: str, folder: Path) -> None:
    settings = {"SIJI_DATA_DIR": str(folder), "SIJI_DATABASE_URL": url}
    assert told("report", language="zh_CN.UTF-8", **settings).startswith("无法使用数据库：")
    assert not folder.exists()


def test_a_file_that_is_no_database(folder: Path) -> None:
    folder.mkdir()
    (folder / "siji.sqlite").write_text("这不是数据库" * 1000)
    said = told("report", language="en_US.UTF-8", SIJI_DATA_DIR=str(folder))
    assert said.startswith("The records cannot be used: file is not a database;")


@pytest.mark.parametrize("line", [*ON_RECORDS, "migrate", "run", "requests list", "whoami"])
def test_settings_that_are_none(line: str, folder: Path, file: Path) -> None:
    settings = {"SIJI_DATA_DIR": str(folder), "SIJI_JOB_SWEEP_S": "abc", "SIJI_PORTAL_PORT": "http"}
    zh, en = (told(line.format(file=file), language=one, **settings) for one in LANGUAGES)
    assert zh == "设置无效：SIJI_PORTAL_PORT=http, SIJI_JOB_SWEEP_S=abc；可用的取值见 docs/settings.md"
    assert en == (
        "These settings cannot be used: SIJI_PORTAL_PORT=http, SIJI_JOB_SWEEP_S=abc; "
        "docs/settings.md says what they may be"
    )
    assert not folder.exists()


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ("{bad", "SIJI_OPENSTACK ≠ JSON"),
        ('[{"name": "x"}]', "SIJI_OPENSTACK.0.cloud, SIJI_OPENSTACK.0.zones"),
        (
            '[{"name": "x", "cloud": "c", "zones": [{"name": "z", "network": 3, "cidr": "c"}]}]',
            "SIJI_OPENSTACK.0.zones.0.network=3",
        ),
    ],
)
def test_a_setting_in_json_is_told_with_the_place_in_it(folder: Path, written: str, wrong: str) -> None:
    said = told("report", language="zh_CN.UTF-8", SIJI_DATA_DIR=str(folder), SIJI_OPENSTACK=written)
    assert said == f"设置无效：{wrong}；可用的取值见 docs/settings.md"
    assert not folder.exists()


def test_what_kafka_needs_and_is_not_told_is_named_without_the_rest(folder: Path) -> None:
    settings = {"SIJI_EXCHANGE": "kafka", "SIJI_KAFKA_CA_FILE": "ca.pem", "SIJI_KAFKA_PASSWORD": "a secret"}
    said = told("report", language="zh_CN.UTF-8", SIJI_DATA_DIR=str(folder), **settings)
    wrong = "SIJI_KAFKA_BOOTSTRAP=, SIJI_KAFKA_USER= (SIJI_EXCHANGE=kafka)"
    assert said == f"设置无效：{wrong}；可用的取值见 docs/settings.md"
    assert not folder.exists()


def test_what_a_role_may_not_do_is_told_and_a_fault_of_the_products_own_is_not() -> None:
    denied = psycopg.errors.InsufficientPrivilege("permission denied for table bureaus")
    refusal = faults.refusal_of(ProgrammingError("SELECT 1", {}, denied))
    assert refusal is not None
    assert "permission denied" in refusal.message("zh")
    unknown = psycopg.errors.UndefinedColumn("no such column")
    for own in (ProgrammingError("", {}, unknown), IntegrityError("", {}, unknown), KeyError("x")):
        assert faults.refusal_of(own) is None


def test_a_migrated_one_serves(siji: Siji, tmp_path: Path) -> None:
    assert siji.did("quota recount", SIJI_DATA_DIR=str(tmp_path)) == "计数与台账一致\n"
