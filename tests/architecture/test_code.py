"""Habits that no linter knows: one place commits, one reads the clock, one the environment."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("infra", "identity", "approval", "provisioning", "exchange", "metrics", "portal")
COMMITTERS = {"infra/database.py"}
CLOCK_READERS = {"infra/clock.py"}
ENVIRONMENT_READERS = {"infra/settings.py", "portal/cli/local.py"}


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def product_files() -> list[Path]:
    found = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [path for path in found if "migrations" not in path.parts]


@pytest.mark.parametrize(
    ("endings", "allowed"),
    [
        ((".commit",), COMMITTERS),
        (("datetime.now", "date.today", "datetime.utcnow", "time.time"), CLOCK_READERS),
        (("os.environ", "os.getenv"), ENVIRONMENT_READERS),
    ],
    ids=["commits", "clock", "environment"],
)
def test_only_its_own_room_does_it(endings: tuple[str, ...], allowed: set[str]) -> None:
    found = {
        str(path.relative_to(ROOT)): name
        for path in product_files()
        if "lab" not in path.parts
        for name in calls(path)
        if name.endswith(endings)
    }
    assert {path: name for path, name in found.items() if path not in allowed} == {}


def test_no_line_carries_an_address_of_a_registry_or_a_path_of_a_machine() -> None:
    forbidden = ("/simple/", "files.pythonhosted", "/root/", "/opt/wheels", "--index-url", "--find-links")
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text()
        assert [word for word in forbidden if word in text] == [], name
