"""The portal as a program calls it, with a system's token."""

import gzip
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx2

from siji_client.errors import Unavailable, refusal
from siji_client.shapes import Delete, Page, Receipt, Record

PASSING = (429, 500, 502, 503, 504)
IN_PROGRESS = "batch_in_progress"
REPLAYED = "idempotency-replayed"
WORTH_PACKING = 16 * 1024

DRAWN = random.SystemRandom()

Value = Mapping[str, Any] | Delete


@dataclass(frozen=True)
class Tries:
    """How often a call is made, and how long the pauses between are: from `first_s`, doubled to `longest_s`.

    Each pause is drawn from its upper half, so that many clients do not come back at one moment.
    """

    most: int = 8
    first_s: float = 0.5
    longest_s: float = 30.0

    def pauses(self) -> Iterator[float]:
        """The pauses in order, in seconds."""
        for number in range(self.most - 1):
            whole = min(self.longest_s, self.first_s * 2**number)
            yield whole * DRAWN.uniform(0.5, 1.0)


class Client:
    """One portal at `url`, called with one token. Close it, or use it in a `with` block."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        language: Literal["zh", "en"] = "zh",
        timeout_s: float = 120.0,
        tries: Tries | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": language}
        self._tries = tries or Tries()
        self._http = httpx2.Client(base_url=f"{url.rstrip('/')}/api/v1", headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def publish(
        self,
        dataset: str,
        records: Iterable[Value],
        *,
        key: str,
        batch: int = 10_000,
        progress: Callable[[int], object] | None = None,
    ) -> list[Receipt]:
        """Publish the records in batches under `key`, `key#2` …, each stored once; `progress` hears how many
        have gone.

        Raises Refused (of which NotAllowed, KeyReused, TooLarge), Unavailable. The same call then goes on
        where it broke off.
        """
        coming, receipts, sent = iter(records), list[Receipt](), 0
        taken = list(islice(coming, batch))
        is_whole = True
        while taken or not receipts:
            following = list(islice(coming, batch))
            is_whole = is_whole and not following
            number = len(receipts) + 1
            part = None if is_whole else number
            receipts.append(self._send(dataset, taken, key if number == 1 else f"{key}#{number}", part))
            sent += len(taken)
            if progress is not None:
                progress(sent)
            taken = following
        return receipts

    def pull(
        self,
        subscription: int,
        *,
        cursor: str | None = None,
        limit: int = 1_000,
        items: Sequence[str] | None = None,
    ) -> Iterator[Page]:
        """Page after page from the cursor on, until there is nothing more. Without a cursor it goes on behind
        what was acknowledged, and begins at the beginning if nothing was.

        Raises Refused (of which NotAllowed), Unavailable.
        """
        while True:
            query: dict[str, Any] = {"limit": limit}
            if cursor is not None:
                query["cursor"] = cursor
            if items is not None:
                query["items"] = list(items)
            answer = self._call("GET", f"/subscriptions/{subscription}/records", params=query).json()
            page = Page.of(answer, records=[Record.of(one) for one in answer["records"]])
            is_at_end = not page.records and (page.complete or page.cursor == cursor)
            cursor = page.cursor
            if page.records:
                yield page
            if is_at_end:
                return

    def acknowledge(self, subscription: int, cursor: str) -> None:
        """Say that everything before the cursor of a page is stored here. It may be said twice, in any order.

        Raises Refused (of which NotAllowed), Unavailable.
        """
        self._call("POST", f"/subscriptions/{subscription}/acknowledgement", json={"cursor": cursor})

    def _send(self, dataset: str, taken: Sequence[Value], key: str, part: int | None) -> Receipt:
        body = b"".join(_line(one) for one in taken)
        headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
        if len(body) >= WORTH_PACKING:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        path = f"/datasets/{quote(dataset, safe='')}/batches"
        query = {} if part is None else {"part": part}
        answer = self._call("POST", path, params=query, headers=headers, content=body)
        return Receipt.of(answer.json(), was_before=REPLAYED in answer.headers)

    def _call(self, method: str, path: str, **how: Any) -> httpx2.Response:
        """The answer of a call that may be repeated. Raises Refused, Unavailable."""
        why = ""
        for pause in (*self._tries.pauses(), None):
            least = 0.0
            try:
                answer = self._http.request(method, path, **how)
            except httpx2.TransportError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return answer
                problem = _problem(answer)
                if answer.status_code not in PASSING and problem.get("code") != IN_PROGRESS:
                    raise refusal(answer.status_code, problem)
                why = f"{answer.status_code} {problem.get('detail', answer.reason_phrase)}"
                least = _retry_after(answer)
            if pause is not None:
                time.sleep(max(pause, least))
        raise Unavailable(why, tries=self._tries.most)


def _line(value: Value) -> bytes:
    said = {"op": "delete", "value": dict(value.key)} if isinstance(value, Delete) else {"value": dict(value)}
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _problem(answer: httpx2.Response) -> dict[str, Any]:
    """The problem document of a refusal; an empty one if something else than the portal answered."""
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _retry_after(answer: httpx2.Response) -> float:
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0
