"""Compute hosts of Nova's, and what is moved off them."""

from typing import Any

import openstack.exceptions as sdk

from provisioning.cloud.labels import find_reason_fault
from provisioning.cloud.observed import Host
from provisioning.cloud.openstack.catalogue import told_by
from provisioning.cloud.openstack.servers import Servers, get_built, unless

COMPUTE = "nova-compute"
ANSWERS_AT_ONCE = "2.34"
"""Since which version of its API Nova looks for a host after it has answered."""
NAMED_BY_ID = "2.53"
"""Since which version of its API Nova's services are named by an id."""
LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


class Hosts(Servers):
    """The part of the driver that is about compute hosts."""

    def list_hosts(self) -> list[Host]:
        """See Cloud."""
        with self._session.calling("list_hosts") as (cloud, _):
            found = cloud.compute.services(binary=COMPUTE)
            return sorted(map(_to_host, found), key=lambda one: one.name)

    def set_host_enabled(self, name: str, *, enabled: bool, reason: str) -> None:
        """See Cloud."""
        with self._session.calling("set_host_enabled") as (cloud, failures):
            failures.refuse_label(None if enabled else find_reason_fault(reason))
            service = next(iter(cloud.compute.services(binary=COMPUTE, host=name)), None)
            if service is None:
                raise failures.missing("计算主机", "host", name)
            told = {"status": "enabled"} if enabled else {"status": "disabled", "disabled_reason": reason}
            path = f"/os-services/{service.id}"  # the SDK sends only what changes, which Nova refuses
            told_by(cloud.compute.put(path, json=told, microversion=NAMED_BY_ID))

    def migrate_server(self, server_id: str, *, live: bool) -> None:
        """See Cloud."""
        with self._session.calling("migrate_server") as (cloud, failures):
            get_built(cloud, server_id, failures)
            with unless(cloud, server_id, lambda now: now.status == ("MIGRATING" if live else "RESIZE")):
                if not live:
                    cloud.compute.migrate_server(server_id)
                    return
                path = f"/servers/{server_id}/action"
                answer = cloud.compute.post(path, json=LIVE, microversion=ANSWERS_AT_ONCE)
                sdk.raise_from_response(answer)


def _to_host(found: Any) -> Host:
    return Host(
        name=found.host,
        enabled=found.status == "enabled",
        up=found.state == "up",
        reason=found.disabled_reason or None,
    )
