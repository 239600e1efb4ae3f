"""What a broker of the lab is told: its properties, its log, the words of its Java."""

from pathlib import Path

from infra.lab.kafka.certificates import BROKERS
from infra.lab.kafka.install import QUIETLY
from infra.lab.kafka.place import ADMINISTRATOR, Place

REAUTHENTICATION_MS = 4_000
"""How long a user who was deleted goes on at most, on a connection that is open."""
SESSION_MS = 3_000
HEARTBEAT_MS = 500
HEAP_MIB = {1: 512, 3: 384}
"""By the number of brokers."""
CLEANER_BYTES = 16 * 2**20
"""Of the heap, for compaction; Kafka's default is 128 MiB."""
LOG = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601}{UTC}Z %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.started.name = org.apache.kafka.common.utils.AppInfoParser
logger.started.level = info
"""


def properties(place: Place, broker: int, log_folder: Path) -> str:
    """The file of a broker that is controller too and keeps its log in `log_folder`."""
    lines = _listeners(place, broker) | _security(place) | _copies(place.brokers) | _sizes(log_folder)
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def java_options(place: Place, broker: int) -> list[str]:
    """The words between `java` and the class path."""
    home = place.home(broker)
    return [
        "-Xms128m",
        f"-Xmx{HEAP_MIB[place.brokers]}m",
        "-XX:+UseG1GC",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={home / 'java-error.log'}",
        *QUIETLY,
        f"-Djava.io.tmpdir={home / 'temporary'}",
        f"-Duser.home={home}",
        f"-Dlog4j2.configurationFile={home / 'log4j2.properties'}",
    ]


def _listeners(place: Place, broker: int) -> dict[str, str]:
    """Clients sign in with SCRAM; brokers and controllers show each other the lab's certificate."""
    client, controller, brokers = (
        place.address(broker, listener) for listener in ("client", "controller", "brokers")
    )
    voters = ",".join(f"{one}@{place.address(one, 'controller')}" for one in place.numbers)
    return {
        "process.roles": "broker,controller",
        "node.id": str(broker),
        "controller.quorum.voters": voters,
        "listeners": f"CLIENT://{client},CONTROLLER://{controller},BROKERS://{brokers}",
        "advertised.listeners": f"CLIENT://{client},BROKERS://{brokers}",
        "listener.security.protocol.map": "CLIENT:SASL_SSL,CONTROLLER:SSL,BROKERS:SSL",
        "inter.broker.listener.name": "BROKERS",
        "controller.listener.names": "CONTROLLER",
        "listener.name.controller.ssl.client.auth": "required",
        "listener.name.brokers.ssl.client.auth": "required",
    }


def _security(place: Place) -> dict[str, str]:
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    return {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": scram,
        "connections.max.reauth.ms": str(REAUTHENTICATION_MS),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(place.certificates / "broker.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(place.authority),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMINISTRATOR};User:CN={BROKERS}",
        "allow.everyone.if.no.acl.found": "false",
        "auto.create.topics.enable": "false",
    }


def _copies(brokers: int) -> dict[str, str]:
    """Every record on all brokers; one of three may be away."""
    copies, enough = str(brokers), str(max(1, brokers - 1))
    return {
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": enough,
        "broker.session.timeout.ms": str(SESSION_MS),
        "broker.heartbeat.interval.ms": str(HEARTBEAT_MS),
    }


def _sizes(log_folder: Path) -> dict[str, str]:
    return {
        "log.dirs": str(log_folder),
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.num.partitions": "5",
        "group.initial.rebalance.delay.ms": "0",
        "log.cleaner.dedupe.buffer.size": str(CLEANER_BYTES),
    }
