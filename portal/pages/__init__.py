"""Server-rendered pages, in Chinese and English; one file a noun."""

from portal.pages import (
    bureau_grants,
    bureau_servers,
    bureaus,
    cases,
    inbox,
    overview,
    requests,
    requests_new,
    servers,
    sign_in,
    systems,
)

ROUTERS = (
    sign_in.router,
    overview.router,
    inbox.router,
    bureaus.router,
    bureau_grants.router,
    bureau_servers.router,
    servers.router,
    requests_new.router,
    requests.router,
    cases.router,
    systems.router,
)
