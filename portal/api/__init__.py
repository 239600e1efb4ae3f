"""The REST API under /api/v1; one file a noun."""

from portal.api import bureaus, grants, me, regions, reports, requests, servers

ROUTERS = (
    me.router,
    bureaus.router,
    regions.router,
    grants.router,
    requests.router,
    servers.router,
    reports.router,
)
