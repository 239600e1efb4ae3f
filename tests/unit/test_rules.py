"""What import-linter keeps pure is what coverage measures: the rules, whole."""

import tomllib
from importlib import import_module
from pathlib import Path

TOOLS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["tool"]


def test_every_module_of_rules_is_measured() -> None:
    (pure,) = (one for one in TOOLS["importlinter"]["contracts"] if one["name"] == "the rules are pure")
    assert TOOLS["coverage"]["run"]["source_pkgs"] == pure["source_modules"]
    for name in pure["source_modules"]:
        import_module(name)  # coverage says nothing of a module that is never imported
