"""SELECTs of provisioning: rows for faces and for the use cases; no decisions."""

from provisioning.queries.findings import (
    get_finding,
    list_audits,
    list_findings,
    read_gone,
    read_records,
)
from provisioning.queries.grants import (
    find_open_grant,
    list_accounts_of,
    list_granted_children,
    list_grants,
)
from provisioning.queries.regions import (
    find_flavor,
    find_image,
    get_region,
    list_flavors,
    list_images,
    list_inventory,
    list_regions,
)
from provisioning.queries.requests import (
    AppliedFor,
    count_open_requests,
    get_request,
    list_applied_for,
    list_left_behind,
    list_lines,
    list_requests,
)
from provisioning.queries.servers import (
    find_lease,
    get_server,
    keys_held_by,
    leases_of,
    list_due,
    list_servers,
    list_servers_of,
    list_volumes_of,
    servers_by_id,
)

__all__ = [
    "AppliedFor",
    "count_open_requests",
    "find_flavor",
    "find_image",
    "find_lease",
    "find_open_grant",
    "get_finding",
    "get_region",
    "get_request",
    "get_server",
    "keys_held_by",
    "leases_of",
    "list_accounts_of",
    "list_applied_for",
    "list_audits",
    "list_due",
    "list_findings",
    "list_flavors",
    "list_granted_children",
    "list_grants",
    "list_images",
    "list_inventory",
    "list_left_behind",
    "list_lines",
    "list_regions",
    "list_requests",
    "list_servers",
    "list_servers_of",
    "list_volumes_of",
    "read_gone",
    "read_records",
    "servers_by_id",
]
