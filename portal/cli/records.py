"""Commands on the records as a whole."""

from approval.service import load_items
from infra.database import transaction
from infra.migrations.run import is_current, upgrade
from portal.cli.local import open_local
from portal.cli.speech import say

SAID = {
    "done": {"zh": "数据库已升级到当前版本", "en": "The records are now of this version"},
    "same": {"zh": "数据库已是当前版本", "en": "The records are of this version already"},
    "items": {"zh": "已加载 {count} 个审批事项", "en": "{count} items of the approval hall were loaded"},
}


def migrate() -> None:
    """Bring the schema and the hall's items up to this version; a second call changes nothing."""
    here = open_local()
    outcome = "same" if is_current(here.engine) else "done"
    upgrade(here.engine)
    with transaction(here.engine) as session:
        loaded = load_items(session, at=here.clock.now())
    say(SAID[outcome])
    if loaded:
        say(SAID["items"], count=loaded)
