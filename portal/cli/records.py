"""Commands on the records as a whole."""

from approval.service import load_items
from infra.database import transaction
from infra.installation import open_installation
from infra.settings import Settings
from portal.cli.local import bring_up
from portal.cli.speech import say

SAID = {
    "done": {"zh": "数据库已升级到当前版本", "en": "The records are now of this version"},
    "same": {"zh": "数据库已是当前版本", "en": "The records are of this version already"},
    "items": {"zh": "已加载 {count} 个审批事项", "en": "{count} items of the approval hall were loaded"},
}


def migrate() -> None:
    """Bring the schema and the hall's items up to this version; a second call changes nothing."""
    here = open_installation(Settings())
    outcome = "done" if bring_up(here) else "same"
    with transaction(here.engine) as session:
        loaded = load_items(session, at=here.clock.now())
    say(SAID[outcome])
    if loaded:
        say(SAID["items"], count=loaded)
