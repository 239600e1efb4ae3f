"""What commands that act on this machine's own installation share: opening it, at this version."""

from infra.errors import Kind, SijiError
from infra.installation import Installation, open_installation
from infra.migrations.run import is_current, upgrade
from infra.settings import Settings
from portal.sample.people import KEPT_IN


class NotMigrated(SijiError):
    """The records' schema is not that of this version."""

    kind = Kind.unavailable
    code = "not_migrated"
    zh = "数据库不是当前版本：请先运行 siji migrate"
    en = "The records are not of this version: run siji migrate first"


def open_local(*, pool_size: int = 5) -> Installation:
    """The installation that the environment names, the sample city if its folder keeps the sample people.

    Raises NotMigrated, and makes nothing then.
    """
    settings = Settings()
    is_sample = settings.sample or (settings.data_dir / KEPT_IN).exists()
    here = open_installation(settings.model_copy(update={"sample": is_sample}), pool_size=pool_size)
    if not is_current(here.engine):
        raise NotMigrated()
    here.settings.data_dir.mkdir(parents=True, exist_ok=True)
    return here


def bring_up(here: Installation) -> bool:
    """Bring the records to this version; whether they were not. Makes nothing if they cannot be reached."""
    was_current = is_current(here.engine)
    here.settings.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(here.engine)
    return not was_current
