"""The audit journal for the auditor: entries by page with filters, and the verification of its chain."""

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.queries import list_names
from identity.roles import Permission
from infra import journal as chain
from infra.clock import city_midnight
from infra.journal.queries import count_seals
from infra.journal.wording import breaks_of
from portal.access import At, Here, Reading, Writing
from portal.api.shapes import id_of
from portal.form import Form
from portal.journal_view import show_subjects
from portal.needs import Asker, page_needs
from portal.render import render

router = APIRouter(include_in_schema=False)
PAGE = 50
Filter = Annotated[str, Query(max_length=128)]
Reader = Annotated[Asker, page_needs(Permission.journal_read)]


@router.get("/journal")
def journal(
    request: Request,
    asker: Reader,
    session: Writing,
    at: At,
    actor: Filter = "",
    act: Filter = "",
    subject: Filter = "",
    personal: Annotated[str, Query(max_length=1)] = "",
    since: Filter = "",
    until: Filter = "",
    cursor: Filter = "",
) -> Response:
    """Entries of the bureaus that the reader audits, newest first; dates are the city's, both included.

    A look at personal data is an entry itself.
    """
    form = Form.of(actor=actor, act=act, subject=subject, personal=personal, since=since, until=until)
    first, last = form.day("since", needed=False), form.day("until", needed=False)
    wanted = chain.Wanted(
        actor=actor.strip(),
        act=act.strip(),
        subject=subject.strip(),
        personal=personal == "1",
        bureau_ids=asker.scope(session),
        since=city_midnight(first) if first else None,
        until=city_midnight(last + timedelta(days=1)) if last and last < date.max else None,
    )
    found = chain.read_entries(
        session,
        wanted,
        reader=asker.actor.journal_id,
        at=at,
        before_id=id_of(cursor),
        limit=PAGE + 1,
    )
    sealed, unsealed = count_seals(session)
    facts = {
        "entries": found[:PAGE],
        "next": str(found[PAGE - 1][0].id) if len(found) > PAGE else "",
        "cursor": cursor,
        "subjects": show_subjects(session, [entry for entry, _ in found[:PAGE]]),
        "names": _names(session, [entry.actor for entry, _ in found]),
        "filters": {name: form.typed(name) for name in form.fields if form.typed(name)},
        "sealed": sealed,
        "unsealed": unsealed,
        "form": form,
    }
    return render(request, "journal.html", facts, status=422 if form.is_wrong else 200)


@router.get("/journal/verification")
def verification(request: Request, asker: Reader, session: Reading, here: Here) -> Response:
    """The whole chain and its signed heads, checked now."""
    asker.at(session, None)
    found = chain.verify(here.engine, chain.read_own_heads(here.settings.data_dir))
    return render(request, "verification.html", {"found": found, "breaks": breaks_of(found)})


def _names(session: Session, actors: list[str]) -> dict[str, str]:
    """The names of the people among those who acted."""
    ids = {int(actor.removeprefix("person:")) for actor in actors if actor.startswith("person:")}
    return {f"person:{person_id}": name for person_id, name in list_names(session, person_ids=ids).items()}
