"""What the documentation promises to list, it lists."""

import re
from pathlib import Path

from identity.roles import permission_table
from infra.settings import Settings

ROOT = Path(__file__).parents[2]


def test_every_setting_is_documented_and_no_other() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    listed = set(re.findall(r"^\| `(SIJI_[A-Z_]+)` \|", page, re.MULTILINE))
    assert listed == {f"SIJI_{name.upper()}" for name in Settings.model_fields}


def test_every_make_target_the_readme_names_exists() -> None:
    named = set(re.findall(r"`make ([a-z]+)`", (ROOT / "README.md").read_text()))
    made = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named
    assert named <= made


def test_the_table_of_roles_is_the_one_in_the_code() -> None:
    assert permission_table() in (ROOT / "docs/roles.md").read_text()
