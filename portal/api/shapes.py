"""What all API routes share: pages by cursor, problems, and the router they hang on."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from infra.errors import SijiError
from portal.numbers import LARGEST_ID

PREFIX = "/api/v1"
PAGE_MAX = 500
REFUSALS = (400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 500, 503)
T = TypeVar("T")
R = TypeVar("R")

Limit = Annotated[int, Query(ge=1, le=PAGE_MAX, description="每页条数 · how many a page")]
Cursor = Annotated[str, Query(max_length=128, description="上一页的 next · `next` of the page before")]


def _in_utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError(
            "no_instant", "the instant is outside of the years 1 to 9999 in UTC"
        ) from error


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""An instant with its zone, such as 2026-03-02T09:00:00+08:00; kept in UTC."""


class CursorMalformed(SijiError):
    """A cursor that no page gave."""

    code = "cursor_malformed"
    zh = "游标“{cursor}”无效：请使用上一页给出的 next"
    en = "The cursor “{cursor}” is not one that a page gave as `next`"


class Out(BaseModel):
    """An answer, read from a row or a value."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """What is sent; a field that is not known is refused, not ignored, and so is a NUL, which no text has."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _has_no_nul(cls, value: Any) -> Any:
        if _holds_nul(value):
            raise PydanticCustomError("nul", "it holds a NUL character")
        return value


class Page(BaseModel, Generic[T]):
    """Some of many, and where to go on: `next` is null at the end."""

    items: list[T]
    next: str | None = Field(
        description="下一页的游标，空表示已到末页 · cursor of the next page, null at the end"
    )


class Problem(BaseModel):
    """Why something was not done (RFC 9457); `facts` hold what `detail` names."""

    type: str = Field(examples=["urn:siji:problem:forbidden"])
    title: str = Field(examples=["Forbidden"])
    status: int = Field(examples=[403])
    detail: str = Field(examples=["您没有在“阜平县”（130624）下达配额的权限"])
    code: str = Field(examples=["forbidden"])
    facts: dict[str, Any]


def api_router(tag: str) -> APIRouter:
    """A router under /api/v1 whose routes say which problems they may answer."""
    return APIRouter(prefix=PREFIX, tags=[tag], responses={status: {"model": Problem} for status in REFUSALS})


def page_of(
    rows: Sequence[R], limit: int, *, shown: Callable[[R], T], place: Callable[[R], object]
) -> Page[T]:
    """A page of the first `limit` of `rows`; one more was read if there is one. `place` makes its cursor."""
    taken = rows[:limit]
    going_on = str(place(taken[-1])) if len(rows) > limit else None
    return Page(items=[shown(row) for row in taken], next=going_on)


def _holds_nul(value: Any) -> bool:
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and "\0" in one:
            return True
        if isinstance(one, Mapping):
            left += [*one, *one.values()]
        elif isinstance(one, list):
            left += one
    return False


def id_of(cursor: str) -> int | None:
    """The id that a cursor stands for, None for the beginning. Raises CursorMalformed."""
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit()) or int(cursor) > LARGEST_ID:
        raise CursorMalformed(cursor=cursor)
    return int(cursor)
