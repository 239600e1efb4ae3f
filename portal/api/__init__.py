"""The REST API under /api/v1; one file a noun."""

from portal.api import bureaus, me

ROUTERS = (me.router, bureaus.router)
