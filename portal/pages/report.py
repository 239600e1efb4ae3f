"""The capacity report on a page and as files: the city for who sees all of it, else a bureau's subtree."""

from typing import Annotated

import pandas as pd
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from sqlalchemy.orm import Session

from identity.models import Bureau
from identity.queries import get_bureau, get_bureau_by_id
from identity.roles import Permission, bureaus_with
from metrics.capacity import Breakdown, report_capacity
from metrics.export import HEADINGS, as_csv, as_xlsx, without_lone_region
from metrics.matrix import as_matrix, measures_of
from metrics.notes import ILLUSTRATIVE, notes_of
from portal.access import Reading, installation_of
from portal.language import language_of
from portal.needs import Asker, page_needs
from portal.render import render

router = APIRouter(include_in_schema=False)
PAGE = 100
OF_A_SUBTREE: tuple[Breakdown, ...] = ("bureau", "system")
OF_THE_CITY: tuple[Breakdown, ...] = ("region", "level", "bureau", "system")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

Reader = Annotated[Asker, page_needs(Permission.reports_see)]
By = Annotated[Breakdown | None, Query(description="按何汇总 · what a row is of")]
Code = Annotated[str, Query(max_length=64)]


@router.get("/report")
def report(
    request: Request,
    asker: Reader,
    session: Reading,
    by: By = None,
    bureau: Code = "",
    measure: Annotated[str, Query(max_length=16)] = "used",
    start: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """The table: all figures by region or level, one figure at a time by bureau or system."""
    by, top, offered = _chosen(session, asker, by, bureau)
    found = report_capacity(session, by=by, within=top.id if top else None)
    measures = measures_of(found)
    one = measure if measure in measures else "used"
    language = language_of(request)
    is_long = by in OF_A_SUBTREE
    without = without_lone_region(found, by=by)
    matrix = as_matrix(without, measures=[one] if is_long else measures, language=language)
    facts = {
        "by": by,
        "offered": offered,
        "top": top,
        "tops": _tops(session, asker) if top else [],
        "measure": one if is_long else "",
        "measures": [(name, HEADINGS[name][language]) for name in measures] if is_long else [],
        "matrix": matrix,
        "illustrative": ILLUSTRATIVE[0 if language == "zh" else 1],
        "notes": notes_of(found, by=by, language=language),
        "rows": matrix.rows[start : start + PAGE],
        "start": start,
        "next": start + PAGE if len(matrix.rows) > start + PAGE else 0,
    }
    return render(request, "report.html", facts)


@router.get("/report.csv")
def csv(request: Request, asker: Reader, session: Reading, by: By = None, bureau: Code = "") -> Response:
    """All of it in UTF-8 with a byte order mark."""
    name, found = _found(session, asker, by, bureau)
    sample = installation_of(request).settings.sample
    content = as_csv(found, language=language_of(request), sample=sample)
    return _file(content, f"{name}.csv", "text/csv; charset=utf-8")


@router.get("/report.xlsx")
def xlsx(request: Request, asker: Reader, session: Reading, by: By = None, bureau: Code = "") -> Response:
    """All of it as a workbook without formulas."""
    name, found = _found(session, asker, by, bureau)
    sample = installation_of(request).settings.sample
    content = as_xlsx(found, by=name.split("-")[1], language=language_of(request), sample=sample)
    return _file(content, f"{name}.xlsx", XLSX)


def _chosen(
    session: Session, asker: Asker, by: Breakdown | None, code: str
) -> tuple[Breakdown, Bureau | None, tuple[Breakdown, ...]]:
    """What a row is of, the top of the subtree (None: the city), what else is offered; Forbidden."""
    sees_all = asker.scope(session) is None
    if not code and sees_all:
        return by or "region", None, OF_THE_CITY
    top = get_bureau(session, code=code) if code else _tops(session, asker)[0]
    asker.at(session, top.id)
    return (by if by in OF_A_SUBTREE else "bureau"), top, OF_A_SUBTREE


def _tops(session: Session, asker: Asker) -> list[Bureau]:
    """The bureaus at which the reader holds the permission."""
    held = bureaus_with(Permission.reports_see, asker.actor.roles)
    return [get_bureau_by_id(session, bureau_id=one) for one in sorted(held)]


def _found(session: Session, asker: Asker, by: Breakdown | None, code: str) -> tuple[str, pd.DataFrame]:
    by, top, _ = _chosen(session, asker, by, code)
    place = f"-{top.code}" if top else ""
    return f"capacity-{by}{place}", report_capacity(session, by=by, within=top.id if top else None)


def _file(content: bytes, name: str, media_type: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=media_type, headers=headers)
