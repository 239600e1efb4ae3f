"""The REST API under /api/v1; one file a noun."""

from portal.api import batches, bureaus, datasets, me, records, subscriptions

ROUTERS = (
    me.router,
    bureaus.router,
    batches.router,  # before datasets, whose codes may hold '/'
    datasets.router,
    subscriptions.router,
    records.router,
)
