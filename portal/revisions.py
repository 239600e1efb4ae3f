"""ETag and If-Match: what is edited or decided carries the revision that the caller saw."""

import re
from typing import Annotated

from fastapi import Depends, Header, Response

from infra.errors import Kind, SijiError

TAG = re.compile(r'"r([0-9]{1,18})"')


class RevisionMissing(SijiError):
    """A change without If-Match: whose change it would overwrite cannot be known."""

    kind = Kind.unconditional
    code = "revision_missing"
    zh = "缺少 If-Match 请求头：请带上读取该内容时得到的 ETag"
    en = "The header If-Match is missing: send the ETag that came with what you read"


class RevisionMalformed(SijiError):
    """An If-Match that is not an ETag of ours."""

    code = "revision_malformed"
    zh = 'If-Match 请求头无效：应为读取时得到的 ETag，形如 "r3"'
    en = 'The header If-Match is not an ETag that was given here, such as "r3"'


def tag(response: Response, revision: int) -> None:
    """Give what is answered its ETag."""
    response.headers["ETag"] = f'"r{revision}"'


def revision_seen(
    if_match: Annotated[
        str | None, Header(description='读取时得到的 ETag · the ETag of what you saw, e.g. "r3"')
    ] = None,
) -> int:
    """The revision that the caller saw. Raises RevisionMissing, RevisionMalformed."""
    if if_match is None:
        raise RevisionMissing()
    found = TAG.fullmatch(if_match.strip())
    if found is None:
        raise RevisionMalformed()
    return int(found.group(1))


Seen = Annotated[int, Depends(revision_seen)]
