"""Servers that another maker made, and requests to adopt them."""

from sqlalchemy import select

from infra.database import reading
from provisioning.models import Server, Volume
from provisioning.quota import Limits, Resources
from provisioning.service.asking import LineAsked
from provisioning.service.looking import look_at_request
from tests.yard import FLAVOR, IMAGE, Yard

SIZE = Resources.of(servers=1, vcpus=2, ram_mib=4096, root_gib=40)
DISK = Resources.of(volumes=1, volume_gib=30)
UNKNOWN = "00000000-0000-4000-8000-000000000000"


def build(yard: Yard, *names: str, project: str | None = None, disks: int = 1) -> list[str]:
    """Servers with a volume each that another maker made, in a project of nobody; their ids."""
    project = project or yard.region.make_project(name=f"old-{names[0]}")
    yard.cloud.set_quota(project, Limits.unlimited())
    made = []
    for name in names:
        server_id = yard.cloud.create_server(
            tag="x", project_id=project, name=name, flavor=FLAVOR, image=IMAGE, zone="extranet"
        )
        for number in range(disks):
            volume = yard.cloud.create_volume(
                tag="x", project_id=project, name=f"{name}-{number}", size_gib=30
            )
            yard.cloud.attach_volume(volume, server=yard.cloud.get_server(server_id))
        yard.region.take_tags_off()
        made.append(server_id)
    return made


def adoption(yard: Yard, *ids: str) -> int:
    request_id = yard.draft(*[LineAsked(cloud_id=one) for one in ids], kind="adoption")
    look_at_request(yard.engine, yard.cloud, request_id=request_id, at=yard.at)
    return request_id


def adopt(yard: Yard, *ids: str) -> int:
    request_id = adoption(yard, *ids)
    yard.submit(request_id)
    yard.approve(request_id)
    return request_id


def volumes_of(yard: Yard, server: Server) -> list[Volume]:
    with reading(yard.engine) as session:
        return list(session.scalars(select(Volume).where(Volume.server_id == server.id).order_by(Volume.id)))
