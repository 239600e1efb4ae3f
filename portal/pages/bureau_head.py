"""What all pages of one bureau show at their top: its name, the way to it, and its pages for this reader."""

from typing import Any

from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.models import Bureau
from identity.queries import list_ancestors
from identity.roles import Permission
from identity.service.access import may
from provisioning.queries import list_regions

LEVEL_NAMES = {
    "city": ("市级", "City-level"),
    "county": ("县级", "County-level"),
    "township": ("乡级", "Township-level"),
    "village": ("村级", "Village-level"),
}


def head_of(session: Session, actor: Actor, bureau: Bureau) -> dict[str, Any]:
    """`bureau`, `ancestors` from the root, `tabs` as (path, zh, en), and the `level_names`."""
    path = f"/bureaus/{bureau.code}"
    tabs = [(path, "概况", "Overview")]
    if may(session, actor, Permission.grants_see, bureau_id=bureau.id):
        regions = list_regions(session)
        several = len(regions) > 1
        tabs += [
            (f"{path}/grants/{one.name}", f"配额 · {one.name}", f"Quota · {one.name}")
            if several
            else (f"{path}/grants/{one.name}", "配额", "Quota")
            for one in regions
        ]
    if may(session, actor, Permission.servers_see, bureau_id=bureau.id):
        tabs.append((f"{path}/servers", "云服务器", "Servers"))
    tabs.append((f"{path}/history", "沿革", "History"))
    ancestors = list(reversed(list_ancestors(session, bureau_id=bureau.id)))
    return {"bureau": bureau, "ancestors": ancestors, "tabs": tabs, "level_names": LEVEL_NAMES}
