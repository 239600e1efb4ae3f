"""Nova's configuration: of all its services, and of the one for real guests."""

from infra.lab.openstack.place import GUESTS, HOST, REGION, Place
from infra.lab.openstack.sections import QUIET, REPORT_S, SILENT, Section, locks, token, user


def nova(place: Place) -> dict[str, Section]:
    """Of all its services."""
    return {
        "DEFAULT": {
            **QUIET,
            "transport_url": place.transport_url(),
            "my_ip": HOST,
            "host": "compute-1",
            "state_path": place.data / "nova",
            "compute_driver": "lasting.LastingDriver",
            "vif_plugging_is_fatal": "false",
            "vif_plugging_timeout": 0,
            "max_concurrent_builds": 20,
            "initial_cpu_allocation_ratio": place.sizes.host_ratio,
            "sync_power_state_interval": -1,
            "report_interval": REPORT_S,
            "graceful_shutdown_timeout": 6,
            "manager_shutdown_timeout": 5,
        },
        "lab": {
            "computes": place.sizes.computes,
            "vcpus": place.sizes.host_vcpus,
            "ram_mib": place.sizes.host_ram_mib,
            "disk_gib": place.sizes.host_disk_gib,
        },
        "api": {"auth_strategy": "keystone"},
        "api_database": {"connection": place.database_url("nova_api")},
        "database": {"connection": place.database_url("nova_cell1")},
        "keystone_authtoken": token(place, "nova"),
        "service_user": {**user(place, "nova"), "send_service_user_token": "true"},
        "placement": user(place, "nova"),
        "neutron": user(place, "nova"),
        "glance": user(place, "nova"),
        "cinder": {
            **{key: value for key, value in user(place, "nova").items() if key != "region_name"},
            "os_region_name": REGION,
            "catalog_info": "volumev3::publicURL",
        },
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "enable_isolated_aggregate_filtering": "true"},
        **(_unified(place) if place.unified else {}),
        "oslo_concurrency": locks(place),
        "vnc": {"enabled": "true", "novncproxy_base_url": place.url("nova", "/vnc_lite.html")},
        "oslo_messaging_notifications": SILENT,
    }


def guests(place: Place) -> dict[str, Section]:
    """Of Nova's service for real guests, and of the proxy for their screens."""
    shared = nova(place)
    state = place.data / "guests"
    return {
        **shared,
        "DEFAULT": {
            **shared["DEFAULT"],
            "host": GUESTS,
            "state_path": state,
            "instances_path": state / "instances",
            "compute_driver": "qemu_guests.GuestsDriver",
            "resume_guests_state_on_host_boot": "true",
        },
        "libvirt": {
            "virt_type": "qemu",
            "connection_uri": f"qemu+unix:///session?socket={place.sockets}/run/libvirt/libvirt-sock",
            "cpu_mode": "none",
            "images_type": "raw",
            "inject_partition": -2,
            "hw_machine_type": "x86_64=pc",
        },
        "vnc": {
            "enabled": "true",
            "server_listen": HOST,
            "novncproxy_host": HOST,
            "novncproxy_port": place.port("novnc"),
            "novncproxy_base_url": place.url("novnc", "/vnc_lite.html"),
        },
    }


def _unified(place: Place) -> dict[str, Section]:
    """Nova asks Keystone for limits, which a user whose role is of the whole system may read."""
    known = {key: value for key, value in user(place, "nova").items() if not key.startswith("project_")}
    return {
        "quota": {"driver": "nova.quota.UnifiedLimitsDriver"},
        "oslo_limit": {
            **known,
            "system_scope": "all",
            "endpoint_service_type": "compute",
            "endpoint_region_name": REGION,
            "endpoint_interface": "public",
        },
    }
