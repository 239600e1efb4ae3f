"""The part of the Protocol of clouds that is about compute hosts and what is moved off them."""

from typing import Protocol

from provisioning.cloud.observed import Host


class Maintenance(Protocol):
    """Where a host has to be emptied; failures are those of `driver`."""

    def list_hosts(self) -> list[Host]:
        """All compute hosts, by name."""
        ...

    def set_host_enabled(self, name: str, *, enabled: bool, reason: str) -> None:
        """Have a host take further servers, or none; those on it stay.

        `reason`, of up to 255 characters, is kept beside a host that is not enabled, and replaces an earlier
        one. `Permanent` for a longer one.
        """
        ...

    def migrate_server(self, server_id: str, *, live: bool) -> None:
        """Have a server moved to another host that the cloud chooses. Of one on its way: fine.

        Live: ACTIVE → MIGRATING → ACTIVE. Else it is stopped on the way: ACTIVE or SHUTOFF → RESIZE →
        VERIFY_RESIZE, to be confirmed or reverted as a resize is. `Conflict` in another state. Where no other
        host has room, or may take it for its group's sake, it is accepted and returns to what it was.
        """
        ...
