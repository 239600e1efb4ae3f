"""The configuration files of the control plane's services, in oslo.config's form. It starts nothing."""

import json
import shutil
import uuid
from collections.abc import Mapping

from infra.lab.openstack.place import DOMAIN, GUESTS, HOST, REGION, Place

Section = Mapping[str, object]
QUIET: Section = {"debug": "false"}
SILENT: Section = {"driver": "noop"}
TOKEN_S = 86_400
REPORT_S = 3
"""Compute and storage report so often that they live, so that a start is seen soon."""
COPIED = {
    "glance/glance-api-paste.ini": "glance/glance-api-paste.ini",
    "nova/api-paste.ini": "nova/api-paste.ini",
    "cinder/resource_filters.json": "cinder/resource_filters.json",
}
"""What the distributions bring and a service looks for beside its configuration."""


def configure(place: Place) -> None:
    """Write everything anew."""
    for folder in (place.etc, place.run, place.logs, place.data):
        folder.mkdir(mode=0o700, exist_ok=True)
    (place.run / "tmp").mkdir(exist_ok=True)
    for service in ("keystone", "placement", "glance", "nova", "cinder", "neutron"):
        (place.etc / service).mkdir(exist_ok=True)
    for source, target in COPIED.items():
        shutil.copy(place.venv / "etc" / source, place.etc / target)
    _write(place, "keystone", _keystone(place))
    _write(place, "placement", _placement(place))
    _write(place, "glance", _glance(place), file="glance-api.conf")
    _write(place, "nova", _nova(place))
    if place.vm:
        (place.etc / "guests").mkdir(exist_ok=True)
        _write(place, "guests", _guests(place), file="nova.conf")
    _write(place, "cinder", _cinder(place))
    _write(place, "neutron", _neutron(place))
    _write_clouds(place)


def make_folders(place: Place) -> None:
    """The folders in the state that services expect, and the node's identity that Nova does."""
    for folder in ("glance/images", "glance/staging", "glance/tasks", "nova", "cinder", "neutron"):
        (place.data / folder).mkdir(parents=True, exist_ok=True)
    (place.data / "nova" / "compute_id").write_text(str(uuid.uuid4()))


def _keystone(place: Place) -> dict[str, Section]:
    return {
        "DEFAULT": {**QUIET, "public_endpoint": place.url("keystone")},
        "database": {"connection": place.database_url("keystone")},
        "token": {"provider": "fernet", "expiration": TOKEN_S},
        "fernet_tokens": {"key_repository": place.data / "fernet"},
        "fernet_receipts": {"key_repository": place.data / "fernet"},
        "credential": {"key_repository": place.data / "credential"},
        "identity": {"password_hash_rounds": 4},
        "cache": {
            "enabled": "true",
            "backend": "dogpile.cache.pymemcache",
            "memcache_servers": _memcached(place),
        },
        "oslo_messaging_notifications": SILENT,
    }


def _placement(place: Place) -> dict[str, Section]:
    return {
        "DEFAULT": QUIET,
        "placement_database": {"connection": place.database_url("placement")},
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": _token(place, "placement"),
    }


def _glance(place: Place) -> dict[str, Section]:
    store = place.data / "glance"
    return {
        "DEFAULT": {**QUIET, "enabled_backends": "fs:file"},
        "database": {"connection": place.database_url("glance")},
        "glance_store": {"default_backend": "fs"},
        "fs": {"filesystem_store_datadir": store / "images"},
        "os_glance_staging_store": {"filesystem_store_datadir": store / "staging"},
        "os_glance_tasks_store": {"filesystem_store_datadir": store / "tasks"},
        "keystone_authtoken": _token(place, "glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": place.etc / "glance" / "glance-api-paste.ini",
        },
        "oslo_concurrency": _locks(place),
        "oslo_messaging_notifications": SILENT,
    }


def _nova(place: Place) -> dict[str, Section]:
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
        "keystone_authtoken": _token(place, "nova"),
        "service_user": {**_user(place, "nova"), "send_service_user_token": "true"},
        "placement": _user(place, "nova"),
        "neutron": _user(place, "nova"),
        "glance": _user(place, "nova"),
        "cinder": {
            **{key: value for key, value in _user(place, "nova").items() if key != "region_name"},
            "os_region_name": REGION,
            "catalog_info": "volumev3::publicURL",
        },
        "conductor": {"workers": 1},
        "scheduler": {"workers": 1, "enable_isolated_aggregate_filtering": "true"},
        **(_unified(place) if place.unified else {}),
        "oslo_concurrency": _locks(place),
        "vnc": {"enabled": "true", "novncproxy_base_url": place.url("nova", "/vnc_lite.html")},
        "oslo_messaging_notifications": SILENT,
    }


def _guests(place: Place) -> dict[str, Section]:
    """Of Nova's service for real guests, and of the proxy for their screens."""
    shared = _nova(place)
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
    user = {key: value for key, value in _user(place, "nova").items() if not key.startswith("project_")}
    return {
        "quota": {"driver": "nova.quota.UnifiedLimitsDriver"},
        "oslo_limit": {
            **user,
            "system_scope": "all",
            "endpoint_service_type": "compute",
            "endpoint_region_name": REGION,
            "endpoint_interface": "public",
        },
    }


def _cinder(place: Place) -> dict[str, Section]:
    return {
        "DEFAULT": {
            **QUIET,
            "transport_url": place.transport_url(),
            "host": "storage-1",
            "my_ip": HOST,
            "state_path": place.data / "cinder",
            "enabled_backends": "lab",
            "api_paste_config": place.venv / "etc" / "cinder" / "api-paste.ini",
            "resource_query_filters_file": place.etc / "cinder" / "resource_filters.json",
            "rootwrap_config": place.venv / "etc" / "cinder" / "rootwrap.conf",
            "auth_strategy": "keystone",
            "default_volume_type": "lab",
            "report_interval": REPORT_S,
            "graceful_shutdown_timeout": 6,
            "scheduler_driver_init_wait_time": 5,
            "glance_api_servers": place.url("glance"),
        },
        "lab": {
            "volume_driver": "dataless.DatalessDriver",
            "volume_backend_name": "lab",
            "lab_pool_gib": place.sizes.pool_gib,
            "image_volume_cache_enabled": "false",
        },
        "database": {"connection": place.database_url("cinder")},
        "keystone_authtoken": _token(place, "cinder"),
        "service_user": {**_user(place, "cinder"), "send_service_user_token": "true"},
        "nova": {**_user(place, "cinder"), "interface": "public"},
        "oslo_concurrency": _locks(place),
        "oslo_messaging_notifications": SILENT,
    }


def _neutron(place: Place) -> dict[str, Section]:
    return {
        "DEFAULT": {
            **QUIET,
            "transport_url": place.transport_url(),
            "core_plugin": "ml2",
            "service_plugins": "router",
            "auth_strategy": "keystone",
            "state_path": place.data / "neutron",
            "api_workers": 1,
            "rpc_workers": 0,
            "api_paste_config": place.venv / "etc" / "neutron" / "api-paste.ini",
            "dhcp_agent_notification": "false",
            "notify_nova_on_port_status_changes": "false",
            "notify_nova_on_port_data_changes": "false",
        },
        "database": {"connection": place.database_url("neutron")},
        "keystone_authtoken": _token(place, "neutron"),
        "nova": _user(place, "nova"),
        "ml2": {
            "type_drivers": "local,vxlan",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "lab",
            "extension_drivers": "",
        },
        "ml2_type_vxlan": {"vni_ranges": "1:4000"},
        "oslo_concurrency": _locks(place),
        "oslo_messaging_notifications": SILENT,
    }


def _user(place: Place, name: str) -> dict[str, object]:
    return {
        "auth_type": "password",
        "auth_url": place.url("keystone", "/v3"),
        "username": name,
        "password": place.secret(name),
        "project_name": "service",
        "user_domain_name": DOMAIN,
        "project_domain_name": DOMAIN,
        "region_name": REGION,
    }


def _token(place: Place, name: str) -> Section:
    return {
        **_user(place, name),
        "www_authenticate_uri": place.url("keystone"),
        "memcached_servers": _memcached(place),
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def _memcached(place: Place) -> str:
    return f"{HOST}:{place.port('memcached')}"


def _locks(place: Place) -> Section:
    return {"lock_path": place.run / "locks"}


def _write(place: Place, service: str, sections: Mapping[str, Section], *, file: str | None = None) -> None:
    lines = []
    for section, options in sections.items():
        lines += [f"[{section}]", *(f"{key} = {value}" for key, value in options.items()), ""]
    (place.etc / service / (file or f"{service}.conf")).write_text("\n".join(lines))


def _write_clouds(place: Place) -> None:
    """JSON is YAML."""
    auth = {
        "auth_url": place.url("keystone", "/v3"),
        "username": "admin",
        "password": place.secret("admin"),
        "user_domain_name": DOMAIN,
    }
    project = {"project_name": "admin", "project_domain_name": DOMAIN}
    named = {
        "lab": {"auth": {**auth, **project}},
        "lab-system": {"auth": {**auth, "system_scope": "all"}},
    }
    clouds = {
        name: {**cloud, "region_name": REGION, "identity_api_version": "3"} for name, cloud in named.items()
    }
    place.clouds.touch(mode=0o600)
    place.clouds.write_text(json.dumps({"clouds": clouds}, indent=1))
