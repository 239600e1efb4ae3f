"""Nova's API, conductor, scheduler and compute hosts as one WSGI application: messages stay within it."""

import nova_hosts
import os_vif
from nova import service
from nova.api.openstack import wsgi_app
from nova.conductor import rpcapi as conductor
from nova.scheduler import rpcapi as scheduler

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
