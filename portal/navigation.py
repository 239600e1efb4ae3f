"""What the portal's navigation offers to whom: only what a person's permissions allow somewhere."""

from dataclasses import dataclass

from identity.actor import Actor
from identity.roles import Permission
from identity.service.access import permissions_of
from portal.sight import CASE_SEERS

P = Permission


@dataclass(frozen=True)
class Entry:
    """A page of the navigation, for who holds any of `needs`; without any: whoever signed in.

    `covers` are other paths that belong to it.
    """

    path: str
    zh: str
    en: str
    needs: tuple[Permission, ...] = ()
    covers: tuple[str, ...] = ()

    def leads_to(self, path: str) -> bool:
        """Whether the page at `path` is this one or below it."""
        return any(
            path == one or (one != "/" and path.startswith(f"{one}/")) for one in (self.path, *self.covers)
        )


ENTRIES = (
    Entry("/", "总览", "Overview"),
    Entry("/inbox", "待办", "Inbox", CASE_SEERS, covers=("/notices", "/cases")),
    Entry("/requests", "资源申请", "Requests", (P.requests_see,)),
    Entry("/bureaus", "部门", "Bureaus", (P.bureaus_see,), covers=("/servers",)),
    Entry("/systems", "信息系统", "Systems", (P.systems_see,)),
    Entry("/maintenances", "主机维护", "Maintenance", (P.servers_see,)),
    Entry("/findings", "云上核对", "Cloud audit", (P.findings_see,)),
    Entry(
        "/catalogue",
        "资源目录",
        "Catalogue",
        (P.catalogue_see,),
        ("/datasets", "/ask", "/publish", "/receipts"),
    ),
    Entry("/subscriptions", "数据共享", "Sharing", (P.subscriptions_see,)),
    Entry("/report", "容量报表", "Report", (P.reports_see,)),
    Entry("/tokens", "令牌", "Tokens", (P.tokens_see,)),
    Entry("/people", "人员", "People", (P.people_see,)),
    Entry("/journal", "审计日志", "Journal", (P.journal_read,)),
)


def entries_for(actor: Actor) -> list[Entry]:
    """What the navigation shows to `actor`."""
    held = permissions_of(actor)
    return [entry for entry in ENTRIES if not entry.needs or not held.isdisjoint(entry.needs)]
