"""Tables of provisioning/, a file for each subject."""

from provisioning.models.findings import Audit, Finding
from provisioning.models.maintenance import UNDER_WAY, Maintenance, MaintenanceMeets, MaintenanceMove
from provisioning.models.quotas import MODES, Allocation, Grant, PushedQuota, QuotaAccount
from provisioning.models.regions import Region, RegionFlavor, RegionImage, RegionInventory
from provisioning.models.removals import REMOVAL_STATES, REMOVING, Removal
from provisioning.models.requests import KINDS, LINE_STATES, REQUEST_STATES, Request, RequestLine
from provisioning.models.servers import SERVER_STATES, VOLUME_STATES, WORKING, Lease, Server, Volume

__all__ = [
    "KINDS",
    "LINE_STATES",
    "MODES",
    "REMOVAL_STATES",
    "REMOVING",
    "REQUEST_STATES",
    "SERVER_STATES",
    "UNDER_WAY",
    "VOLUME_STATES",
    "WORKING",
    "Allocation",
    "Audit",
    "Finding",
    "Grant",
    "Lease",
    "Maintenance",
    "MaintenanceMeets",
    "MaintenanceMove",
    "PushedQuota",
    "QuotaAccount",
    "Region",
    "RegionFlavor",
    "RegionImage",
    "RegionInventory",
    "Removal",
    "Request",
    "RequestLine",
    "Server",
    "Volume",
]
