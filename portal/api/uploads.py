"""Files that are sent as the body of a call, as they are or packed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, BinaryIO, cast

from fastapi import Depends, Query, Request
from starlette.requests import ClientDisconnect

from infra.errors import SijiError
from infra.packing import packing_of, unpack

IN_MEMORY = 1024 * 1024
"""Bytes of a file that are held in memory; a larger one is on disk, in the folder for temporary files."""


class BodyCut(SijiError):
    """The caller went away before all of the body was there."""

    code = "body_cut"
    zh = "请求内容中途断开，未收到全部内容；请整份重发"
    en = "The request's content broke off before all of it was there; send all of it again"


async def sent(request: Request) -> bytes:
    """The body as it came. Async, as reading it is."""
    return await request.body()


async def sent_file(request: Request) -> AsyncIterator[BinaryIO]:
    """The body as a file, written as it comes. Async, as reading it is. Raises BodyCut."""
    with SpooledTemporaryFile(max_size=IN_MEMORY) as file:
        try:
            async for piece in request.stream():
                file.write(piece)
        except ClientDisconnect as error:
            raise BodyCut() from error
        file.seek(0)
        yield cast(BinaryIO, file)


@contextmanager
def unpacked(file: BinaryIO, content_encoding: str, *, limit: int) -> Iterator[BinaryIO]:
    """The file, unpacked if it is packed. Raises UnknownPacking, PackingBroken, UnpackedTooLarge."""
    packing = packing_of(content_encoding)
    if packing is None:
        yield file
        return
    with SpooledTemporaryFile(max_size=IN_MEMORY) as plain:
        unpack(file, cast(BinaryIO, plain), packing=packing, limit=limit)
        plain.seek(0)
        yield cast(BinaryIO, plain)


SentFile = Annotated[BinaryIO, Depends(sent_file)]
Sent = Annotated[bytes, Depends(sent)]
Encoding = Annotated[
    str | None,
    Query(
        max_length=32,
        examples=["gb18030"],
        description="文件编码，不给则按内容判断 · the file's encoding; told from its content if left out",
    ),
]


def csv_body(example: str) -> dict[str, Any]:
    """What OpenAPI says of a route whose body is CSV."""
    content = {"text/csv": {"schema": {"type": "string", "format": "binary"}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
