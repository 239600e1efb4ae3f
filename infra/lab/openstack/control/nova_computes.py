"""All compute hosts as one process beside the rest of Nova; arguments as those of nova-compute."""

import sys
import threading

import nova_hosts
import os_vif
from nova import config, objects
from nova.conf import CONF
from oslo_log import log

config.parse_args(sys.argv)
log.setup(CONF, "nova")
objects.register_all()
os_vif.initialize()
objects.Service.enable_min_version_cache()
nova_hosts.prepare()
HOSTS = nova_hosts.start_hosts()
threading.Event().wait()
