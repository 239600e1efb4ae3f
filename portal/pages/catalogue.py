"""The catalogue of datasets: finding an entry, and for data stewards making one."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from exchange.models import SHARE_TYPES
from exchange.queries import last_batches, list_entries
from exchange.service.catalogue import create_dataset
from exchange.wording import SENSITIVITIES, TYPES
from identity.queries import get_bureau, get_bureau_by_id
from identity.roles import Permission, bureaus_with
from infra.database import reading
from portal.access import Reading
from portal.api.shapes import id_of
from portal.flash import onward
from portal.form import Form, Sent, SentForm
from portal.language import language_of
from portal.needs import Asker, form_needs, page_needs
from portal.pages.entry_form import blank_form, read_entry, with_rows_changed
from portal.pages.sharing_words import SHARING
from portal.render import render

router = APIRouter(include_in_schema=False)
PAGE = 30


@router.get("/catalogue")
def catalogue(
    request: Request,
    asker: Annotated[Asker, page_needs(Permission.catalogue_see)],
    session: Reading,
    search: Annotated[str, Query(max_length=255)] = "",
    share: Annotated[str, Query(max_length=16)] = "",
    cursor: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Entries whose code, name or provider's name holds `search`, by the order of their making."""
    asker.at(session, None)
    share = share if share in SHARE_TYPES else ""
    found = list_entries(
        session, search=search.strip(), share_type=share, after=id_of(cursor) or 0, limit=PAGE + 1
    )
    catalogues_at = bureaus_with(Permission.catalogue_edit, asker.actor.roles)
    facts = {
        "entries": found[:PAGE],
        "last": last_batches(session, [dataset.id for dataset, _ in found[:PAGE]]),
        "next": str(found[PAGE - 1][0].id) if len(found) > PAGE else "",
        "search": search.strip(),
        "share": share,
        "cursor": cursor,
        "catalogues_at": [get_bureau_by_id(session, bureau_id=one) for one in sorted(catalogues_at)],
        "form": Form.of(search=search.strip(), share=share),
    }
    return render(request, "catalogue.html", SHARING | facts)


@router.get("/bureaus/{code}/datasets/new")
def new(
    request: Request,
    code: str,
    asker: Annotated[Asker, page_needs(Permission.catalogue_edit)],
    session: Reading,
) -> Response:
    """The form for a new entry of that bureau."""
    return _show_form(request, session, asker, code, blank_form())


@router.post("/bureaus/{code}/datasets/new")
def make(
    request: Request,
    code: str,
    asker: Annotated[Asker, form_needs(Permission.catalogue_edit)],
    sent: SentForm,
) -> Response:
    """Make the entry; or give the form one row more or less; or show what is wrong with it."""
    form = sent.form
    if form.typed("do") != "save":
        form = with_rows_changed(form, form.typed("do"))
    elif path := _create(sent, asker, code):
        return onward(request, path, ("目录已编制", "The dataset is in the catalogue"))
    with reading(sent.here.engine) as session:
        return _show_form(request, session, asker, code, form)


def _create(sent: Sent, asker: Asker, code: str) -> str | None:
    entry = read_entry(sent.form)
    if sent.form.is_wrong:
        return None

    def create(session: Session) -> str:
        bureau = get_bureau(session, code=code)
        asker.at(session, bureau.id)
        made = create_dataset(
            session, replace(entry, bureau_id=bureau.id), actor=asker.actor.journal_id, at=sent.at
        )
        return f"/datasets/{made.code}"

    return sent.once(asker.actor, create)


def _show_form(request: Request, session: Session, asker: Asker, code: str, form: Form) -> Response:
    bureau = get_bureau(session, code=code)
    asker.at(session, bureau.id)
    column = 1 if language_of(request) == "en" else 0
    facts = {
        "bureau": bureau,
        "form": form,
        "type_options": [(name, words[column]) for name, words in TYPES.items()],
        "sensitivity_options": [(name, words[column]) for name, words in SENSITIVITIES.items()],
    }
    return render(request, "dataset_new.html", SHARING | facts, status=422 if form.is_wrong else 200)
