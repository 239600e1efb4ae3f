"""Habits that no linter knows: one place commits, one locks rows, one knows the time and the environment."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("infra", "identity", "approval", "provisioning", "exchange", "metrics", "portal")
COMMITTERS = {"infra/database.py"}
LOCKERS = {"infra/database.py"}
CLOCK_READERS = {"infra/clock.py"}
ENVIRONMENT_READERS = {"infra/settings.py", "portal/cli/speech.py"}


@cache
def attributes_used() -> dict[str, set[str]]:
    """By product file (migrations and the lab left out), every dotted name that its code speaks of."""
    found = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        str(path): {ast.unparse(node) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
        for path in found
        if not {"migrations", "lab"} & set(path.parts)
    }


def tree_of(path: Path) -> ast.AST:
    return ast.parse((ROOT / path).read_text())


@pytest.mark.parametrize(
    ("endings", "allowed"),
    [
        ((".commit",), COMMITTERS),
        ((".with_for_update",), LOCKERS),
        (("datetime.now", "date.today", "datetime.utcnow", "time.time"), CLOCK_READERS),
        (("os.environ", "os.getenv"), ENVIRONMENT_READERS),
    ],
    ids=["commits", "locks", "clock", "environment"],
)
def test_only_its_own_room_does_it(endings: tuple[str, ...], allowed: set[str]) -> None:
    found = {
        path: name for path, names in attributes_used().items() for name in names if name.endswith(endings)
    }
    assert {path: name for path, name in found.items() if path not in allowed} == {}


def test_no_row_is_locked_without_being_read_anew() -> None:
    """`Session.get` with a lock waits for it, and then gives what the session held of the row before."""
    found = [
        f"{path.relative_to(ROOT)}: {ast.unparse(node)}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith((".get", ".get_one", ".refresh"))
        if any(keyword.arg == "with_for_update" for keyword in node.keywords)
    ]
    assert found == []


def test_no_line_carries_an_address_of_a_registry_or_a_path_of_a_machine() -> None:
    forbidden = ("/simple/", "files.pythonhosted", "/root/", "/opt/wheels", "--index-url", "--find-links")
    lab = "infra/lab/openstack/requirements.lock"
    for name in ("requirements.lock", "requirements-dev.lock", lab, "pyproject.toml", "Makefile"):
        text = (ROOT / name).read_text()
        assert [word for word in forbidden if word in text] == [], name
