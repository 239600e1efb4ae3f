"""The REST API under /api/v1; one file a noun."""

from portal.api import (
    batches,
    bureaus,
    datasets,
    grants,
    me,
    records,
    regions,
    reports,
    requests,
    servers,
    subscriptions,
)

ROUTERS = (
    me.router,
    bureaus.router,
    regions.router,
    grants.router,
    requests.router,
    servers.router,
    reports.router,
    batches.router,  # before datasets, whose codes may hold '/'
    datasets.router,
    subscriptions.router,
    records.router,
)
