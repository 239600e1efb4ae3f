"""One audit of a region's servers and volumes beside the bare listing of what it compares."""

import time
from collections.abc import Callable
from statistics import median

from openstack.config import OpenStackConfig
from openstack.connection import Connection

from bench.tables import Goal, Measured
from infra.installation import Installation
from provisioning.cloud.connect import connect
from provisioning.service.audits import audit_region

ROUNDS = 7


def measure_sweeps(here: Installation, *, clouds: str, name: str) -> Measured:
    """Both in turns, in one process, signed in already; the cloud has what the records of `here` say."""
    region = here.settings.region
    cloud = connect(here.settings, region, here.clock)
    config = OpenStackConfig(config_files=[clouds], load_envvars=False).get_one(name)
    admin = Connection(config=config)

    def list_all() -> int:
        servers = list(admin.compute.servers(all_projects=True))
        volumes = list(admin.block_storage.volumes(all_projects=True))
        return len(servers) + len(volumes) + len(list(admin.network.ips()))

    def sweep() -> None:
        found = audit_region(here.engine, cloud, scope="servers", at=here.clock.now())
        if found != []:
            raise RuntimeError(f"the cloud is not as the records say: {found}")

    listed = list_all()
    sweep()
    times: dict[Callable[[], object], list[float]] = {list_all: [], sweep: []}
    for _ in range(ROUNDS):
        for act, seconds in times.items():
            began = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - began)
    bare, ours = median(times[list_all]), median(times[sweep])
    return Measured(
        f"a sweep over {listed} servers and volumes, median of {ROUNDS}",
        ("who", "seconds"),
        [("Siji", f"{ours:.2f}"), ("bare listing", f"{bare:.2f}")],
        [Goal("sweep / bare listing", ours / bare, 1.3, at_least=False)],
    )
