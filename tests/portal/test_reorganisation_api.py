"""Reorganising the tree over HTTP: as it was seen, with history, all of a file or nothing."""

from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from infra.installation import Installation
from infra.textfile import MAX_BYTES
from tests.portal.conftest import Api

FUPING = "/api/v1/bureaus/130624"
CSV = {"content-type": "text/csv"}
HEADER = "code,parent_code,level,name\n"


@pytest.fixture
def office(api: Api) -> TestClient:
    """An operator of the smart-city office."""
    return api("shenhe")


def send(
    client: TestClient, act: str, body: object = None, *, tag: str = '"r1"', code: str = "130624"
) -> Response:
    return client.post(f"/api/v1/bureaus/{code}/{act}", json=body, headers={"if-match": tag})


def test_a_rename_carries_the_revision_that_was_seen(office: TestClient) -> None:
    seen = office.get(FUPING).headers["etag"]
    missing = office.post(f"{FUPING}/renaming", json={"name": "阜平新县"})
    assert (missing.status_code, missing.json()["code"]) == (428, "revision_missing")
    malformed = send(office, "renaming", {"name": "阜平新县"}, tag="W/3")
    assert (malformed.status_code, malformed.json()["code"]) == (422, "revision_malformed")
    done = send(office, "renaming", {"name": "阜平新县"}, tag=seen)
    assert (done.status_code, done.json()["name"], done.headers["etag"]) == (200, "阜平新县", '"r2"')
    stale = send(office, "renaming", {"name": "阜平县"}, tag=seen)
    assert (stale.status_code, stale.json()["facts"]) == (412, {"seen": 1, "now": 2})


def test_history_and_the_tree_as_it_stood(office: TestClient) -> None:
    before = office.get("/api/v1/tree", params={"top": "130624", "limit": 1}).json()["items"]
    at = datetime.now(UTC)
    assert send(office, "renaming", {"name": "阜平新县"}).status_code == 200
    assert send(office, "recoding", {"code": "130699"}, tag='"r2"').json()["code"] == "130699"
    assert office.get(FUPING).status_code == 404
    versions = office.get("/api/v1/bureaus/130699/history").json()["items"]
    assert [(one["code"], one["name"], one["parent"]) for one in versions] == [
        ("130624", "阜平县", "1306"),
        ("130624", "阜平新县", "1306"),
        ("130699", "阜平新县", "1306"),
    ]
    assert versions[-1]["valid_to"] is None
    then = office.get("/api/v1/tree", params={"top": "130699", "at": at.isoformat(), "limit": 1}).json()
    assert then["items"] == before
    assert then["next"] == "130624"
    below = office.get(
        "/api/v1/tree", params={"top": "130699", "at": at.isoformat(), "cursor": "130624"}
    ).json()
    assert {one["parent"] for one in below["items"] if one["level"] == "township"} == {"130624"}
    long_ago = {"at": "1999-01-01T00:00:00+08:00"}
    assert office.get("/api/v1/tree", params=long_ago).json() == {"items": [], "next": None}


@pytest.mark.parametrize("at", ["2026-03-02T09:00:00", "yesterday", "0001-01-01T00:00:00+08:00", "1e99"])
def test_an_instant_needs_its_zone_and_a_year_that_is_one(office: TestClient, at: str) -> None:
    answer = office.get("/api/v1/tree", params={"at": at})
    assert answer.status_code == 422
    assert answer.json()["facts"]["places"][0]["where"] == "query.at"


def test_a_bureau_moves_with_all_below_it_and_never_below_itself(office: TestClient) -> None:
    town = office.get("/api/v1/bureaus", params={"parent": "130624", "level": "township"}).json()["items"][0]
    cycle = send(office, "move", {"parent": town["code"]})
    assert (cycle.status_code, cycle.json()["code"]) == (409, "move_cycle")
    moved = send(office, "move", {"parent": "130623"}, code=town["code"])
    assert (moved.status_code, moved.json()["parent"]) == (200, "130623")
    nowhere = send(office, "move", {"parent": "nowhere"}, tag='"r2"', code=town["code"])
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")


def test_a_bureau_that_holds_something_is_not_abolished_and_its_successor_takes_it_over(
    office: TestClient,
) -> None:
    kept = send(office, "abolition", code="1306-mzj")
    assert (kept.status_code, kept.json()["code"]) == (409, "still_holding")
    assert kept.json()["facts"]["held"] == {"1306-mzj": ["persons", "systems"]}
    merged = send(office, "merger", {"successor": "1306-rsj"}, code="1306-mzj")
    assert merged.status_code == 200
    assert merged.json()["abolished_at"] is not None
    assert office.get("/api/v1/systems/1306-mzj-s1").json()["bureau"] == "1306-rsj"
    owners = office.get("/api/v1/systems/1306-mzj-s1/owners").json()["items"]
    assert [one["bureau"] for one in owners] == ["1306-mzj", "1306-rsj"]
    again = send(office, "abolition", tag='"r2"', code="1306-mzj")
    assert (again.status_code, again.json()["code"]) == (409, "bureau_abolished")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("阜\u202e平", "bidi"),
        ("𠮷" * 256, "too_long"),
        ("安新县", "twin"),
    ],
)
def test_a_bad_name_is_named(office: TestClient, name: str, reason: str) -> None:
    answer = send(office, "renaming", {"name": name})
    assert (answer.status_code, answer.json()["facts"].get("reason")) == (409, reason)


def test_a_name_of_characters_beyond_the_basic_plane_is_kept_as_it_is(office: TestClient) -> None:
    assert send(office, "renaming", {"name": "𠮷" * 255}).json()["name"] == "𠮷" * 255


def upload(client: TestClient, text: str | bytes, **query: str) -> Response:
    raw = text.encode() if isinstance(text, str) else text
    return client.post("/api/v1/tree/import", params=query, content=raw, headers=CSV)


def test_a_file_in_gb18030_is_rehearsed_then_imported_then_nothing_new(office: TestClient) -> None:
    raw = (HEADER + "130624-jyj,130624,county,阜平县教育局\n").encode("gb18030")
    rehearsed = upload(office, raw, dry_run="true").json()
    assert (rehearsed["created"], rehearsed["is_rehearsal"], rehearsed["encoding"]) == (1, True, "gb18030")
    assert office.get("/api/v1/bureaus/130624-jyj").status_code == 404
    done = upload(office, raw, encoding="gbk")
    assert (done.status_code, done.json()["created"], done.json()["is_noop"]) == (200, 1, False)
    assert office.get("/api/v1/bureaus/130624-jyj").json()["name"] == "阜平县教育局"
    assert upload(office, raw).json()["is_noop"]


def test_faults_come_row_by_row_and_nothing_is_written(office: TestClient) -> None:
    rows = "130624-a,130624,county,甲局\n130624-a,130624,county,乙局\n130624-b,nowhere,county,丙局\n"
    answer = upload(office, HEADER + rows)
    assert (answer.status_code, answer.json()["code"]) == (422, "import_refused")
    told = [(one["row"], one["reason"]) for one in answer.json()["facts"]["problems"]]
    assert told == [(3, "duplicate_code"), (4, "unknown_parent")]
    assert office.get("/api/v1/bureaus/130624-a").status_code == 404


@pytest.mark.parametrize(
    ("raw", "query", "status", "code"),
    [
        (b"", {}, 422, "import_refused"),
        ("模".encode("gb18030"), {}, 422, "encoding_undecided"),
        (b"\xff\x80", {}, 422, "undecodable"),
        (b"a\0b", {}, 422, "nul_byte"),
        (b"x", {"encoding": "klingon"}, 422, "unknown_encoding"),
        (b"x" * (MAX_BYTES + 1), {}, 413, None),
    ],
    ids=["empty", "two readings", "no reading", "binary", "unknown encoding", "too large"],
)
def test_a_file_that_cannot_be_read_is_refused(
    office: TestClient, raw: bytes, query: dict[str, str], status: int, code: str | None
) -> None:
    answer = upload(office, raw, **query)
    assert answer.status_code == status
    assert code in (None, answer.json()["code"])


def test_absent_units_are_abolished_only_when_asked(office: TestClient, installation: Installation) -> None:
    file = HEADER + "130624-a,130624,county,甲局\n130624-b,130624,county,乙局\n"
    upload(office, file)
    without = HEADER + "130624,1306,county,阜平县\n130624-a,130624,county,甲局\n"
    assert upload(office, without).json()["is_noop"]
    refused = upload(office, without, abolish_missing="true")
    assert (refused.status_code, refused.json()["code"]) == (409, "still_holding")


def test_only_the_office_reorganises(api: Api) -> None:
    for login in ("fuping", "xitong", "shenji"):
        client = api(login)
        assert send(client, "renaming", {"name": "新名"}).json()["code"] == "forbidden"
        assert upload(client, HEADER).json()["code"] == "forbidden"
