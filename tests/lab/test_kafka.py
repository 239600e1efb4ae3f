"""The lab's Kafka: outlives every kind of end, lets in nobody unknown, runs nothing that we did not list."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError
from kafka.admin import ACLOperation, ResourceType
from kafka.errors import TopicAuthorizationFailedError

from infra.lab import processes, state
from infra.lab.errors import JarsRefused, NoJava, NotUp, OtherNumberOfBrokers
from infra.lab.kafka import certificates, engine, install
from infra.lab.kafka.configuration import REAUTHENTICATION_MS
from infra.lab.kafka.engine import Access
from infra.lab.kafka.place import Place
from infra.lab.record import Record, running_in
from tests.lab import kafka_clients as clients
from tests.lab.kafka_clients import Rights
from tests.shared_kafka import ABANDONS_SOCKETS
from tests.waiting import wait_until

pytestmark = ABANDONS_SOCKETS


def _pid(lab: Path, broker: int = 1) -> int:
    record = Record.read(Place.of(lab).record(broker))
    assert record is not None
    return record.pid


def _may_read(topic: str, group: str) -> list[Rights]:
    return [
        Rights(ACLOperation.READ, ResourceType.TOPIC, topic),
        Rights(ACLOperation.READ, ResourceType.GROUP, group),
    ]


def test_life_of_a_broker(lab: Path) -> None:
    """One test, since each start takes seconds. It begins with what an interrupted first start left."""
    with pytest.raises(NotUp, match="siji lab up kafka"):
        engine.address(lab)
    assert engine.status(lab).state == "down"
    remains = lab / "kafka" / "data" / "broker-1" / "making" / "log"
    remains.mkdir(parents=True)
    (lab / "kafka").chmod(0o755)
    (remains / "meta.properties").write_text("version=1\n")

    engine.up(lab)
    first, access = _pid(lab), engine.access(lab)
    engine.up(lab)
    assert _pid(lab) == first
    told = engine.status(lab)
    assert (told.state, told.user, told.address) == ("up", "admin", access.bootstrap)
    assert told.memory_kib is not None
    assert told.memory_kib > 100_000
    assert access.password not in repr(told) + repr(access)
    with pytest.raises(OtherNumberOfBrokers, match=r"1 broker.*cannot have 3"):
        engine.up(lab, brokers=3)
    topic = clients.make_topic(access)
    clients.write(access, topic, b"before the end")

    engine.down(lab)
    assert engine.status(lab).state == "down"
    assert not running_in(lab, ["java"])
    engine.up(lab)
    assert engine.access(lab) == access
    clients.write(access, topic, b"before the kill")
    os.kill(_pid(lab), signal.SIGKILL)
    engine.up(lab)
    clients.write(access, topic, b"before the lab's own kill")
    engine.kill(lab)
    assert not running_in(lab, ["java"])
    engine.up(lab)
    assert clients.read(access, topic, 3) == [
        b"before the end",
        b"before the kill",
        b"before the lab's own kill",
    ]


def test_three_brokers_outlive_their_leader(lab: Path) -> None:
    engine.up(lab, brokers=3)
    access = engine.access(lab)
    topic = clients.make_topic(access, replicas=3)
    clients.write(access, topic, b"by all")
    with clients.administrator(access) as administrator:
        leader = administrator.describe_topics([topic])[0]["partitions"][0]["leader_id"]
    others = {_pid(lab, broker) for broker in {1, 2, 3} - {leader}}
    engine.kill(lab, broker=leader)
    clients.write(access, topic, b"by the others")
    assert engine.status(lab).state == "starting"
    engine.start(leader, lab)
    assert engine.status(lab).state == "up"
    assert {_pid(lab, broker) for broker in {1, 2, 3} - {leader}} == others
    alone = replace(access, bootstrap=access.bootstrap.split(",")[leader - 1])
    assert clients.read(alone, topic, 2) == [b"by all", b"by the others"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run servers as")
def test_root_runs_it_as_an_unprivileged_user_who_cannot_read_the_password(kafka: Access) -> None:
    place = Place.of(None)
    pid = _pid(state.default_folder())
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner != 0
    assert (place.password_file.stat().st_uid, place.password_file.stat().st_mode & 0o777) == (0, 0o600)
    keys = place.certificates / "broker.pem"
    assert (keys.stat().st_uid, keys.stat().st_mode & 0o777) == (owner, 0o600)
    assert not list(Path("/tmp").glob(f"hsperfdata_*/{pid}"))  # noqa: S108 # where Java would leave a file


def test_three_kinds_of_clients_read_what_they_may(kafka: Access, lab: Path) -> None:
    topic, group = clients.make_topic(kafka), clients.unique("group")
    clients.write(kafka, topic, "一".encode(), b"2")
    user = clients.make_user(kafka, _may_read(topic, group))
    assert clients.read(user, topic, 2) == ["一".encode(), b"2"]
    assert clients.read_by_librdkafka(user, topic, 2, group=group) == ["一".encode(), b"2"]
    other = clients.unique("group")
    reader = clients.make_user(kafka, _may_read(topic, other))
    printed = clients.read_by_java(reader, topic, 2, group=other, folder=lab)
    assert printed == ["一", "2", "Processed a total of 2 messages"]


def test_without_a_right_topic_and_group_are_refused(kafka: Access) -> None:
    topic, group = clients.make_topic(kafka), clients.unique("group")
    clients.write(kafka, topic, b"not for everybody")
    stranger = clients.make_user(kafka)
    with pytest.raises(TopicAuthorizationFailedError):
        clients.write(stranger, topic, b"forged")
    may_group, may_topic = (clients.make_user(kafka, [right]) for right in _may_read(topic, group)[::-1])
    for user, refusal in (
        (may_group, KafkaError.TOPIC_AUTHORIZATION_FAILED),
        (may_topic, KafkaError.GROUP_AUTHORIZATION_FAILED),
    ):
        with pytest.raises(confluent_kafka.KafkaException) as refused:
            clients.read_by_librdkafka(user, topic, 1, group=group)
        assert refused.value.args[0].code() == refusal
    with clients.administrator(kafka) as administrator:
        assert clients.unique("topic") not in administrator.list_topics()


def test_a_deleted_user_is_cut_off_on_an_open_connection(kafka: Access) -> None:
    topic = clients.make_topic(kafka)
    user = clients.make_user(kafka, [Rights(ACLOperation.WRITE, ResourceType.TOPIC, topic)])
    assert clients.seconds_until_cut_off(user, topic, by=kafka) < 2 * REAUTHENTICATION_MS / 1_000


def test_a_wrong_password_and_an_authority_that_is_not_known_are_refused(
    kafka: Access, tmp_path: Path
) -> None:
    certificates.ensure(tmp_path / "another", processes.myself())
    for access, refusal in (
        (replace(kafka, password="guessed"), "invalid credentials"),
        (replace(kafka, authority=tmp_path / "another" / "ca.pem"), "certificate verify failed"),
    ):
        with pytest.raises(confluent_kafka.KafkaException, match=refusal):
            clients.read_by_librdkafka(access, "any", 1, group="any")


@pytest.mark.parametrize("listener", ["brokers", "controller"])
def test_brokers_and_controllers_let_in_nobody_without_the_labs_certificate(
    kafka: Access, listener: str
) -> None:
    place = Place.of(None)
    host, _, port = place.address(1, listener).rpartition(":")
    context = ssl.create_default_context(cafile=str(place.authority))
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        pytest.raises(ssl.SSLError, match=r"BAD_CERTIFICATE|CERTIFICATE_REQUIRED"),
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        secure.recv(1)


@pytest.fixture
def copied_jars(kafka: Access, lab: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The jars of a checkout whose lab is the test's own."""
    jars = install.ensure(lab / "install.log")
    copied = lab / "kafka-jars" / jars.name
    shutil.copytree(jars, copied)
    monkeypatch.setattr(state, "default_folder", lambda: lab)
    return copied


def test_jars_that_are_not_on_our_list_are_not_run(copied_jars: Path, lab: Path) -> None:
    with (copied_jars / "kafka-server-4.1.1.jar").open("ab") as changed:
        changed.write(b"\0")
    (copied_jars / "kafka-raft-4.1.1.jar").unlink()
    (copied_jars / "agent.jar").touch()
    with pytest.raises(JarsRefused) as refused:
        engine.up(lab)
    for told in (
        "(changed: kafka-server-4.1.1.jar; missing: kafka-raft-4.1.1.jar; surplus: agent.jar)",
        str(copied_jars),
    ):
        assert told in refused.value.message("en")
    assert "缺少：kafka-raft-4.1.1.jar" in refused.value.message("zh")
    assert not running_in(lab, ["java"])


def test_a_java_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "OLDEST_JAVA", 1_000)
    with pytest.raises(NoJava, match=r"Java 1000 or later.*java"):
        install.java(processes.myself())


@pytest.mark.soak
def test_a_fetch_that_was_killed_is_begun_again(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From nothing, over the network; killed when the first jars are there, its Maven left running."""
    code = f"""
from pathlib import Path
from infra.lab import state
from infra.lab.kafka import install
state.default_folder = lambda: Path({str(lab)!r})
install.ensure(Path({str(lab / "log")!r}))
"""
    fetch = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: len(list(lab.glob("kafka-jars/fetching/repository/**/*.jar"))) > 20)
    fetch.kill()
    assert fetch.wait() == -signal.SIGKILL
    monkeypatch.setattr(state, "default_folder", lambda: lab)
    jars = install.ensure(lab / "log")
    assert [path.name for path in (lab / "kafka-jars").iterdir() if path.is_dir()] == [jars.name]
    assert len(list(jars.iterdir())) == len(install.LIST.read_text().splitlines())
