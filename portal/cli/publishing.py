"""Publishing a file over the portal: its parts one after the other, each with a key, so it is taken once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portal.cli.batch_file import BatchFile
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


def publish_file(
    portal: Portal, file: BatchFile, target: Target, *, told: Callable[[int], object] | None = None
) -> list[Taken]:
    """Send every part in order; `told` hears how many records have gone. What was taken before is answered
    as it was then.

    The first part's key is that of the whole file, so that a file which was sent in other parts is refused
    instead of being taken a second time. Raises Refused, PortalAway, and what reading the file raises.
    """
    base = target.key or f"sha256:{file.digest}"
    all_taken: list[Taken] = []
    sent_records = 0
    for part in file.parts(target.batch):
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
        all_taken.append(Taken(receipt, was_before))
        sent_records += part.records or 0
        if told is not None:
            told(sent_records)
    return all_taken
