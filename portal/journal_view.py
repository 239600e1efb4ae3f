"""What the entries of the journal are about as people look at it: a kind in words, and a path to go on."""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from identity.queries import find_bureaus
from infra.journal import JournalEntry

Pair = tuple[str, str]

KINDS: dict[str, Pair] = {
    "allocation": ("配额占用", "allocation"),
    "batch": ("数据批次", "batch"),
    "bureau": ("单位", "bureau"),
    "calendar": ("工作日历", "work calendar"),
    "case": ("办件", "case"),
    "dataset": ("数据集", "dataset"),
    "finding": ("核对结果", "finding"),
    "grant": ("配额下达", "grant"),
    "item": ("事项", "item"),
    "journal": ("审计日志", "journal"),
    "login": ("登录名", "login"),
    "maintenance": ("主机维护", "maintenance of a host"),
    "people": ("人员名单", "list of people"),
    "person": ("人员", "person"),
    "region": ("区域", "region"),
    "removal": ("移除", "removal"),
    "request": ("资源申请", "request"),
    "server": ("云服务器", "server"),
    "subscription": ("共享申请", "subscription"),
    "system": ("信息系统", "information system"),
    "token": ("令牌", "token"),
    "tree": ("部门树", "tree of bureaus"),
}


@dataclass(frozen=True)
class SubjectShown:
    """`path` is the page of a bureau; whoever reads the journal opens none of the other pages (三员分立), so
    that all else leads to its own entries. `name` is that of a bureau.
    """

    words: Pair | None
    name: str
    path: str


def show_subjects(session: Session, entries: Iterable[JournalEntry]) -> dict[str, SubjectShown]:
    """What the entries are about, by subject."""
    parts = {entry.subject: entry.subject.partition(":") for entry in entries}
    ids = [int(number) for kind, _, number in parts.values() if kind == "bureau" and number.isdecimal()]
    bureaus = {f"bureau:{bureau_id}": bureau for bureau_id, bureau in find_bureaus(session, ids).items()}
    shown: dict[str, SubjectShown] = {}
    for subject, (kind, _, _) in parts.items():
        bureau = bureaus.get(subject)
        path = f"/journal?{urlencode({'subject': subject})}" if bureau is None else f"/bureaus/{bureau.code}"
        shown[subject] = SubjectShown(KINDS.get(kind), "" if bureau is None else bureau.name, path)
    return shown
