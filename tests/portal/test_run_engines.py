"""Which engines `siji run` takes: the lab's where they are wanted and none is named; a city keeps its own."""

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from exchange.broker.connect import connect_broker
from infra.clock import Clock
from infra.jobs import make_celery
from infra.lab import postgres, rabbitmq
from infra.settings import OpenStackRegion, Settings
from portal.cli.run_engines import (
    ZONES,
    BuiltElsewhere,
    engines_of_the_run,
    keep_to_engines,
    variables,
    write_exports,
)
from provisioning.cloud.connect import connect
from tests.contract import openstack_lab

REGION = OpenStackRegion(name="baoding", cloud="theirs", zones=ZONES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, the environment's."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("SIJI_DATA_DIR", str(tmp_path / "数据 folder"))
    return tmp_path / "数据 folder"


@pytest.fixture
def test_the_labs_openstack_serves_a_run_that_names_no_cloud_and_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIJI_CLOUD", "openstack")
    with openstack_lab.turn("city") as lab:
        with engines_of_the_run(Settings(), state=lab.state) as found:
            flavors = connect(found, found.region, Clock()).list_flavors()
            assert {one.name for one in flavors} == {one.name for one in lab.admin.compute.flavors()}
        said = capsys.readouterr().out
        assert "启动实验环境：openstack" in said
        assert "siji lab down openstack" in said
        assert sourced(folder / "engines.env") == dict(variables(found)) | {"SIJI_DATA_DIR": str(folder)}


@pytest.mark.usefixtures("kafka")
def test_records_jobs_and_datasets_lie_in_the_lab_in_places_of_the_citys_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.up()
    rabbitmq.up()
    monkeypatch.setenv("SIJI_ENGINES", "kafka, rabbitmq,postgres")
    with engines_of_the_run(Settings()) as first:
        pass
    said = capsys.readouterr().out
    for name, value in sourced(folder / "engines.env").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SIJI_ENGINES")
    told = Settings()
    try:
        assert told.model_dump(exclude={"engines", "data_dir"}) == first.model_dump(
            exclude={"engines", "data_dir"}
        )
        assert_used(told)
        monkeypatch.setenv("SIJI_ENGINES", "lab")
        with engines_of_the_run(
            Settings(openstack=(REGION,), cloud="openstack", data_dir=folder / "b")
        ) as same:
            assert same.database_url == first.database_url
        assert "siji lab down" not in capsys.readouterr().out
    finally:
        drop(first)
    for secret in (
        first.database_url,
        first.kafka_password.get_secret_value() if first.kafka_password else "",
    ):
        assert secret
        assert secret not in said
    assert stat.S_IMODE((folder / "engines.env").stat().st_mode) == 0o600


def test_engines_that_are_named_are_taken_and_nothing_started(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kafka = Settings(
        engines="kafka",
        exchange="kafka",
        kafka_bootstrap="kafka.example:9093",
        kafka_ca_file=tmp_path / "ca.pem",
        kafka_user="siji",
        kafka_password=SecretStr("x"),
    )
    for number, settings in enumerate(
        (
            Settings(),
            Settings(cloud="openstack", openstack=(REGION,)),
            Settings(cloud="openstack", clouds_file=tmp_path / "clouds.yaml"),
            Settings(engines="postgres", database_url="postgresql+psycopg://siji@db.example/siji"),
            Settings(engines="rabbitmq", job_broker_url="amqp://siji@mq.example//"),
            kafka,
        )
    ):
        told = settings.model_copy(update={"data_dir": tmp_path / str(number)})
        with engines_of_the_run(told) as found:
            assert found == told
    assert capsys.readouterr().out == ""


def test_other_processes_are_told_the_same_engines(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        cloud="openstack",
        openstack=(REGION,),
        clouds_file=folder / "clouds $HOME.yaml",
        database_url="postgresql+psycopg://siji:it's@db.example/siji",
    )
    folder.mkdir()
    for name, value in sourced(write_exports(settings)).items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert variables(Settings(cloud="simulated", database_url="", clouds_file=None, openstack=())) == {}


def test_a_city_stays_on_the_kind_of_engines_that_it_was_built_on(tmp_path: Path) -> None:
    embedded = Settings(data_dir=tmp_path)
    keep_to_engines(embedded)
    keep_to_engines(embedded)
    for other in (
        {"cloud": "openstack"},
        {"database_url": "postgresql+psycopg://siji@db.example/siji"},
        {"engines": "kafka"},
        {"engines": "postgres"},
    ):
        wanted = embedded.model_copy(update=other)
        with pytest.raises(BuiltElsewhere, match="SIJI_DATA_DIR"), engines_of_the_run(wanted):
            pass
    keep_to_engines(embedded)


def test_a_city_of_an_earlier_version_stays_embedded(tmp_path: Path) -> None:
    for name in ("siji.sqlite", "region-baoding.sqlite", "exchange.sqlite"):
        (tmp_path / name).touch()
    with pytest.raises(BuiltElsewhere, match="sqlite \\+ simulated \\+ embedded"):
        keep_to_engines(Settings(data_dir=tmp_path, cloud="openstack"))
    keep_to_engines(Settings(data_dir=tmp_path))


@pytest.mark.parametrize("told", ["labs", "lab,mysql", "kafka;postgres", "Kafka"])
def test_an_engine_that_is_none_is_refused(told: str) -> None:
    with pytest.raises(ValueError, match="no such engine"):
        Settings(engines=told)


def sourced(file: Path) -> dict[str, str]:
    """What a shell exports that reads the file."""
    script = f". {shlex.quote(str(file))} && env -0"
    found = subprocess.run(["/bin/sh", "-c", script], env={}, capture_output=True, check=True).stdout
    pairs = (one.split("=", 1) for one in found.decode().split("\0") if one.startswith("SIJI_"))
    return {name: value for name, value in pairs}


def assert_used(settings: Settings) -> None:
    """All three answer, and are empty."""
    engine = create_engine(settings.records_url)
    with engine.connect() as connection:
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        assert connection.scalar(text(tables)) == 0
    engine.dispose()
    with make_celery(settings).connection_for_write() as connection:
        assert connection.default_channel.queue_declare("probe").message_count == 0
    broker = connect_broker(settings)
    assert broker.partitions(f"dataset.none.{os.getpid()}") is None
    broker.close()


def drop(settings: Settings) -> None:
    """What the run made in the lab that tests share."""
    name = settings.database_url.rpartition("/")[2]
    engine = create_engine(postgres.address(), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
    rabbitmq.control("delete_vhost", settings.job_broker_url.rpartition("/")[2])
