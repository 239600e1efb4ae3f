"""All compute hosts as one process beside the rest of Nova; arguments as those of nova-compute."""

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import sys  # noqa: E402
import threading  # noqa: E402

import nova_hosts  # noqa: E402
import os_vif  # noqa: E402
from nova import config, objects  # noqa: E402
from nova.conf import CONF  # noqa: E402
from oslo_log import log  # noqa: E402

config.parse_args(sys.argv)
log.setup(CONF, "nova")
objects.register_all()
os_vif.initialize()
objects.Service.enable_min_version_cache()
nova_hosts.prepare()
HOSTS = nova_hosts.start_hosts()
threading.Event().wait()
