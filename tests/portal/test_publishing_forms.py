"""Batches over HTTP in every form, packed and not: what is broken, too large or unclear stores nothing."""

import gzip
import io
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from backports import zstd
from fastapi.testclient import TestClient
from httpx2 import Response
from openpyxl import Workbook

from exchange.forms import ARRAY, CSV, LINES, XLSX
from infra.installation import Installation, open_installation
from infra.settings import Settings
from tests.portal.commands import Listening
from tests.portal.conftest import Api, portal_over
from tests.portal.sharing import CODE, DELIVERED, PLANTED, change_items, fail_once, share

BATCHES = f"/api/v1/datasets/{CODE}/batches"
ROWS = [
    ["$op", "身份号码", "name", "town"],
    ["", DELIVERED, "NA", "130602"],
    ["", PLANTED, "李大壮", "130624"],
]
TABLE = "\r\n".join(",".join(row) for row in ROWS).encode("gb18030")
RECORD = {"value": {"id": DELIVERED, "name": "王小明", "town": "130602"}}
MIB = 1024 * 1024


@pytest.fixture
def steward(api: Api, installation: Installation) -> TestClient:
    """The data steward of the provider."""
    share(installation)
    return api("shuju")


def publish(
    steward: TestClient, content: Any, kind: str, key: str = "k", packing: str = "", **query: str
) -> Response:
    headers = {"content-type": kind, "idempotency-key": key}
    if packing:
        headers["content-encoding"] = packing
    where = {"system": "1306-zhb-s1", **query}
    return steward.post(BATCHES, params=where, content=content, headers=headers)


def receipts(steward: TestClient) -> int:
    return len(steward.get(BATCHES).json()["items"])


def workbook(rows: list[list[Any]]) -> bytes:
    made = Workbook()
    for row in rows:
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize("form", [CSV, XLSX])
def test_a_table_is_published_and_its_bad_rows_are_told_by_row(
    steward: TestClient, form: str, packing: str
) -> None:
    content = TABLE if form == CSV else workbook(ROWS)
    packs: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "": bytes}
    packed = packs[packing](content)
    answer = publish(steward, packed, form, packing=packing)
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    assert (receipt["received"], receipt["upserts"], receipt["quarantined"]) == (2, 1, 1)
    again = publish(steward, content, form)
    assert (again.json(), again.headers["idempotency-replayed"]) == (receipt, "true")
    kept = steward.get(f"/api/v1/batches/{receipt['id']}/quarantine")
    [bad] = kept.json()["items"]
    assert (bad["place"], [one["item"] for one in bad["reasons"]]) == (3, ["id"])
    assert PLANTED not in kept.text
    [raw] = steward.get(f"/api/v1/batches/{receipt['id']}/quarantine/raw").json()["items"]
    assert json.loads(raw["raw"]) == {"id": PLANTED, "name": "李大壮", "town": "130624"}


def test_what_is_packed_badly_or_unknown_stores_nothing(steward: TestClient) -> None:
    before = receipts(steward)
    content = json.dumps([RECORD]).encode()
    for packing, pack in (("gzip", gzip.compress), ("zstd", zstd.compress)):
        whole = pack(content)
        for broken in (whole[:-4], whole + b"tail", content, b""):
            answer = publish(steward, broken, ARRAY, packing=packing)
            assert (answer.status_code, answer.json()["code"]) == (422, "packing_broken"), answer.text
    for packing in ("br", "gzip, gzip", "deflate"):
        answer = publish(steward, content, ARRAY, packing=packing)
        assert (answer.status_code, answer.json()["code"]) == (415, "packing_unknown")
        assert "gzip, zstd" in answer.json()["detail"]
    assert receipts(steward) == before


def test_bombs_are_refused_with_the_limit_and_what_came(
    steward: TestClient, installation: Installation
) -> None:
    before = receipts(steward)
    portal_over(
        open_installation(
            Settings(data_dir=installation.settings.data_dir, sample=True, batch_unpacked_mib=1)
        )
    )
    for packing, pack in (("gzip", gzip.compress), ("zstd", zstd.compress)):
        bomb = pack(b" " * (300 * MIB))
        answer = publish(steward, bomb, LINES, packing=packing)
        assert (answer.status_code, answer.json()["code"]) == (413, "unpacked_too_large")
        assert answer.json()["facts"] == {"limit": MIB, "came": len(bomb)}
    large = workbook([["id", "name"], *([str(number), "甲" * 100] for number in range(30_000))])
    assert len(large) < MIB
    answer = publish(steward, large, XLSX)
    assert (answer.status_code, answer.json()["facts"]["limit"]) == (413, MIB)
    assert receipts(steward) == before


def test_a_body_without_its_length_is_counted_as_it_comes(steward: TestClient) -> None:
    before, sent = receipts(steward), 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(80):
            sent += 1
            yield b" " * MIB

    answer = publish(steward, pieces(), LINES)
    assert (answer.status_code, receipts(steward)) == (413, before)
    assert str(64 * MIB) in answer.json()["detail"]


def test_a_body_that_is_cut_stores_nothing(
    steward: TestClient, installation: Installation, listening: tuple[Listening, str]
) -> None:
    served, url = listening
    served.portal = portal_over(installation)
    before = receipts(steward)
    line = json.dumps(RECORD).encode() + b"\n"
    headers = {
        "host": "x",
        "cookie": "; ".join(f"{name}={value}" for name, value in steward.cookies.items()),
        "x-csrf-token": steward.headers["x-csrf-token"],
        "content-type": LINES,
        "content-length": str(len(line) * 2),
        "idempotency-key": "cut",
    }
    head = f"POST {BATCHES}?system=1306-zhb-s1 HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    where = urlsplit(url)
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        connection.sendall(head.encode() + b"\r\n" + line)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(30)
        assert connection.recv(10_000).split(b" ")[1:2] in ([], [b"400"], [b"422"])
    assert receipts(steward) == before
    whole = publish(steward, line * 2, LINES, key="cut")
    assert (whole.status_code, whole.json()["received"]) == (201, 2)


@pytest.mark.parametrize(
    ("content", "kind", "query", "told"),
    [
        (b"name,town\n1,2\n", CSV, {}, "缺少必填的列"),
        ("id,模\n".encode("gb18030"), CSV, {}, "无法判断内容的编码"),
        ("id,name\n1,甲".encode() + b"\xff", CSV, {}, "字节（自 0 起）"),
        (TABLE, CSV, {"encoding": "utf-8"}, "不是有效的 utf-8 文本"),
        (TABLE, f"{CSV}; charset=klingon", {}, "klingon"),
        (b"$op,id\n?,1\n", CSV, {}, "第 2 行"),
        (workbook(ROWS), XLSX, {"sheet": "无"}, "没有这个工作表"),
        (b"PK\x03\x04", XLSX, {}, "不是有效的 XLSX"),
    ],
)
def test_what_is_unclear_is_refused_and_says_where(
    steward: TestClient, content: bytes, kind: str, query: dict[str, str], told: str
) -> None:
    before = receipts(steward)
    answer = publish(steward, content, kind, **query)
    assert answer.status_code == 422, answer.text
    assert told in answer.json()["detail"], answer.text
    assert "模" not in answer.text
    assert receipts(steward) == before


@pytest.mark.parametrize("form", [CSV, XLSX])
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_table_sent_again_is_read_under_the_items_it_was_claimed_with(
    steward: TestClient, installation: Installation, form: str, is_stored: bool
) -> None:
    content = TABLE if form == CSV else workbook(ROWS)
    if is_stored:
        assert publish(steward, content, form).status_code == 201
    else:
        fail_once(installation)
        assert publish(steward, content, form).status_code == 503
    change_items(installation)
    assert publish(steward, content, form, key="l").status_code == 422
    answer = publish(steward, content, form)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["version"], answer.json()["upserts"]) == (1, 1)
    assert ("idempotency-replayed" in answer.headers) == is_stored
