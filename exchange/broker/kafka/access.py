"""How this process reaches the brokers, and how long it waits for them."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BOOTSTRAP_S = 6.0
HANDSHAKE_S = 4.0
REQUEST_S = 5.0
INIT_S = 8.0
DELIVERY_S = 12.0
COMMIT_S = 10.0
ABORT_S = 3.0
ASK_S = 12.0
READ_S = 12.0
LOCK_S = 12.0
TRANSACTION_S = 60.0
"""After this long the brokers end a transaction whose writer was killed; readers of its topics wait until
then, or until its batch is sent again."""

MAX_BATCH_BYTES = 512 * 1024
MAX_REQUEST_BYTES = 8 * 1024 * 1024
MAX_FETCH_BYTES = 4 * 1024 * 1024
MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""`max.message.bytes` of the topics: a record of Siji's largest size and its headers are well within."""


@dataclass(frozen=True)
class KafkaAccess:
    """Who signs in where. `bootstrap` is host:port, with commas between; `ca_file` the brokers' CA (PEM)."""

    bootstrap: str
    ca_file: Path
    user: str
    password: str = field(repr=False)

    def options(self) -> dict[str, Any]:
        """What every client of kafka-python is told: TLS and SCRAM-SHA-512 always, short waits."""
        return {
            "bootstrap_servers": [part.strip() for part in self.bootstrap.split(",")],
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
            "ssl_cafile": str(self.ca_file),
            "bootstrap_timeout_ms": int(BOOTSTRAP_S * 1000),
            "request_timeout_ms": int(REQUEST_S * 1000),
            "retry_backoff_ms": 20,
            "reconnect_backoff_max_ms": 500,
            "client_id": "siji",
        }
