"""Cinder's API, scheduler and volume service as one WSGI application; messages stay in the process."""

import threading

from cinder import objects, service
from cinder.common import constants
from cinder.wsgi import wsgi
from oslo_config import cfg

application = wsgi.initialize_application()
objects.register_all()
SERVICES = []
REPORTING = threading.Lock()
report_state = service.Service.report_state


def _report_as_oneself(self):
    """A service reports under the id that its class keeps, that of the last one started; here two are."""
    with REPORTING:
        service.Service.service_id = self.origin_service_id
        report_state(self)


service.Service.report_state = _report_as_oneself


def _start(**kwargs):
    one = service.Service.create(coordination=False, **kwargs)
    one.start()
    SERVICES.append(one)


# The scheduler waits at its start until a volume service has reported: that comes first.
for backend in cfg.CONF.enabled_backends:
    _start(host=f"{cfg.CONF.host}@{backend}", service_name=backend, binary=constants.VOLUME_BINARY)
_start(binary=constants.SCHEDULER_BINARY)
