"""The catalogue of shared datasets (信息资源目录): search, read, catalogue, edit, new versions of items.

A code may hold '/' (GB/T 21063), so what hangs below a dataset is declared before the dataset itself; the
catalogue keeps the words used here out of codes.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import Query, Response
from pydantic import Field
from sqlalchemy.orm import Session

from exchange.errors import CatalogueInvalid
from exchange.models import Dataset
from exchange.queries import get_dataset_by_code, get_items, list_entries, list_versions
from exchange.schema import BadItems, Item, read_item
from exchange.service.catalogue import Entry, add_version, create_dataset, edit_dataset
from identity.models import Bureau
from identity.queries import get_bureau, get_bureau_by_id
from identity.roles import Permission as P
from portal.access import At, Reading, Writing
from portal.api.shapes import Cursor, In, Limit, Out, Page, api_router, id_of, page_of
from portal.needs import Asker, needs
from portal.once import Once
from portal.revisions import Seen, tag

router = api_router("datasets")

ShareType = Literal["unconditional", "conditional", "none"]
LARGEST_COUNT = 10**9


class MaskShape(In):
    """How an item is shown (脱敏): keep_ends, digest, generalise or drop, with what these need."""

    kind: Literal["keep_ends", "digest", "generalise", "drop"] = Field(examples=["keep_ends"])
    head: int = Field(default=0, ge=0, le=LARGEST_COUNT, examples=[6])
    tail: int = Field(default=0, ge=0, le=LARGEST_COUNT, examples=[2])
    step: int = Field(default=0, ge=0, le=LARGEST_COUNT)
    to: Literal["", "year", "month", "day"] = ""


class ItemShape(In):
    """One item (信息项) of a dataset."""

    name: str = Field(max_length=64, examples=["身份证号"])
    type: str = Field(max_length=32, examples=["resident_id"])
    length: int | None = Field(default=None, ge=1, le=LARGEST_COUNT)
    sensitivity: str = Field(default="internal", max_length=16, examples=["sensitive"])
    required: bool = False
    mask: MaskShape | None = None
    label: str = Field(default="", max_length=255, examples=["公民身份号码"])


class DatasetIn(In):
    """A new catalogue entry."""

    code: str = Field(max_length=64, examples=["307003003/000001"])
    provider: str = Field(
        max_length=64, description="提供部门代码 · code of the bureau", examples=["1306-mzj"]
    )
    name: str = Field(max_length=255, examples=["婚姻登记信息"])
    share_type: ShareType = Field(examples=["conditional"])
    update_mode: Literal["incremental", "full"] = Field(examples=["incremental"])
    items: list[ItemShape] = Field(max_length=500)
    key_items: list[str] = Field(max_length=500, examples=[["身份证号"]])
    classification: str = Field(default="", max_length=255)
    summary: str = Field(default="", max_length=4000)
    data_format: str = Field(default="", max_length=64)
    share_condition: str = Field(default="", max_length=2000)
    legal_basis: str = Field(default="", max_length=2000)
    is_open: bool = False
    update_cycle: str = Field(default="", max_length=64, examples=["每日"])
    published_on: date | None = None
    related_code: str = Field(default="", max_length=64)
    partitions: int = Field(default=1, ge=1, le=1000)


class DatasetEdit(In):
    """What is to change of an entry; what is left out stays."""

    name: str | None = Field(default=None, max_length=255)
    share_type: ShareType | None = None
    classification: str | None = Field(default=None, max_length=255)
    summary: str | None = Field(default=None, max_length=4000)
    data_format: str | None = Field(default=None, max_length=64)
    share_condition: str | None = Field(default=None, max_length=2000)
    legal_basis: str | None = Field(default=None, max_length=2000)
    is_open: bool | None = None
    update_cycle: str | None = Field(default=None, max_length=64)
    published_on: date | None = None
    related_code: str | None = Field(default=None, max_length=64)


class VersionIn(In):
    """All items of the next version, the unchanged ones too."""

    items: list[ItemShape] = Field(max_length=500)


class DatasetOut(Out):
    """A line of the catalogue."""

    code: str = Field(examples=["307003003/000001"])
    name: str = Field(examples=["婚姻登记信息"])
    provider: str = Field(examples=["1306-mzj"])
    provider_name: str = Field(examples=["市民政局"])
    classification: str
    summary: str
    share_type: str = Field(examples=["conditional"])
    share_condition: str
    legal_basis: str
    is_open: bool
    update_cycle: str = Field(examples=["每日"])
    update_mode: str = Field(examples=["incremental"])
    published_on: date | None
    version: int = Field(examples=[1])


class ItemOut(Out):
    """One item, with the mask under which everybody sees it unless a subscription says otherwise."""

    name: str = Field(examples=["身份证号"])
    type: str = Field(examples=["resident_id"])
    length: int | None
    sensitivity: str = Field(examples=["sensitive"])
    required: bool
    is_key: bool
    mask: dict[str, Any] | None = Field(examples=[{"kind": "keep_ends", "head": 6, "tail": 2}])
    label: str


class DatasetDetail(DatasetOut):
    """A whole catalogue entry with the items of its newest version."""

    data_format: str
    related_code: str
    key_items: list[str]
    partitions: int
    items: list[ItemOut]
    created_at: datetime
    revision: int


class VersionOut(Out):
    """The items of one version."""

    version: int
    created_at: datetime
    items: list[ItemOut]


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
    return page_of(rows, limit, shown=lambda row: _line(*row), place=lambda row: row[0].id)


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
        entry = Entry(**told, bureau_id=bureau.id, items=_items(body.code, body.items))
        dataset = create_dataset(session, entry, actor=asker.actor.journal_id, at=at)
        tag(response, dataset.revision)
        return _detail(session, dataset)

    return once(body, act)


@router.get("/datasets/{code:path}/versions")
def versions(
    asker: Annotated[Asker, needs(P.catalogue_see)], session: Reading, code: str
) -> list[VersionOut]:
    """Every version of the dataset's items, the oldest first."""
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)
    return [
        VersionOut(
            version=one.version,
            created_at=one.created_at,
            items=_shown(map(read_item, one.items), dataset.key_items),
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
    """Give the dataset new items: compatible ones only, and every break is named otherwise."""
    dataset = get_dataset_by_code(session, code=code)
    asker.at(session, dataset.bureau_id)

    def act() -> DatasetDetail:
        items = _items(code, body.items)
        actor = asker.actor.journal_id
        changed = add_version(session, dataset_id=dataset.id, revision=seen, items=items, actor=actor, at=at)
        tag(response, changed.revision)
        return _detail(session, changed)

    return once(body, act)


@router.get("/datasets/{code:path}")
def dataset(
    asker: Annotated[Asker, needs(P.catalogue_see)], session: Reading, response: Response, code: str
) -> DatasetDetail:
    """One entry with its items, masks, share type, condition and legal basis."""
    found = get_dataset_by_code(session, code=code)
    asker.at(session, found.bureau_id)
    tag(response, found.revision)
    return _detail(session, found)


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
    tag(response, changed.revision)
    return _detail(session, changed)


def _items(code: str, shapes: Sequence[ItemShape]) -> list[Item]:
    try:
        return [read_item(shape.model_dump()) for shape in shapes]
    except BadItems as error:
        raise CatalogueInvalid(dataset=code, why_zh=error.why_zh, why_en=error.why_en) from error


def _line(dataset: Dataset, provider: Bureau) -> DatasetOut:
    return DatasetOut(provider=provider.code, provider_name=provider.name, **_plain(dataset, DatasetOut))


def _detail(session: Session, dataset: Dataset) -> DatasetDetail:
    provider = get_bureau_by_id(session, bureau_id=dataset.bureau_id)
    items = get_items(session, dataset_id=dataset.id, version=dataset.version)
    return DatasetDetail(
        provider=provider.code,
        provider_name=provider.name,
        items=_shown(items, dataset.key_items),
        **_plain(dataset, DatasetDetail),
    )


def _plain(dataset: Dataset, model: type[Out]) -> dict[str, Any]:
    """What the model shows of a dataset as it is in its row."""
    names = model.model_fields.keys() - {"provider", "provider_name", "items"}
    return {name: getattr(dataset, name) for name in names}


def _shown(items: Iterable[Item], key_items: Sequence[str]) -> list[ItemOut]:
    return [ItemOut(**item.document(), is_key=item.name in key_items) for item in items]
