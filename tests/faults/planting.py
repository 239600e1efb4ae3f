"""What people do in a cloud past Siji, done to a fleet in the lab's OpenStack: what an audit must find."""

from typing import Any

from sqlalchemy import select

from infra.clock import Clock
from infra.database import reading
from infra.installation import Installation
from provisioning.cloud.openstack import OpenStackCloud
from provisioning.comparison import Kind
from provisioning.models import PushedQuota, Server
from provisioning.quota import Limits
from provisioning.service.audits import audit_region
from tests.faults.openstack_fleet import Fleet
from tests.waiting import wait_until

REGION = "baoding"
Found = set[tuple[Kind, str]]
"""Kinds, and the ids in the cloud that they are of."""


def audit(here: Installation, *, page_size: int, scope: str = "servers") -> Found:
    """One audit, by a driver with such pages."""
    [where] = here.settings.openstack
    file = str(here.settings.clouds_file)
    cloud = OpenStackCloud(where, clouds_file=file, page_size=page_size, now=Clock().now)
    found = audit_region(here.engine, cloud, scope=scope, at=here.clock.now())
    assert found is not None
    return {(one.kind, one.cloud_id or "") for one in found}


def plant(fleet: Fleet) -> Found:
    """Eight things that are not as recorded, at the first servers of the fleet and beside them; what the next
    audit has to find, and nothing else.
    """
    compute = fleet.tested.admin.compute
    with reading(fleet.here.engine) as session:
        rows = session.scalars(select(Server).order_by(Server.id)).all()
        pushed = session.scalars(select(PushedQuota).order_by(PushedQuota.id)).all()
    ids = [str(row.cloud_id) for row in rows]
    projects = {row.bureau_id: str(row.project) for row in pushed}
    for project in projects.values():
        fleet.tested.cloud.set_quota(project, Limits.unlimited())
    untagged, lost, lost_too, resized, shelved, unconfirmed, *_ = ids
    by_hand = _make(fleet, projects[rows[0].bureau_id], "by-hand")
    retired = _make_in_a_retired_project(fleet)
    compute.delete(f"/servers/{untagged}/metadata/siji_id")
    compute.delete(f"/servers/{untagged}/tags/{rows[0].tag}", microversion="2.26")
    for one in (resized, unconfirmed):
        compute.resize_server(one, _larger(compute, one))
    for one in (lost, lost_too):
        compute.delete_server(one)
    compute.shelve_server(shelved)
    _until(compute, resized, "VERIFY_RESIZE")
    compute.confirm_server_resize(resized)
    _until(compute, resized, "ACTIVE")
    _until(compute, unconfirmed, "VERIFY_RESIZE")
    _until(compute, shelved, "SHELVED_OFFLOADED")
    wait_until(lambda: not {lost, lost_too} & {one.id for one in compute.servers(all_projects=True)})
    return {
        (Kind.server_untagged, untagged),
        (Kind.server_unrecorded, by_hand),
        (Kind.server_unrecorded, retired),
        (Kind.server_missing, lost),
        (Kind.server_missing, lost_too),
        (Kind.server_resized, resized),
        (Kind.server_status, shelved),
        (Kind.server_status, unconfirmed),
    }


def _make(fleet: Fleet, project: str, name: str) -> str:
    """A server that somebody makes in the project with a client of their own; its id."""
    admin = fleet.tested.admin
    theirs: Any = admin.connect_as_project(admin.identity.get_project(project)).compute
    [network] = admin.network.networks(name="siji-extranet")
    image = next(one for one in admin.image.images(name="Debian-12"))
    flavor = next(one for one in admin.compute.flavors() if one.name == fleet.groups[0].flavor)
    made = theirs.create_server(
        name=name, flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    _until(admin.compute, made.id, "ACTIVE")
    return str(made.id)


def _make_in_a_retired_project(fleet: Fleet) -> str:
    cloud = fleet.tested.cloud
    project = cloud.ensure_project(bureau_code="130699", name="siji-gone", description="已撤销的单位")
    cloud.set_quota(project, Limits.unlimited())
    made = _make(fleet, project, "in-a-retired-project")
    cloud.retire_project(project)
    return made


def _larger(compute: Any, server_id: str) -> str:
    """The id of a flavor of 16 vCPU, with the server's own disk, that somebody made by hand."""
    own = compute.get_server(server_id).flavor
    name = f"by-hand-16-{own.disk}"
    found = next((one for one in compute.flavors() if one.name == name), None)
    return str((found or compute.create_flavor(name=name, vcpus=16, ram=own.ram, disk=own.disk)).id)


def _until(compute: Any, server_id: str, status: str) -> None:
    def is_so() -> bool:
        found = compute.get_server(server_id)
        assert found.status != "ERROR", found.fault
        return (found.status, found.task_state) == (status, None)

    wait_until(is_so)
