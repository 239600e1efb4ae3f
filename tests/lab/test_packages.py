"""Installing packages: what is there is not installed again, and the machine is left as it was."""

from pathlib import Path

import pytest

from infra.lab import packages
from infra.lab.errors import InstallFailed, PackagesMissing

ABSENT = "siji-no-such-package"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files below tmp_path; we are root, and apt-get is there."""
    files = {
        "MACHINE_LOCK": "lock",
        "POLICY": "policy-rc.d",
        "POLICY_SAVED": "policy-rc.d.saved",
        "NO_DEFAULT_CLUSTER": "createcluster.d/siji-lab.conf",
    }
    for constant, name in files.items():
        monkeypatch.setattr(packages, constant, tmp_path / name)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setattr(packages, "obstacle", lambda: None)
    return tmp_path


def _left_behind(machine: Path) -> dict[str, str]:
    return {
        path.name: path.read_text()
        for path in machine.rglob("*")
        if path.is_file() and path.name not in ("lock", "log")
    }


def test_what_is_installed_is_not_missing() -> None:
    assert packages.missing(["dpkg", ABSENT, "apt"]) == [ABSENT]


def test_without_root_the_package_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(PackagesMissing, match=f"root.*apt-get install {ABSENT}") as refused:
        packages.ensure([ABSENT], log=tmp_path / "log")
    assert f"apt-get install {ABSENT}" in refused.value.message("zh")


def test_on_another_system_the_package_to_install_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)
    with pytest.raises(PackagesMissing, match=f"no Debian.*{ABSENT}"):
        packages.ensure([ABSENT], log=tmp_path / "log")


def test_programs_that_came_by_another_way_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    packages.ensure([ABSENT], log=tmp_path / "log", usable=True)


def test_on_another_system_nothing_is_unpacked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda _program: None)
    with pytest.raises(PackagesMissing, match=f"no Debian.*{ABSENT}"):
        packages.unpack([ABSENT], tmp_path / "unpacked", log=tmp_path / "log")
    assert packages.dependencies(ABSENT) == []


def test_what_cannot_be_fetched_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(InstallFailed, match=ABSENT):
        packages.unpack([ABSENT], tmp_path / "unpacked", log=tmp_path / "log")


@pytest.mark.parametrize("policy", [None, "#!/bin/sh\nexit 0\n"])
def test_services_are_blocked_while_installing_and_never_after(
    machine: Path, monkeypatch: pytest.MonkeyPatch, policy: str | None
) -> None:
    before = {} if policy is None else {"policy-rc.d": policy}
    for name, text in before.items():
        (machine / name).write_text(text)
    during: dict[str, str] = {}
    monkeypatch.setattr(packages, "_run", lambda *_: bool(during.update(_left_behind(machine))))
    with pytest.raises(InstallFailed, match=ABSENT):
        packages.ensure([ABSENT], log=machine / "log")
    assert "exit 101" in during["policy-rc.d"]
    assert during["siji-lab.conf"] == "create_main_cluster = false\n"
    assert _left_behind(machine) == before


@pytest.mark.parametrize("policy", [None, "#!/bin/sh\nexit 0\n"])
def test_what_a_killed_installation_left_is_put_back_by_the_next_call(
    machine: Path, policy: str | None
) -> None:
    """Even if nothing is missing any more."""
    if policy is not None:
        (machine / "policy-rc.d.saved").write_text(policy)
    (machine / "policy-rc.d").write_text(packages.POLICY_TEXT)
    (machine / "createcluster.d").mkdir()
    (machine / "createcluster.d" / "siji-lab.conf").write_text("create_main_cluster = false\n")
    packages.ensure(["dpkg"], log=machine / "log")
    assert _left_behind(machine) == ({} if policy is None else {"policy-rc.d": policy})
