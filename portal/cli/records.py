"""Commands on the records as a whole."""

import typer

from infra.migrations.run import is_current, upgrade
from portal.cli.local import open_local
from portal.cli.speech import language

SAID = {
    "done": {"zh": "数据库已升级到当前版本", "en": "The records are now of this version"},
    "same": {"zh": "数据库已是当前版本", "en": "The records are of this version already"},
}


def migrate() -> None:
    """Bring the records' schema up to this version; a second call changes nothing."""
    engine = open_local().engine
    outcome = "same" if is_current(engine) else "done"
    upgrade(engine)
    typer.echo(SAID[outcome][language()])
