"""`siji publish` and `siji watch`: any file, in parts if it is large, once however often it is sent."""

import fcntl
import gzip
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from openpyxl import Workbook

from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset
from identity.queries import get_bureau
from infra.database import transaction
from infra.installation import Installation
from portal.cli import watch as watching
from portal.cli.publishing import publish_file
from tests.portal.commands import Siji
from tests.waiting import wait_until

CODE, FULL = "parts/000001", "parts/000002"
BY: dict[str, Any] = {"by": "shuju"}
SYSTEM = "--system 1306-zhb-s2"
ROWS = [f"{number:05},甲{number}" for number in range(1, 26)]


@pytest.fixture(autouse=True)
def datasets(installation: Installation) -> None:
    """One that takes changes and one that is replaced as a whole."""
    with transaction(installation.engine) as session:
        for code, mode in ((CODE, "incremental"), (FULL, "full")):
            entry = Entry(
                code=code,
                name="名单",
                bureau_id=get_bureau(session, code="1306-zhb").id,
                share_type="unconditional",
                update_mode=mode,
                items=[Item("id", "text", label="编号"), Item("name", "text", length=4, label="姓名")],
                key_items=["id"],
            )
            create_dataset(session, entry, actor="person:1", at=installation.clock.now())


def table(rows: list[str]) -> str:
    return "\r\n".join(["编号,姓名", *rows]) + "\r\n"


def workbook() -> bytes:
    made = Workbook()
    for row in [["id", "name"], ["1", "甲"], ["2", "乙"]]:
        made.active.append(row)
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


LINES = "".join(json.dumps({"value": {"id": str(number), "name": "甲"}}) + "\n" for number in range(2))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", table(ROWS[:2]).encode("gb18030")),
        ("a.CSV.gz", gzip.compress(table(ROWS[:2]).encode())),
        ("a.xlsx", workbook()),
        ("a.ndjson.zst", zstd.compress(LINES.encode())),
        ("a.json", f"[{','.join(LINES.splitlines())}]".encode()),
        ("a.json", LINES.encode()),
        ("a.txt", table(ROWS[:2]).encode()),
        ("-", zstd.compress(workbook())),
        ("-", LINES.encode("utf-16-le")),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_name_and_content(
    siji: Siji, tmp_path: Path, name: str, content: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    line = f"publish {CODE} {'-' if name == '-' else file} {SYSTEM}"
    if b"\0v\0" in content:
        line += " --encoding utf-16-le"
    first = siji.json(line, stdin=content, **BY)
    assert (first["received"], first["upserts"]) == (2, 2)
    again = siji(f"{line} --json", stdin=content, **BY)
    assert json.loads(again.stdout)["id"] == first["id"]
    assert "此前已接收" in again.stderr


def test_a_large_file_goes_in_parts_and_goes_on_where_it_broke_off(siji: Siji, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    rows = [*ROWS[:12], '"a\r\nb",乙', "", "00099,太长的名字", *ROWS[12:]]
    file.write_text(table(rows), newline="")
    line = f"publish {CODE} {file} {SYSTEM} --batch 10"
    shorter = tmp_path / "shorter.csv"
    receipts = siji.json(line, **BY)
    assert [one["received"] for one in receipts] == [10, 10, 7]
    assert [one["key"].partition("#")[2] for one in receipts] == ["", "2", "3"]
    [bad] = siji.json(f"quarantine list {receipts[1]['id']}", **BY)
    assert bad["place"] == 16
    again = siji(f"{line} --json", **BY)
    assert json.loads(again.stdout) == receipts
    assert "此前已接收" in again.stderr
    assert "27" in again.stderr
    whole = siji.refused(f"publish {CODE} {file} {SYSTEM}", **BY)
    assert "幂等键" in whole
    shorter.write_text(table(rows[:10]), newline="")
    assert siji.json(f"publish {CODE} {shorter} {SYSTEM} --batch 10", **BY)["received"] == 10


def test_lines_go_in_parts_and_a_full_replacement_does_not(siji: Siji, tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text("\n" + LINES + "\n" + LINES.replace('"0"', '"2"'))
    assert [one["upserts"] for one in siji.json(f"publish {CODE} {file} {SYSTEM} --batch 3", **BY)] == [3, 1]
    assert "不能分批" in siji.refused(f"publish {FULL} {file} {SYSTEM} --batch 3", **BY)
    assert siji.json(f"receipts list {FULL}", **BY) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", table([*ROWS, "1,2,3"]), "第 27 行"),
        ("a.csv", "$op,id,name\n" + ",1,a\n" * 25 + "?,1,a\n", "第 27 行"),
        ("a.ndjson", LINES * 12 + '{"value":{},"value":1}\n', "25"),
        ("a.ndjson", LINES * 12 + '{"op":"merge","value":{}}\n', "25"),
    ],
)
def test_no_part_is_published_of_a_file_that_is_broken_further_on(
    siji: Siji, tmp_path: Path, name: str, content: str, told: str
) -> None:
    file = tmp_path / name
    file.write_text(content, newline="")
    assert told in siji.refused(f"publish {CODE} {file} {SYSTEM} --batch 10", **BY)
    assert siji.json(f"receipts list {CODE}", **BY) == []


def test_what_is_published_of_a_file_that_fails_further_on_is_told(
    siji: Siji, tmp_path: Path, folder: Path
) -> None:
    rows = [",".join(("", row)) for row in ROWS]
    for file in (tmp_path / "a.csv", folder / "b.csv"):
        file.write_text("\n".join(["操作,id,name", *rows, f"{file.name},1,a"]))
    told = siji.refused(f"publish {CODE} {tmp_path / 'a.csv'} {SYSTEM} --batch 10", **BY)
    first = [one["id"] for one in siji.json(f"receipts list {CODE}", **BY)][::-1]
    assert len(first) == 2
    assert "第 27 行" in told
    assert f"回执 {first[0]}, {first[1]}" in told
    watched(siji, folder, "--batch", "10")
    receipts = siji.json(f"receipts list {CODE}", **BY)[:2][::-1]
    ids = ", ".join(str(one["id"]) for one in receipts)
    reason = (folder / "failed/b.csv.reason.txt").read_text()
    for said in ("第 27 行", "Row 27", f"回执 {ids}", f"receipts {ids}"):
        assert said in reason
    assert json.loads(reason[reason.index("[\n") :]) == receipts


def test_what_is_unclear_or_broken_is_told(siji: Siji, tmp_path: Path) -> None:
    for name, content, told in (
        ("a.csv", "id,name\n1,模\n".encode("gb18030"), "指明编码"),
        ("a.csv.gz", gzip.compress(b"id\n1\n")[:-2], "不完整"),
        ("a.csv", b'id\n"1\n', "第 2 行"),
        ("a.xlsx", b"id\n1\n", "XLSX"),
    ):
        file = tmp_path / name
        file.write_bytes(content)
        assert told in siji.refused(f"publish {CODE} {file} {SYSTEM}", **BY)
    assert siji.json(f"receipts list {CODE}", **BY) == []


def came(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "收件"
    made.mkdir()
    return made


def watched(siji: Siji, folder: Path, *more: str) -> str:
    words = ["watch", CODE, str(folder), *SYSTEM.split(), "--once", "--settle", "0.05", *more]
    return siji.did(words, **BY)


def test_files_go_to_done_with_their_receipt_or_to_failed_with_the_reason(siji: Siji, folder: Path) -> None:
    (folder / "good.csv").write_text(table(ROWS))
    (folder / "bad.csv").write_text('id,name\n1,"a\n')
    (folder / "empty.csv").touch()
    (folder / "coming.csv.part").write_text(table(ROWS))
    (folder / "~$good.xlsx").write_text("x")
    (folder / "wrong.csv").write_text("id,张三\n1,a\n")
    told = watched(siji, folder, "--batch", "10")
    assert "good.csv" in told
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {
        "done/good.csv",
        "done/good.csv.receipt.json",
        "failed/bad.csv",
        "failed/bad.csv.reason.txt",
        "failed/wrong.csv",
        "failed/wrong.csv.reason.txt",
        "empty.csv",
        "coming.csv.part",
        "~$good.xlsx",
    }
    receipts = json.loads((folder / "done/good.csv.receipt.json").read_text())
    assert [one["received"] for one in receipts] == [10, 10, 5]
    assert receipts == siji.json(f"receipts list {CODE}", **BY)[::-1]
    for name, zh, en in (("bad", "第 2 行", "Row 2"), ("wrong", "第 2（B） 列", "column 2 (B)")):
        reason = (folder / f"failed/{name}.csv.reason.txt").read_text()
        assert zh in reason
        assert en in reason
        assert "张三" not in reason


def test_a_content_that_comes_again_is_published_again(siji: Siji, folder: Path) -> None:
    for rows in (ROWS[:2], ROWS[2:4], ROWS[:2]):
        (folder / "daily.csv").write_bytes(table(rows).encode())
        watched(siji, folder)
    done = [path for path in (folder / "done").iterdir() if path.suffix == ".csv"]
    assert sorted(path.read_bytes() for path in done) == sorted(
        table(rows).encode() for rows in (ROWS[:2], ROWS[:2], ROWS[2:4])
    )
    kept = [json.loads(path.with_name(f"{path.name}.receipt.json").read_text())[0]["id"] for path in done]
    assert sorted(kept) == sorted(one["id"] for one in siji.json(f"receipts list {CODE}", **BY))


def test_a_file_that_was_published_already_is_said_to_be_so(siji: Siji, folder: Path) -> None:
    file, elsewhere = folder / "daily.csv", folder / ".daily.csv"
    file.write_text(table(ROWS))
    shutil.copy2(file, elsewhere)
    assert "此前已接收" not in watched(siji, folder)
    elsewhere.rename(file)  # as if it had been killed before it moved the file
    assert "此前已接收" in watched(siji, folder)
    [receipt] = siji.json(f"receipts list {CODE}", **BY)
    [again] = [
        told
        for path in (folder / "done").glob("daily-*.receipt.json")
        for told in json.loads(path.read_text())
    ]
    assert again == receipt | {"taken_before": True}


def test_a_file_that_is_written_on_is_not_put_away(
    siji: Siji, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "a.csv"
    file.write_text(table([]) + '1,"甲')

    def then_written_on(*args: Any, **named: Any) -> Any:
        monkeypatch.setattr(watching, "publish_file", publish_file)
        with file.open("a") as more:
            more.write('"\r\n')
        return publish_file(*args, **named)

    monkeypatch.setattr(watching, "publish_file", then_written_on)
    told = watched(siji, folder)
    assert "a.csv" in told
    assert not (folder / "failed").exists()
    [receipt] = json.loads((folder / "done/a.csv.receipt.json").read_text())
    assert (receipt["upserts"], receipt["quarantined"]) == (1, 0)


def test_a_file_that_another_watcher_has_is_left_to_it(siji: Siji, folder: Path) -> None:
    file = folder / "a.csv"
    file.write_text(table(ROWS))
    with file.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        watched(siji, folder)
        assert file.exists()
        assert siji.json(f"receipts list {CODE}", **BY) == []
    watched(siji, folder)
    assert not file.exists()


def test_what_is_no_files_fault_ends_the_watch_and_leaves_the_files(siji: Siji, folder: Path) -> None:
    (folder / "a.csv").write_text(table(ROWS))
    line = ["watch", CODE, str(folder), "--once", "--settle", "0.05"]
    assert "system" in siji.refused(line, **BY)
    assert "未找到" in siji.refused(["watch", "none/1", *line[2:], *SYSTEM.split()], **BY)
    assert "没有文件夹" in siji.refused(["watch", CODE, str(folder / "x"), *line[3:]], **BY)
    assert [path.name for path in folder.iterdir()] == ["a.csv"]


def test_watchers_killed_at_any_moment_lose_and_double_nothing(
    siji: Siji, folder: Path, tmp_path: Path
) -> None:
    """Two at a time on one folder, killed again and again while files come."""
    siji.did("whoami", **BY)
    env = {
        **os.environ,
        "HOME": str(tmp_path / "shuju"),
        "SIJI_PORTAL_URL": siji.url,
        "LC_ALL": "zh_CN.UTF-8",
    }
    words = ["watch", CODE, str(folder), *SYSTEM.split(), "--settle", "0.05", "--batch", "7"]
    command = [sys.executable, "-c", "from portal.cli.main import main; main()", *words]
    for round_ in range(4):
        for number in range(6):
            (folder / f"{round_}-{number}.csv").write_text(
                table([f"{round_}-{number}-{row}" for row in ROWS])
            )
        watchers = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for _ in range(2)]
        try:
            wait_until(partial(came, folder / "done", f"{round_}-*.csv"))
            time.sleep(0.07 * round_)
        finally:
            for watcher in watchers:
                watcher.send_signal(signal.SIGKILL)
                watcher.wait()
    watched(siji, folder, "--batch", "7")
    assert len([path for path in (folder / "done").iterdir() if path.suffix == ".csv"]) == 24
    assert not [path for path in folder.iterdir() if path.suffix == ".csv"]
    receipts = siji.json(f"receipts list {CODE}", **BY)
    assert len(receipts) == len({one["key"] for one in receipts}) == 24 * 4
    assert sum(one["received"] for one in receipts) == 24 * 25
