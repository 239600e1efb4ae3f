"""Which cloud `siji run` takes: the lab's where a real one is wanted and none is named; one for a city."""

import shlex
from pathlib import Path

import pytest

from infra.clock import Clock
from infra.settings import OpenStackRegion, Settings
from portal.cli.lab_cloud import ZONES, BuiltElsewhere, cloud_of_the_run, keep_to_cloud, variables
from provisioning.cloud.connect import connect
from tests.contract import openstack_lab

REGION = OpenStackRegion(name="baoding", cloud="theirs", zones=ZONES)


@pytest.mark.parametrize("cloud", ["openstack"])
def test_the_lab_serves_a_run_that_names_no_cloud_and_goes_on(
    cloud: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("SIJI_CLOUD", cloud)
    with openstack_lab.turn("city") as lab:
        with cloud_of_the_run(Settings(), state=lab.state) as found:
            flavors = connect(found, found.region, Clock()).list_flavors()
            assert {one.name for one in flavors} == {one.name for one in lab.admin.compute.flavors()}
        said = capsys.readouterr().out
        assert "启动实验环境的 OpenStack" in said
        assert "siji lab down openstack" in said
        [exports] = [line for line in said.splitlines() if line.startswith("export ")]
        for pair in shlex.split(exports)[1:]:
            monkeypatch.setenv(*pair.split("=", 1))
        assert Settings() == found


def test_a_cloud_that_is_named_is_taken_and_nothing_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for settings in (
        Settings(),
        Settings(cloud="openstack", openstack=(REGION,)),
        Settings(cloud="openstack", clouds_file=tmp_path / "clouds.yaml"),
    ):
        with cloud_of_the_run(settings) as found:
            assert found == settings
    assert capsys.readouterr().out == ""


def test_other_processes_are_told_the_same_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = Settings(cloud="openstack", openstack=(REGION,), clouds_file=tmp_path / "clouds.yaml")
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert variables(Settings(cloud="simulated")) == {}


def test_a_city_stays_in_the_kind_of_cloud_that_it_was_built_in(tmp_path: Path) -> None:
    simulated = Settings(data_dir=tmp_path)
    real = Settings(data_dir=tmp_path, cloud="openstack")
    (tmp_path / "region-baoding.sqlite").touch()
    with pytest.raises(BuiltElsewhere, match="SIJI_DATA_DIR"):
        keep_to_cloud(real)
    (tmp_path / "region-baoding.sqlite").unlink()
    keep_to_cloud(real)
    keep_to_cloud(real)
    with pytest.raises(BuiltElsewhere, match="SIJI_CLOUD=openstack"):
        keep_to_cloud(simulated)
