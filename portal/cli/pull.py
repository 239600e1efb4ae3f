"""`siji pull`: the records of a subscription as NDJSON.

The cursor is kept, or acknowledged, only after the records before it are on the disk: a pull that was killed
repeats some, and loses none.
"""

import errno
import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from portal.cli.remote import at, open_portal
from portal.cli.speech import say

NOT_A_DISK = (None, errno.EINVAL, errno.ENOTSUP)
"""What a pipe, a terminal or a buffer says when asked to be on the disk."""

SAID = {
    "pulled": {"zh": "已拉取 {count} 条记录", "en": "{count} records pulled"},
}


def pull(
    subscription: Annotated[int, typer.Argument(min=1, help="共享申请编号 · the subscription's number")],
    out: Annotated[
        Path, typer.Option(dir_okay=False, help="写入文件，- 为标准输出 · -: standard output")
    ] = Path("-"),
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="每次取多少条 · records at a time")] = 1_000,
    item: Annotated[list[str] | None, typer.Option(help="只取此信息项，可重复 · these items only")] = None,
    cursor_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            help="游标文件：接着上次拉取，追加到输出文件 · go on from the last pull and append",
        ),
    ] = None,
    acknowledge: Annotated[
        bool,
        typer.Option(
            "--acknowledge",
            help="写妥即向平台确认，下次从确认处继续 · say what is received, and go on behind it",
        ),
    ] = False,
) -> None:
    """拉取数据 · Pull until nothing is left, a line a record; behind what was acknowledged before."""
    portal = open_portal()
    if acknowledge and cursor_file is not None:
        raise typer.BadParameter("不能与 --cursor-file 并用 · not together with --cursor-file")
    cursor = cursor_file.read_text().strip() if cursor_file is not None and cursor_file.exists() else None
    count = 0

    def read_on() -> Any:
        return portal.get(
            at("subscriptions", subscription, "records"), cursor=cursor, limit=limit, items=item or None
        )

    page = read_on()  # before the file is opened: a refusal leaves none, and what was in it stays
    with _open(out, going_on=acknowledge or cursor is not None) as sink:
        while True:
            _write(sink, page["records"])
            count += len(page["records"])
            is_at_end = not page["records"] and (page["complete"] or page["cursor"] == cursor)
            cursor = page["cursor"]
            if cursor_file is not None:
                _keep(cursor_file, page["cursor"])
            if acknowledge and (page["records"] or not page["complete"]):  # or all were filtered out
                told = at("subscriptions", subscription, "acknowledgement")
                portal.send("POST", told, {"cursor": page["cursor"]})
            if is_at_end:
                break
            page = read_on()
    say(SAID["pulled"], err=True, count=count)


def _open(out: Path, *, going_on: bool) -> AbstractContextManager[BinaryIO]:
    """The file to write to, behind its last whole line when a pull goes on."""
    if str(out) == "-":
        return nullcontext(sys.stdout.buffer)
    sink = out.open("r+b" if going_on and out.exists() else "w+b")
    sink.truncate(_end_of_last_line(sink))
    sink.seek(0, os.SEEK_END)
    return sink


def _end_of_last_line(file: BinaryIO) -> int:
    """Where the last whole line of the file ends: what a kill left of a line is pulled again."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 65_536)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write(sink: BinaryIO, records: list[dict[str, Any]]) -> None:
    """The records as lines, on the disk when this returns, if they go to one."""
    sink.writelines(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records)
    sink.flush()
    try:
        os.fsync(sink.fileno())
    except OSError as error:
        if error.errno not in NOT_A_DISK:
            raise


def _keep(file: Path, cursor: str) -> None:
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("w") as sink:
        sink.write(cursor)
        sink.flush()
        os.fsync(sink.fileno())
    fresh.replace(file)
