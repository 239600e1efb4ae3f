"""Server-rendered pages, in Chinese and English; one file a noun."""

from portal.pages import (
    ask,
    bureaus,
    catalogue,
    datasets,
    journal,
    overview,
    people,
    people_acts,
    report,
    sign_in,
    subscription_acts,
    subscriptions,
    systems,
    tokens,
)

ROUTERS = (
    sign_in.router,
    overview.router,
    bureaus.router,
    systems.router,
    tokens.router,
    catalogue.router,
    ask.router,
    datasets.router,
    subscriptions.router,
    subscription_acts.router,
    report.router,
    people.router,
    people_acts.router,
    journal.router,
)
