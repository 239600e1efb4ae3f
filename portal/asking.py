"""Who may ask for what: removals are the office's to ask for too, all else a bureau's alone."""

from identity.roles import Permission
from portal.needs import Asker

ASKERS = (Permission.requests_submit, Permission.findings_settle)


def who_asks(asker: Asker, kind: str) -> Asker:
    """The caller as one who asks for that kind; `asker` was let in by one of `ASKERS`."""
    return asker if kind == "removal" else asker.only(Permission.requests_submit)
