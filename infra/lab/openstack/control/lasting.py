"""Nova's fake hypervisor made to last: sizes of the lab's, one identity for ever, servers that outlive it.

The one in Nova's tree, for tests within one process, has a random identity in each process, so that a second
start is refused, and forgets its servers when the process ends.
"""

import io
import json
import os
import threading
import uuid

from nova.conf import CONF
from nova.image import glance
from nova.virt import fake


class LastingDriver(fake.FakeDriver):
    """One host; its servers are kept in a file of the state."""

    @property
    def vcpus(self):
        return CONF.lab.vcpus

    @property
    def memory_mb(self):
        return CONF.lab.ram_mib

    @property
    def local_gb(self):
        return CONF.lab.disk_gib

    def init_host(self, host):
        super().init_host(host)
        self._saving = threading.Lock()
        self._uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{host}.lab"))
        self._file = os.path.join(CONF.state_path, f"servers-{host}.json")
        if os.path.exists(self._file):
            with open(self._file) as file:
                for key, (name, state) in json.load(file).items():
                    self.instances[key] = fake.FakeInstance(name, state, key)

    def get_nodenames_by_uuid(self, refresh=False):
        return {self._uuid: self._host}

    def get_available_resource(self, nodename):
        resources = super().get_available_resource(nodename)
        if resources:
            resources["uuid"] = self._uuid
        return resources

    def get_host_uptime(self):
        with open("/proc/uptime") as file:
            return file.read().strip()

    def spawn(self, *args, **kwargs):
        super().spawn(*args, **kwargs)
        self._save()

    def destroy(self, *args, **kwargs):
        super().destroy(*args, **kwargs)
        self._save()

    def post_live_migration(self, context, instance, block_device_info, migrate_data=None):
        """Called where the server was: it is there no more."""
        self.destroy(context, instance, network_info=None, block_device_info=block_device_info)

    def finish_revert_migration(self, *args, **kwargs):
        super().finish_revert_migration(*args, **kwargs)
        self._save()

    def power_on(self, *args, **kwargs):
        super().power_on(*args, **kwargs)
        self._save()

    def power_off(self, *args, **kwargs):
        super().power_off(*args, **kwargs)
        self._save()

    def snapshot(self, context, instance, image_id, update_task_state):
        """Upload something as well: else the image waits for its data for ever."""
        super().snapshot(context, instance, image_id, update_task_state)
        kind = {"disk_format": "raw", "container_format": "bare"}
        glance.API().update(context, image_id, kind, io.BytesIO(b"lab"))

    def _save(self):
        with self._saving:
            text = json.dumps({one.uuid: (one.name, one.state) for one in list(self.instances.values())})
            with open(f"{self._file}.new", "w") as file:
                file.write(text)
            os.replace(f"{self._file}.new", self._file)
