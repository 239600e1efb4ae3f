"""`siji watch`: publish the files that come into a folder, each once; inbound.py says how they are held."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from infra.errors import Language, SijiError
from portal.cli.batch_file import open_batch
from portal.cli.inbound import DONE, FAILED, REASON, RECEIPT, Mark, files_in, held, put_away
from portal.cli.publish import BATCH, Batch, DatasetCode, Encoding, OfSystem, Sheet
from portal.cli.publishing import BrokenOff, Taken, Target, publish_file
from portal.cli.remote import Portal, PortalAway, Refused, open_portal
from portal.cli.speech import language, say

LONGEST_PAUSE_S = 60.0
OF_THE_CALLER = (401, 403, 404)
"""What the portal answers where no file is at fault: the token, its rights, a dataset's or system's name."""
OF_THE_CALL = ("system_needed", "malformed", "not_provider", "dataset_ended")
PASSES = ("batch_in_progress",)
SAID = {
    "done": {
        "zh": "{file} 已发布：回执 {receipts}，收到 {received} 条，问题数据 {quarantined} 条",
        "en": "{file} is published: receipts {receipts}, {received} records, {quarantined} in quarantine",
    },
    "taken before": {
        "zh": "{file} 此前已接收，本次未再写入：回执 {receipts}，收到 {received} 条，"
        "问题数据 {quarantined} 条",
        "en": "{file} was taken before, nothing was written now: receipts {receipts}, {received} records, "
        "{quarantined} in quarantine",
    },
    "failed": {
        "zh": "{file} 未发布，已移至 failed：{why}",
        "en": "{file} was not published, see failed: {why}",
    },
    "broken off": {
        "zh": "{file} 仅部分发布，已移至 failed：{why}",
        "en": "{file} was published in part only, see failed: {why}",
    },
    "later": {"zh": "{file} 暂未发布，稍后再试：{why}", "en": "{file} is tried again later: {why}"},
    "changed": {
        "zh": "{file} 在读取时有改动，写完后再发布",
        "en": "{file} changed while it was read and is published again once it is complete",
    },
}


class NoFolder(SijiError):
    """The folder to be watched is not there."""

    code = "no_folder"
    zh = "没有文件夹 {folder}"
    en = "There is no folder {folder}"


class Outcome(Enum):
    """What became of a file in one visit of the folder."""

    settled = "settled"
    another_has_it = "another has it"
    later = "later"


def watch(
    dataset: DatasetCode,
    folder: Annotated[
        Path,
        typer.Argument(
            help="收件文件夹，结果移入其中的 done 和 failed · files go on to done and failed in it"
        ),
    ],
    system: OfSystem = None,
    encoding: Encoding = None,
    sheet: Sheet = None,
    batch: Batch = BATCH,
    settle: Annotated[
        float,
        typer.Option(
            min=0.05, max=3600, help="多少秒不变视为写完 · seconds unchanged that make a file complete"
        ),
    ] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="现有文件处理完即结束 · end when what is there is done")
    ] = False,
) -> None:
    """发布出现在文件夹中的文件 · Publish files as they come: the receipt in done, the reason in failed."""
    if not folder.is_dir():
        raise NoFolder(folder=str(folder))
    portal, target = open_portal(), Target(dataset, system, sheet, batch)
    seen: dict[Path, Mark] = {}
    pause = settle
    while True:
        present = files_in(folder)
        complete = {path: mark for path, mark in present.items() if seen.get(path) == mark}
        outcomes = [_visit(portal, path, mark, target, encoding) for path, mark in complete.items()]
        if once and not (present.keys() - complete.keys()) and Outcome.later not in outcomes:
            return
        seen = present
        pause = min(2 * pause, LONGEST_PAUSE_S) if Outcome.later in outcomes else settle
        time.sleep(pause)


def _visit(portal: Portal, path: Path, mark: Mark, target: Target, encoding: str | None) -> Outcome:
    """Publish the file and put it away. Raises what is wrong for whichever file it would be."""
    with held(path, mark) as source:
        if source is None:
            return Outcome.another_has_it
        try:
            taken = _send(portal, source, path, mark, target, encoding)
        except SijiError as error:
            if _is_of_the_caller(_cause(error)):
                raise
            other = (
                None
                if _passes(_cause(error))
                else _in_the_other_language(portal, source, path, mark, target, encoding, error)
            )
            if other is None:
                say(SAID["later"], err=True, file=path.name, why=error.message(language()))
                return Outcome.later
            reason = f"{error.message(language())}\n\n{other}\n"
            if isinstance(error, BrokenOff):
                reason += f"\n{_receipts(error.taken)}\n"
            if put_away(path, mark, FAILED, suffix=REASON, text=reason) is None:
                return _changed(path)
            said = SAID["broken off" if isinstance(error, BrokenOff) else "failed"]
            say(said, err=True, file=path.name, why=error.message(language()))
            return Outcome.settled
        receipts = [one.receipt for one in taken]
        if put_away(path, mark, DONE, suffix=RECEIPT, text=f"{_receipts(taken)}\n") is None:
            return _changed(path)
        counts = {name: sum(one[name] for one in receipts) for name in ("received", "quarantined")}
        said = SAID["taken before" if all(one.was_before for one in taken) else "done"]
        say(said, file=path.name, receipts=", ".join(str(one["id"]) for one in receipts), **counts)
        return Outcome.settled


def _receipts(taken: Sequence[Taken]) -> str:
    """As JSON; what had been taken before says so."""
    told = [one.receipt | ({"taken_before": True} if one.was_before else {}) for one in taken]
    return json.dumps(told, ensure_ascii=False, indent=2)


def _cause(error: SijiError) -> SijiError:
    return error.cause if isinstance(error, BrokenOff) else error


def _changed(path: Path) -> Outcome:
    say(SAID["changed"], err=True, file=path.name)
    return Outcome.later


def _send(
    portal: Portal, source: BinaryIO, path: Path, mark: Mark, target: Target, encoding: str | None
) -> list[Taken]:
    source.seek(0)
    with open_batch(source, name=path.name, encoding=encoding) as opened:
        return publish_file(portal, opened, replace(target, key=_key(opened.digest, path, mark)))


def _key(digest: str, path: Path, mark: Mark) -> str:
    """Of a file as it came: content, name and time. It is the same for whoever tries it again, and another
    when the same content comes again later, which then goes before what came between."""
    came = f"{digest} {mark[2]} ".encode() + os.fsencode(path.name)
    return f"watch:{hashlib.sha256(came).hexdigest()}"


def _in_the_other_language(
    portal: Portal,
    source: BinaryIO,
    path: Path,
    mark: Mark,
    target: Target,
    encoding: str | None,
    error: SijiError,
) -> str | None:
    """Why the file fails in the language that the command does not speak; None if it fails no longer.

    The portal words its refusals itself, so it is asked once more.
    """
    other: Language = "en" if language() == "zh" else "zh"
    if not isinstance(_cause(error), Refused):
        return error.message(other)
    try:
        _send(portal.speaking(other), source, path, mark, target, encoding)
    except (Refused, BrokenOff, PortalAway) as refusal:
        return None if _passes(_cause(refusal)) else refusal.message(other)
    return None


def _is_of_the_caller(error: SijiError) -> bool:
    return isinstance(error, Refused) and (error.status in OF_THE_CALLER or error.problem in OF_THE_CALL)


def _passes(error: SijiError) -> bool:
    if isinstance(error, Refused):
        return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.problem in PASSES
    return isinstance(error, PortalAway)
