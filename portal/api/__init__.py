"""The REST API under /api/v1; one file a noun."""

from portal.api import (
    bureaus,
    calendar,
    case_acts,
    cases,
    hall,
    inbox,
    journal,
    me,
    people,
    reorganisation,
    roles,
    systems,
    tokens,
)

ROUTERS = (
    me.router,
    bureaus.router,
    reorganisation.router,
    systems.router,
    people.router,
    roles.router,
    tokens.router,
    cases.router,
    case_acts.router,
    inbox.router,
    hall.router,
    calendar.router,
    journal.router,
)
