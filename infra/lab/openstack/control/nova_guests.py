"""The one compute host with real guests, as a process beside the rest of Nova; arguments as nova-compute's.

What Nova would do as root it does as the lab's account, as which libvirt and QEMU run. So this process opens
guests' consoles itself, and the first becomes its terminal: that guest's end is told it by SIGHUP.
"""

import os
import shlex
import signal
import sys
import threading

import nova.virt
import os_brick
import os_vif
from nova import config, objects, privsep, service, utils
from nova.compute import rpcapi
from nova.conf import CONF
from oslo_log import log
from oslo_privsep import priv_context

signal.signal(signal.SIGHUP, signal.SIG_IGN)
config.parse_args(sys.argv)
log.setup(CONF, "nova")
priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
privsep.sys_admin_pctxt.set_client_mode(False)
objects.register_all()
os_brick.setup(CONF)
os_vif.initialize()
objects.Service.enable_min_version_cache()
nova.virt.__path__.append(os.path.dirname(os.path.abspath(__file__)))
HOST = service.Service.create(binary="nova-compute", topic=rpcapi.RPC_TOPIC, topic_alt=rpcapi.RPC_TOPIC_ALT)
HOST.start()
threading.Event().wait()
