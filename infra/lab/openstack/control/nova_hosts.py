"""The compute hosts of the lab as services within one process; `[lab] computes` says how many.

Nova is given a driver by a name below nova.virt: this folder is added there, where `lasting` is.
"""

import os

import nova.virt
from nova import service
from nova.compute import rpcapi
from nova.conf import CONF
from nova.scheduler.client import report
from oslo_config import cfg

CONF.register_opts(
    [
        cfg.IntOpt("computes", default=1),
        cfg.IntOpt("vcpus", default=1000),
        cfg.IntOpt("ram_mib", default=800_000),
        cfg.IntOpt("disk_gib", default=600_000),
    ],
    group="lab",
)


def prepare():
    """Before the first service of Nova is made.

    Before each claim nova-compute asks Placement for the allocations of every server on its host, one request
    each, so that booting N servers costs N². It needs them to reshape providers and to heal PCI devices,
    which these hosts never do.
    """
    nova.virt.__path__.append(os.path.dirname(os.path.abspath(__file__)))
    report.SchedulerReportClient.get_allocations_for_provider_tree = lambda self, context, nodename: {}


def start_hosts():
    """Start them all and return them."""
    hosts = []
    for number in range(1, CONF.lab.computes + 1):
        host = service.Service.create(
            host=f"compute-{number}",
            binary="nova-compute",
            topic=rpcapi.RPC_TOPIC,
            topic_alt=rpcapi.RPC_TOPIC_ALT,
        )
        host.start()
        hosts.append(host)
    return hosts
