"""A region of a real OpenStack as a cloud driver, through openstacksdk and a standard clouds.yaml."""

from provisioning.cloud.openstack.driver import OpenStackCloud

__all__ = ["OpenStackCloud"]
