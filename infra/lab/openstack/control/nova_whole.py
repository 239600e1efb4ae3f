"""Nova's API, conductor, scheduler and compute hosts as one WSGI application: messages stay within it."""

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import nova_hosts  # noqa: E402
import os_vif  # noqa: E402
from nova import service  # noqa: E402
from nova.api.openstack import wsgi_app  # noqa: E402
from nova.conductor import rpcapi as conductor  # noqa: E402
from nova.scheduler import rpcapi as scheduler  # noqa: E402

nova_hosts.prepare()
application = wsgi_app.init_application("osapi_compute", "nova-api")
os_vif.initialize()

SERVICES = [
    service.Service.create(binary="nova-conductor", topic=conductor.RPC_TOPIC),
    service.Service.create(binary="nova-scheduler", topic=scheduler.RPC_TOPIC),
]
for one in SERVICES:
    one.start()
SERVICES += nova_hosts.start_hosts()
