"""What the configurations of several services have in common."""

from collections.abc import Mapping

from infra.lab.openstack.place import DOMAIN, HOST, REGION, Place

Section = Mapping[str, object]
QUIET: Section = {"debug": "false"}
SILENT: Section = {"driver": "noop"}
REPORT_S = 3
"""Compute and storage report so often that they live, so that a start is seen soon."""


def user(place: Place, name: str) -> dict[str, object]:
    """How a service signs in to Keystone, in the words of keystoneauth."""
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


def token(place: Place, name: str) -> Section:
    """How a service has the tokens of its callers checked."""
    return {
        **user(place, name),
        "www_authenticate_uri": place.url("keystone"),
        "memcached_servers": memcached(place),
        "service_token_roles": "service",
        "service_token_roles_required": "true",
    }


def memcached(place: Place) -> str:
    """Where tokens are kept."""
    return f"{HOST}:{place.port('memcached')}"


def locks(place: Place) -> Section:
    """Where processes of a service lock each other out."""
    return {"lock_path": place.run / "locks"}
