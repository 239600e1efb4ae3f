"""Server-rendered pages, in Chinese and English; one file a noun."""

from portal.pages import bureau_grants, bureaus, overview, sign_in, systems

ROUTERS = (
    sign_in.router,
    overview.router,
    bureaus.router,
    bureau_grants.router,
    systems.router,
)
