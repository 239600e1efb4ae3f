"""The capacity report as JSON, CSV and XLSX; the figures are made in metrics/."""

from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import Field

from identity.queries import find_bureaus, get_bureau
from identity.roles import Permission
from metrics.capacity import report_capacity
from metrics.export import as_csv, as_xlsx
from portal.access import Reading, installation_of
from portal.api.shapes import Out, api_router
from portal.language import language_of
from portal.needs import Asker, PeopleOnly, needs

router = api_router("reports")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class By(StrEnum):
    """What a row of the report is of."""

    region = "region"
    level = "level"
    bureau = "bureau"
    system = "system"


class Form(StrEnum):
    """How it is given."""

    json = "json"
    csv = "csv"
    xlsx = "xlsx"


class ReportOut(Out):
    """A row for each key and dimension; null is unlimited, or in an inventory not counted."""

    by: By
    rows: list[dict[str, Any]] = Field(
        examples=[
            [{"region": "baoding", "dimension": "vcpus", "capacity": 8192, "granted": 1332, "used": 1332}]
        ]
    )


FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("text/csv", XLSX)}
    }
}


@router.get("/reports/capacity", response_model=ReportOut, responses=FILES)
def capacity(
    request: Request,
    asker: Annotated[Asker, needs(Permission.reports_see)],
    session: Reading,
    by: By = By.bureau,
    bureau: Annotated[
        str | None,
        Query(max_length=64, description="该单位及其下级 · that bureau and all below it"),
    ] = None,
    form: Form = Form.json,
) -> ReportOut | Response:
    """Inventory, capacity, granted, used, in flight, headroom; whoever sees part of the city names it.

    By region and by level is for people only: those figures hold the bureaus below, which a token never sees.
    """
    is_of_part = by in (By.bureau, By.system)
    if asker.actor.kind == "service" and not is_of_part:
        raise PeopleOnly()
    within = get_bureau(session, code=bureau).id if bureau else None
    if within is None and is_of_part and not asker.may(session, None):
        within = asker.actor.bureau_id
    asker.at(session, within)
    found = report_capacity(session, by=by.value, within=within)
    scope = asker.scope(session)
    if is_of_part and scope is not None:  # a token sees its own bureau without those below
        codes = [one.code for one in find_bureaus(session, scope).values()]
        found = found[found["bureau_code"].isin(codes)]
    language, sample = language_of(request), installation_of(request).settings.sample
    if form is Form.csv:
        raw = as_csv(found, language=language, sample=sample)
        return _file(raw, "text/csv; charset=utf-8", f"capacity-{by}.csv")
    if form is Form.xlsx:
        raw = as_xlsx(found, by=by.value, language=language, sample=sample)
        return _file(raw, XLSX, f"capacity-{by}.xlsx")
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return ReportOut(by=by, rows=[{str(name): value for name, value in row.items()} for row in rows])


def _file(raw: bytes, media_type: str, name: str) -> Response:
    return Response(
        raw, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
