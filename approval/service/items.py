"""Load the items that the product ships, or others, each version once."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from approval.data import shipped_items
from approval.errors import ItemChanged
from approval.flow import parse_steps
from approval.models import Item
from identity.actor import INSTALLATION
from infra.database import serialise
from infra.journal import append


def load_items(session: Session, *, at: datetime, items: Iterable[Mapping[str, Any]] | None = None) -> int:
    """Load the versions that are not there yet; returns how many. A second load is a no-op.

    Cases that run stay on their version; new ones take the newest. Raises ItemChanged if a version that is
    there has other content, ValueError if the steps contradict themselves.
    """
    serialise(session, "approval.items")
    loaded = 0
    for document in shipped_items() if items is None else items:
        content = dict(document)
        parse_steps(content["steps"])
        which = Item.code == content["code"], Item.version == content["version"]
        present = session.scalar(select(Item).where(*which))
        if present is None:
            session.add(Item(**content, loaded_at=at))
            append(
                session,
                actor=INSTALLATION.journal_id,
                act="item.loaded",
                subject=f"item:{content['code']}",
                bureau_id=None,
                at=at,
                after=content,
            )
            loaded += 1
        elif any(getattr(present, name) != value for name, value in content.items()):
            raise ItemChanged(item=present.code, version=present.version)
    session.flush()
    return loaded
