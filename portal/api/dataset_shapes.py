"""How the API speaks of the catalogue: what is sent, and how an entry is shown with its items and masks."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field
from sqlalchemy.orm import Session

from exchange.compatibility import Level
from exchange.errors import CatalogueInvalid
from exchange.models import Dataset
from exchange.schema import BadItems, Item, read_item
from exchange.version_queries import get_items
from identity.models import Bureau
from identity.queries import get_bureau_by_id
from portal.api.shapes import In, Out
from portal.numbers import LARGEST_COUNT

ShareType = Literal["unconditional", "conditional", "none"]
COMPATIBILITY = "新版信息项须与既有版本兼容到何种程度 · how far new items go with those before"


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
    compatibility: Level = Field(default="backward", description=COMPATIBILITY)


class DatasetEdit(In):
    """What is to change of an entry; what is left out stays."""

    name: str | None = Field(default=None, max_length=255, examples=["婚姻登记信息"])
    share_type: ShareType | None = Field(default=None, examples=["conditional"])
    classification: str | None = Field(default=None, max_length=255)
    summary: str | None = Field(default=None, max_length=4000, examples=["全市婚姻登记结果，每日更新"])
    data_format: str | None = Field(default=None, max_length=64)
    share_condition: str | None = Field(default=None, max_length=2000, examples=["用于资格核验"])
    legal_basis: str | None = Field(default=None, max_length=2000)
    is_open: bool | None = None
    update_cycle: str | None = Field(default=None, max_length=64, examples=["每日"])
    published_on: date | None = None
    related_code: str | None = Field(default=None, max_length=64)
    compatibility: Level | None = Field(default=None, description=COMPATIBILITY)


class VersionIn(In):
    """All items of the next version, the unchanged ones too; from when it holds, or why it is forced."""

    items: list[ItemShape] = Field(max_length=500)
    from_on: date | None = Field(
        default=None, description="生效日期，空为立即生效 · the day from which it holds; without one at once"
    )
    force: str = Field(
        default="",
        max_length=2000,
        description="不兼容而立即生效的理由 · why an incompatible version is not announced first",
    )


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


class DatasetItemOut(Out):
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
    compatibility: str = Field(examples=["backward"], description=COMPATIBILITY)
    items: list[DatasetItemOut]
    created_at: datetime
    ended_at: datetime | None = Field(
        description="随提供部门撤销而停用的时间 · when it ended with its provider"
    )
    revision: int


class DatasetVersionOut(Out):
    """The items of one version; `id` is the schema's in the registry and beside every record."""

    id: int
    version: int
    created_at: datetime
    from_on: date | None = Field(
        description="预告的生效日期 · the day that was announced, null for one that held at once"
    )
    is_in_force: bool
    reason: str = Field(description="强制生效的理由 · why it was forced")
    items: list[DatasetItemOut]


def items_of(code: str, shapes: Sequence[ItemShape]) -> list[Item]:
    """The items that were sent. Raises CatalogueInvalid, naming the entry by its code."""
    try:
        return [read_item(shape.model_dump()) for shape in shapes]
    except BadItems as error:
        raise CatalogueInvalid(dataset=code, why_zh=error.why_zh, why_en=error.why_en) from error


def line_of(dataset: Dataset, provider: Bureau) -> DatasetOut:
    """The entry in a list."""
    return DatasetOut(provider=provider.code, provider_name=provider.name, **_plain(dataset, DatasetOut))


def detail_of(session: Session, dataset: Dataset) -> DatasetDetail:
    """The entry whole."""
    provider = get_bureau_by_id(session, bureau_id=dataset.bureau_id)
    items = get_items(session, dataset_id=dataset.id, version=dataset.version)
    return DatasetDetail(
        provider=provider.code,
        provider_name=provider.name,
        items=items_out(items, dataset.key_items),
        **_plain(dataset, DatasetDetail),
    )


def items_out(items: Iterable[Item], key_items: Sequence[str]) -> list[DatasetItemOut]:
    """Items of a version, in order."""
    return [DatasetItemOut(**item.document(), is_key=item.name in key_items) for item in items]


def _plain(dataset: Dataset, model: type[Out]) -> dict[str, Any]:
    """What the model shows of a dataset as it is in its row."""
    names = model.model_fields.keys() - {"provider", "provider_name", "items"}
    return {name: getattr(dataset, name) for name in names}
