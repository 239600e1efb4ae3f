"""One frozen settings object, read from the environment (prefix SIJI_) and passed in.

Nothing else in the product reads the environment. docs/settings.md lists every field; a test sees to it.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an installation is told from outside. Secrets have no defaults."""

    model_config = SettingsConfigDict(env_prefix="SIJI_", frozen=True, extra="ignore")

    data_dir: Path = Field(default=Path("var"), description="Folder of this installation's own files.")
    database_url: str = Field(default="", description="Records; empty: SQLite in data_dir.")
    job_broker_url: str = Field(default="", description="Celery's broker; empty: filesystem transport.")
    region: str = Field(default="baoding", description="The region meant when none is named.")
    cloud: Literal["simulated"] = Field(
        default="simulated", description="Which cloud driver serves the region."
    )
    exchange: Literal["embedded"] = Field(
        default="embedded", description="Which broker holds the shared datasets."
    )
    sample: bool = Field(default=False, description="True only in the sample city of `make run`.")
    clock_shift_s: int = Field(
        default=0, description="Seconds added to the machine's clock; for rehearsing other dates."
    )
    portal_host: str = Field(default="127.0.0.1", description="Address the portal binds to.")
    portal_port: int = Field(default=8040, description="Port the portal binds to.")
    portal_url: str = Field(
        default="", description="Address the `siji` command calls; empty: portal_host and portal_port."
    )
    token: SecretStr | None = Field(default=None, description="Token the `siji` command signs in with.")
    secure_cookies: bool = Field(
        default=False, description="True behind HTTPS: session cookies are then sent over HTTPS only."
    )
    job_sweep_s: int = Field(
        default=30, ge=1, le=3600, description="Seconds between sweeps for rows that wait too long."
    )
    simulated_latency_s: float = Field(
        default=0.0, description="Seconds the simulated region takes to finish what it accepted."
    )

    @property
    def records_url(self) -> str:
        """SQLAlchemy's address of the records."""
        return self.database_url or f"sqlite:///{self.data_dir.absolute() / 'siji.sqlite'}"
