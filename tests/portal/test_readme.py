"""Every `siji` command that README prints to be typed can be typed: its names, arguments and options are."""

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from identity.passwords import MAX_LENGTH, MIN_LENGTH
from portal.cli.main import load

README = Path(__file__).parents[2] / "README.md"
SHELL_DATE = re.compile(r"\$\(date [^)]*\)")
WITH_SETTINGS = re.compile(r"(env -u SIJI_TOKEN|SIJI_DATABASE_URL='\S+') ")
WRAPPED = re.compile(r"export \w+=\$\((siji .*)\)")


def printed_commands() -> list[str]:
    """The lines of README's blocks that call `siji`, the shell's dates filled in."""
    found = []
    for line in README.read_text().splitlines():
        plain = WRAPPED.sub(r"\1", SHELL_DATE.sub("2030-01-01", line)).strip()
        plain = plain[settings.end() :] if (settings := WITH_SETTINGS.match(plain)) else plain
        if line.startswith("    ") and plain.startswith("siji "):
            found.append(plain)
    return found


@pytest.mark.parametrize("line", printed_commands())
def test_a_command_in_the_readme_is_complete(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("divisions.csv").touch()
    name, *words = shlex.split(line, comments=True)[1:]
    command = load(name)
    while isinstance(command, TyperGroup):
        command, words = command.commands[words[0]], words[1:]
    with CliRunner().isolation(input="asked for\n"):
        command.make_context(name, words)


def test_what_is_written_goes_to_a_folder_outside_the_checkout() -> None:
    writes = re.compile(r" > \S+\.\w+$| --out ")
    is_elsewhere = False
    for line in README.read_text().splitlines():
        if line.startswith("#"):
            is_elsewhere = False
        is_elsewhere |= line.strip() == "cd $(mktemp -d)"
        assert is_elsewhere or not (line.startswith("    ") and writes.search(line)), line


def test_the_readme_names_the_rules_of_passwords() -> None:
    assert f"{MIN_LENGTH} to {MAX_LENGTH} characters" in README.read_text()


def test_the_readme_prints_the_steps_of_a_new_installation() -> None:
    steps = ["migrate", "bureaus", "people", "serve", "worker", "password", "roles", "regions", "grants"]
    printed = [line.split()[1] for line in printed_commands()]
    places = [printed.index(step) for step in steps]
    assert places == sorted(places)
