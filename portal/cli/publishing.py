"""Publishing a file over the portal: its parts one after the other, each with a key, so it is taken once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from infra.errors import Language, SijiError
from portal.cli.batch_file import BatchFile, Part
from portal.cli.remote import Portal, at


@dataclass(frozen=True)
class Target:
    """Where a file goes: the dataset, whose system's batch it is if a person publishes, which sheet of it."""

    dataset: str
    system: str | None
    sheet: str | None
    batch: int
    key: str | None = None


@dataclass(frozen=True)
class Taken:
    """The receipt of a part, and whether the portal had taken it before."""

    receipt: Any
    was_before: bool


class BrokenOff(SijiError):
    """A file failed, of `cause`, in a part behind those that were published; `taken` are theirs."""

    code = "broken_off"
    zh = (
        "此前 {count} 个部分已发布，回执 {receipts}，不会撤回。原文件再次发送即从此处继续；"
        "修正后的文件是新文件，将从头发布。"
    )
    en = (
        "The {count} parts before it are published and stay so, receipts {receipts}. The same file goes on "
        "here when it is sent again; a corrected one is another file and is published from its beginning."
    )

    def __init__(self, cause: SijiError, taken: Sequence[Taken]) -> None:
        self.cause, self.taken = cause, taken
        super().__init__(count=len(taken), receipts=", ".join(str(one.receipt["id"]) for one in taken))

    def message(self, language: Language) -> str:
        """Why it failed, and what is published."""
        return f"{self.cause.message(language)}\n{super().message(language)}"


def publish_file(
    portal: Portal, file: BatchFile, target: Target, *, told: Callable[[int], object] | None = None
) -> list[Taken]:
    """Send every part in order; `told` hears how many records have gone. What was taken before is answered
    as it was then.

    The first part's key is that of the whole file, so that a file which was sent in other parts is refused
    instead of being taken a second time. Raises Refused, PortalAway, and what reading the file raises;
    BrokenOff of these once a part is published.
    """
    all_taken: list[Taken] = []
    sent_records = 0
    try:
        for part in file.parts(target.batch):
            all_taken.append(_send(portal, file, part, target))
            sent_records += part.records or 0
            if told is not None:
                told(sent_records)
    except SijiError as error:
        if all_taken:
            raise BrokenOff(error, all_taken) from error
        raise
    return all_taken


def _send(portal: Portal, file: BatchFile, part: Part, target: Target) -> Taken:
    base = target.key or f"sha256:{file.digest}"
    sent = part.packed()
    receipt, was_before = portal.upload(
        at("datasets", target.dataset, "batches"),
        sent.content,
        content_type=sent.content_type,
        packing=sent.packing,
        key=base if part.number == 1 else f"{base}#{part.number}",
        system=target.system,
        sheet=target.sheet,
        part=None if part.is_whole else part.number,
    )
    return Taken(receipt, was_before)
