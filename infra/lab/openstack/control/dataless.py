"""A volume driver of Cinder that keeps no data: it knows how large its pool is and what was taken of it."""

from cinder.volume import configuration, driver
from oslo_config import cfg

OPTS = [cfg.IntOpt("lab_pool_gib", default=100_000)]
cfg.CONF.register_opts(OPTS, group=configuration.SHARED_CONF_GROUP)


class DatalessDriver(driver.VolumeDriver):
    """One pool, filled thickly."""

    VERSION = "1.0"
    VENDOR = "lab"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTS)
        self._sizes = {}

    def check_for_setup_error(self):
        pass

    def _update_volume_stats(self):
        total, taken = self.configuration.lab_pool_gib, sum(list(self._sizes.values()))
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": self.VENDOR,
            "driver_version": self.VERSION,
            "storage_protocol": "lab",
            "total_capacity_gb": total,
            "free_capacity_gb": total - taken,
            "allocated_capacity_gb": taken,
            "reserved_percentage": 0,
            "QoS_support": False,
            "multiattach": True,
            "thin_provisioning_support": False,
            "thick_provisioning_support": True,
        }

    # Volumes, and where their data would come from

    def create_volume(self, volume):
        self._sizes[volume.id] = volume.size

    def create_cloned_volume(self, volume, src_vref):
        self._sizes[volume.id] = volume.size

    def create_volume_from_snapshot(self, volume, snapshot):
        self._sizes[volume.id] = volume.size

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        self._sizes[volume.id] = volume.size
        return {"provider_location": None}, True

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        pass

    def extend_volume(self, volume, new_size):
        self._sizes[volume.id] = new_size

    def delete_volume(self, volume):
        self._sizes.pop(volume.id, None)

    def retype(self, context, volume, new_type, diff, host):
        return True, None

    def create_snapshot(self, snapshot):
        pass

    def delete_snapshot(self, snapshot):
        pass

    def revert_to_snapshot(self, context, volume, snapshot):
        pass

    # Attachments

    def ensure_export(self, context, volume):
        """Called at a start for each volume there is: what is taken is learnt anew."""
        self._sizes[volume.id] = volume.size

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector, **kwargs):
        return {"driver_volume_type": "fake", "data": {"volume_id": volume.id, "access_mode": "rw"}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass
