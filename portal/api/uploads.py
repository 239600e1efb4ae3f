"""Files that are sent as the body of a call, as they are."""

from typing import Annotated, Any

from fastapi import Depends, Query, Request


async def sent(request: Request) -> bytes:
    """The body as it came. Async, as reading it is."""
    return await request.body()


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
