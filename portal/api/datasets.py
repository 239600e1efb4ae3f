"""The catalogue of shared datasets (信息资源目录): search, read, catalogue, edit, new versions of items.

A code may hold '/' (GB/T 21063), so what hangs below a dataset is declared before the dataset itself; the
catalogue keeps the words used here out of codes.
"""

from typing import Annotated

from fastapi import Query, Response
from sqlalchemy.orm import Session

from exchange.models import Dataset
from exchange.queries import get_dataset_by_code, list_entries
from exchange.schema import read_item
from exchange.service.catalogue import Entry, create_dataset, edit_dataset
from exchange.service.versions import add_version, withdraw_version
from exchange.version_queries import list_versions
from identity.queries import get_bureau
from identity.roles import Permission as P
from portal.access import At, Reading, Writing
from portal.api.dataset_shapes import (
    DatasetDetail,
    DatasetEdit,
    DatasetIn,
    DatasetOut,
    DatasetVersionOut,
    ShareType,
    VersionIn,
    detail_of,
    items_of,
    items_out,
    line_of,
)
from portal.api.shapes import Cursor, Limit, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.once import Once
from portal.revisions import Seen, tag

router = api_router("datasets")


@router.get("/datasets")
def datasets(
    asker: Annotated[Asker, needs(P.catalogue_see)],
    session: Reading,
    search: Annotated[
        str,
        Query(max_length=255, description="代码、名称、提供部门名称包含 · part of code, name or provider"),
    ] = "",
    provider: Annotated[str | None, Query(max_length=64, examples=["1306-mzj"])] = None,
    share_type: ShareType | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[DatasetOut]:
    """The city's catalogue."""
    asker.at(session, asker.actor.bureau_id)
    rows = list_entries(
        session,
        bureau_ids={get_bureau(session, code=provider).id} if provider else None,
        search=search,
        share_type=share_type or "",
        after=id_of(cursor) or 0,
        limit=limit + 1,
    )
    return page_of(rows, limit, shown=lambda row: line_of(*row), place=lambda row: row[0].id)


@router.post("/datasets", status_code=201)
def create(
    asker: Annotated[Asker, needs(P.catalogue_edit)],
    session: Writing,
    response: Response,
    at: At,
    once: Once,
    body: DatasetIn,
) -> DatasetDetail:
    """Catalogue a dataset of the provider bureau, as version 1."""
    bureau = get_bureau(session, code=body.provider)
    asker.at(session, bureau.id)

    def act() -> DatasetDetail:
        told = body.model_dump(exclude={"provider", "items"})
        entry = Entry(**told, bureau_id=bureau.id, items=items_of(body.code, body.items))
        dataset = create_dataset(session, entry, actor=asker.actor.journal_id, at=at)
        return _tagged(session, response, dataset)

    return once(body, act)


@router.get("/datasets/{code:path}/versions")
def versions(
    asker: Annotated[Asker, needs(P.catalogue_see)], session: Reading, code: str
) -> list[DatasetVersionOut]:
    """Every version of the dataset's items, the oldest first."""
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)
    return [
        DatasetVersionOut(
            id=one.id,
            version=one.version,
            from_on=one.from_on,
            is_in_force=one.version <= dataset.version,
            reason=one.reason,
            created_at=one.created_at,
            items=items_out(map(read_item, one.items), dataset.key_items),
        )
        for one in list_versions(session, dataset_id=dataset.id)
    ]


@router.post("/datasets/{code:path}/versions", status_code=201)
def new_version(
    asker: Annotated[Asker, needs(P.catalogue_edit)],
    session: Writing,
    response: Response,
    at: At,
    once: Once,
    seen: Seen,
    code: str,
    body: VersionIn,
) -> DatasetDetail:
    """Give the dataset new items. What breaks its level of compatibility is announced or forced, and every
    break is named, with the subscriptions that it hits.
    """
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)

    def act() -> DatasetDetail:
        items = items_of(code, body.items)
        actor = asker.actor.journal_id
        changed = add_version(
            session,
            dataset_id=dataset.id,
            revision=seen,
            items=items,
            actor=actor,
            at=at,
            from_on=body.from_on,
            force=body.force,
        )
        return _tagged(session, response, changed)

    return once(body, act)


@router.post("/datasets/{code:path}/versions/withdrawal")
def withdrawal(
    asker: Annotated[Asker, needs(P.catalogue_edit)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    code: str,
) -> DatasetDetail:
    """Take back the version that was announced and does not hold yet."""
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)
    actor = asker.actor.journal_id
    changed = withdraw_version(session, dataset_id=dataset.id, revision=seen, actor=actor, at=at)
    return _tagged(session, response, changed)


@router.get("/datasets/{code:path}")
def dataset(
    asker: Annotated[Asker, needs(P.catalogue_see)], session: Reading, response: Response, code: str
) -> DatasetDetail:
    """One entry with its items, masks, share type, condition and legal basis."""
    found = get_dataset_by_code(session, code=code)
    asker.at(session, found.bureau_id)
    return _tagged(session, response, found)


@router.patch("/datasets/{code:path}")
def edit(
    asker: Annotated[Asker, needs(P.catalogue_edit)],
    session: Writing,
    response: Response,
    at: At,
    seen: Seen,
    code: str,
    body: DatasetEdit,
) -> DatasetDetail:
    """Change descriptive fields of an entry; subscriptions that were granted stay."""
    found = get_dataset_by_code(session, code=code)
    asker.at(session, found.bureau_id)
    told = body.model_dump(exclude_unset=True)
    changes = {name: value for name, value in told.items() if value is not None or name == "published_on"}
    actor = asker.actor.journal_id
    changed = edit_dataset(session, dataset_id=found.id, revision=seen, changes=changes, actor=actor, at=at)
    return _tagged(session, response, changed)


def _tagged(session: Session, response: Response, dataset: Dataset) -> DatasetDetail:
    """The dataset as it is now, with its revision as ETag."""
    tag(response, dataset.revision)
    return detail_of(session, dataset)
