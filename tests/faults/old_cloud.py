"""A cloud that was in use before Siji: servers, volumes and projects in the lab's OpenStack by a bare SDK."""

from typing import Any

from provisioning.quota import Resources
from tests.contract.openstack_lab import Tested
from tests.waiting import wait_until

SIZE_GIB = 20
ADOPTED = Resources.of(servers=2, vcpus=4, ram_mib=8192, root_gib=80, volumes=2, volume_gib=2 * SIZE_GIB)
"""What the two servers of the bureau hold."""


def make_old_cloud(tested: Tested) -> tuple[set[str], str]:
    """Two servers with a volume each in a project that its words tell to be 市民政局's, one in a project of
    nobody; the ids of the two, and of the one.
    """
    admin = tested.admin
    flavor = tested.cloud.ensure_flavor(name="old-2", vcpus=2, ram_mib=4096, root_gib=40)
    theirs = _project(admin, "old-affairs", "市民政局的业务系统")
    nobodys = _project(admin, "old-lab", "")
    made = {_server(admin, theirs, name, flavor.id) for name in ("oa-web-01", "oa-db-01")}
    for server_id in made:
        _attach(admin, theirs, server_id)
    return made, _server(admin, nobodys, "who", flavor.id)


def _project(admin: Any, name: str, description: str) -> Any:
    made = admin.identity.create_project(name=name, domain_id="default", description=description)
    role = admin.identity.find_role("member", ignore_missing=False)
    admin.identity.assign_project_role_to_user(made.id, admin.current_user_id, role.id)
    return made


def _server(admin: Any, project: Any, name: str, flavor_id: str) -> str:
    compute: Any = admin.connect_as_project(project).compute
    [network] = admin.network.networks(name="siji-extranet")
    image = next(iter(admin.image.images(name="Debian-12")))
    made = compute.create_server(
        name=name, flavor_id=flavor_id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    wait_until(lambda: admin.compute.get_server(made.id).status == "ACTIVE")
    return str(made.id)


def _attach(admin: Any, project: Any, server_id: str) -> None:
    storage: Any = admin.connect_as_project(project).block_storage
    made = storage.create_volume(name=f"{server_id}-data", size=SIZE_GIB)
    wait_until(lambda: admin.block_storage.get_volume(made.id).status == "available")
    admin.compute.create_volume_attachment(server_id, volume_id=made.id)
    wait_until(lambda: admin.block_storage.get_volume(made.id).status == "in-use")
