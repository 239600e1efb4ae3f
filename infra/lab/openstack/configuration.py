"""The configuration files of the control plane's services, in oslo.config's form. It starts nothing."""

import json
import shutil
import uuid
from collections.abc import Mapping

from infra.lab.openstack import nova
from infra.lab.openstack.place import DOMAIN, HOST, REGION, Place
from infra.lab.openstack.sections import QUIET, REPORT_S, SILENT, Section, locks, memcached, token, user

TOKEN_S = 86_400
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
    _write(place, "nova", nova.nova(place))
    if place.vm:
        (place.etc / "guests").mkdir(exist_ok=True)
        _write(place, "guests", nova.guests(place), file="nova.conf")
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
            "memcache_servers": memcached(place),
        },
        "oslo_messaging_notifications": SILENT,
    }


def _placement(place: Place) -> dict[str, Section]:
    return {
        "DEFAULT": QUIET,
        "placement_database": {"connection": place.database_url("placement")},
        "api": {"auth_strategy": "keystone"},
        "keystone_authtoken": token(place, "placement"),
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
        "keystone_authtoken": token(place, "glance"),
        "paste_deploy": {
            "flavor": "keystone",
            "config_file": place.etc / "glance" / "glance-api-paste.ini",
        },
        "oslo_concurrency": locks(place),
        "oslo_messaging_notifications": SILENT,
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
        "keystone_authtoken": token(place, "cinder"),
        "service_user": {**user(place, "cinder"), "send_service_user_token": "true"},
        "nova": {**user(place, "cinder"), "interface": "public"},
        "oslo_concurrency": locks(place),
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
        "keystone_authtoken": token(place, "neutron"),
        "nova": user(place, "nova"),
        "ml2": {
            "type_drivers": "local,vxlan",
            "tenant_network_types": "vxlan",
            "mechanism_drivers": "lab",
            "extension_drivers": "",
        },
        "ml2_type_vxlan": {"vni_ranges": "1:4000"},
        "oslo_concurrency": locks(place),
        "oslo_messaging_notifications": SILENT,
    }


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
