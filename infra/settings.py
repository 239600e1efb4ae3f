"""One frozen settings object, read from the environment (prefix SIJI_) and passed in.

Nothing else in the product reads the environment. docs/settings.md lists every field; a test sees to it.
"""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
LAB_ENGINES = frozenset({"postgres", "rabbitmq", "openstack", "kafka"})
Port = Annotated[int, Field(ge=1, le=65_535)]
Cidr = Annotated[str, AfterValidator(lambda told: str(ip_network(told)))]
"""A network, IPv4 or IPv6, with no bits set beyond its prefix."""


class SecurityRule(BaseModel):
    """What may reach servers from `cidr`, or leave them for it (`egress`), on the first to last of `ports`.

    Without ports all of them; only TCP and UDP have any. `description` is for people.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["tcp", "udp", "icmp", "any"]
    ports: tuple[Port, Port] | None = None
    cidr: Cidr
    direction: Literal["ingress", "egress"] = "ingress"
    description: str = Field(default="", max_length=255)

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.ports is not None and self.protocol not in ("tcp", "udp"):
            raise ValueError(f"{self.protocol} has no ports")
        if self.ports is not None and self.ports[0] > self.ports[1]:
            raise ValueError("the first port is beyond the last")
        return self


class Zone(BaseModel):
    """A network zone in an OpenStack: its network, and the addresses to make it with if it is missing.

    `rules` are those of its servers' security group; without any they have Neutron's default group.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    network: str
    cidr: str
    rules: tuple[SecurityRule, ...] = ()


class OpenStackRegion(BaseModel):
    """One region of one cloud of clouds.yaml, `name` to Siji (`region` None: the one that is named there).

    `domain` is that of the bureaus' projects, `public_network` that of public addresses (None: there are
    none); `zones` are the network zones of information systems; `volume_type` None is the cloud's default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    cloud: str
    region: str | None = None
    domain: str = "Default"
    zones: tuple[Zone, ...]
    public_network: str | None = "public"
    volume_type: str | None = None


class Settings(BaseSettings):
    """What an installation is told from outside. Secrets have no defaults."""

    model_config = SettingsConfigDict(env_prefix="SIJI_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("var"), description="Folder of this installation's own files.")
    database_url: str = Field(default="", description="Records; empty: SQLite in data_dir.")
    job_broker_url: str = Field(default="", description="Celery's broker; empty: filesystem transport.")
    region: str = Field(default="baoding", description="The region meant when none is named.")
    cloud: Literal["simulated", "openstack"] = Field(
        default="simulated", description="Which cloud driver serves the regions."
    )
    clouds_file: Path | None = Field(
        default=None, description="The clouds.yaml; none: where OpenStack's tools look for it."
    )
    openstack: tuple[OpenStackRegion, ...] = Field(
        default=(), description="JSON: the regions, each with its cloud of clouds.yaml and its networks."
    )
    exchange: Literal["embedded", "kafka"] = Field(
        default="embedded", description="Which broker holds the shared datasets."
    )
    kafka_bootstrap: str = Field(default="", description="Kafka's brokers, host:port with commas between.")
    kafka_ca_file: Path | None = Field(default=None, description="CA of its certificates, a PEM file.")
    kafka_user: str = Field(default="", description="Account that Siji signs in with (SCRAM-SHA-512).")
    kafka_password: SecretStr | None = Field(default=None, description="Its password.")
    kafka_connections: int = Field(
        default=4, ge=1, le=64, description="Producers, and consumers, that a process keeps open at most."
    )
    kafka_public_bootstrap: str = Field(
        default="", description="The brokers as subscribers reach them; empty: kafka_bootstrap."
    )
    kafka_prefix: str = Field(
        default="siji",
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="What subscribers' topics and users on Kafka begin with; an installation's own.",
    )
    kafka_replicas: int | None = Field(
        default=None, ge=1, le=32, description="Copies of each topic; none: as Kafka's brokers are told."
    )
    topic_retention_days: int = Field(
        default=7, ge=1, le=3650, description="Days that a subscriber's own topic keeps its records."
    )
    topic_byte_rate: int = Field(
        default=10 * MIB, ge=1024, description="Bytes a second that a subscriber reads of it at most."
    )
    webhook_networks: tuple[Cidr, ...] = Field(
        default=(), description="JSON: networks in which webhooks may lie, beside public https addresses."
    )
    webhook_ca_file: Path | None = Field(
        default=None, description="CA of webhooks' certificates beside the usual ones, a PEM file."
    )
    webhook_retries_s: tuple[PositiveInt, ...] = Field(
        default=(5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000),
        description="JSON: seconds from each failed try of a webhook to the next; after the last it stops.",
    )
    engines: str = Field(
        default="", description="Engines of the lab for `siji run`: lab (all), or names with commas."
    )
    sample: bool = Field(default=False, description="True only in the sample city of `make run`.")
    clock_shift_s: int = Field(
        default=0, description="Seconds added to the machine's clock; for rehearsing other dates."
    )
    portal_host: str = Field(default="127.0.0.1", description="Address the portal binds to.")
    portal_port: int = Field(default=8040, description="Port the portal binds to.")
    metrics_host: str = Field(default="127.0.0.1", description="Address the exporter binds to.")
    metrics_port: int = Field(default=9840, description="Port the exporter binds to.")
    portal_url: str = Field(
        default="", description="Address the `siji` command calls; empty: portal_host and portal_port."
    )
    token: SecretStr | None = Field(default=None, description="Token the `siji` command signs in with.")
    secure_cookies: bool = Field(
        default=False, description="True behind HTTPS: session cookies are then sent over HTTPS only."
    )
    batch_sent_mib: int = Field(
        default=64, ge=1, le=4096, description="MiB that the body of one published batch may have as sent."
    )
    batch_unpacked_mib: int = Field(
        default=256, ge=1, le=4096, description="MiB that the same may have once it is unpacked."
    )
    job_sweep_s: int = Field(
        default=30, ge=1, le=3600, description="Seconds between sweeps for rows that wait too long."
    )
    simulated_latency_s: float = Field(
        default=0.0, description="Seconds the simulated region takes to finish what it accepted."
    )

    @model_validator(mode="after")
    def _check_kafka(self) -> Self:
        needed = ("kafka_bootstrap", "kafka_ca_file", "kafka_user", "kafka_password")
        missing = [f"SIJI_{name.upper()}=" for name in needed if not getattr(self, name)]
        if self.exchange == "kafka" and missing:
            raise ValueError(f"{', '.join(missing)} (SIJI_EXCHANGE=kafka)")
        return self

    @field_validator("engines")
    @classmethod
    def _check_engines(cls, told: str) -> str:
        if _names(told) - {"lab", *LAB_ENGINES}:
            raise ValueError("no such engine")
        return told

    @property
    def lab_engines(self) -> frozenset[str]:
        """Those of LAB_ENGINES that `engines` names."""
        named = _names(self.engines)
        return LAB_ENGINES if "lab" in named else named

    @property
    def batch_sent_bytes(self) -> int:
        """`batch_sent_mib` in bytes."""
        return self.batch_sent_mib * MIB

    @property
    def batch_unpacked_bytes(self) -> int:
        """`batch_unpacked_mib` in bytes."""
        return self.batch_unpacked_mib * MIB

    @property
    def records_url(self) -> str:
        """SQLAlchemy's address of the records."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'siji.sqlite'}"


def _names(told: str) -> frozenset[str]:
    return frozenset(name.strip() for name in told.split(",")) - {""}
