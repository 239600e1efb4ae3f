"""Reboots of servers."""

from infra.migrations.checks import allow

revision = "0013"
down_revision = "0012"

SERVER_STATES = (
    *("pending", "creating", "cleaning", "adopting", "attaching", "pruning", "resizing", "reverting"),
    *("stopping", "starting", "rebooting", "resetting", "expiring", "releasing"),
    *("active", "stopped", "failed", "given_up", "released"),
)


def upgrade() -> None:
    allow("servers", "state", SERVER_STATES)
