"""`siji serve`: the portal of this installation; any number of them may run."""

import uvicorn

from infra import jobs
from infra.errors import Kind, SijiError
from infra.installation import Installation, open_installation
from infra.migrations.run import is_current
from infra.settings import Settings
from portal.app import create_app
from portal.cli.speech import say

SAID = {"serves": {"zh": "门户：{url}（Ctrl+C 结束）", "en": "Portal: {url} (end it with Ctrl+C)"}}


class NotMigrated(SijiError):
    """The records' schema is not that of this version."""

    kind = Kind.unavailable
    code = "not_migrated"
    zh = "数据库不是当前版本，门户未启动：请先运行 siji migrate"
    en = "The records are not of this version, so the portal was not started: run siji migrate first"


def serve() -> None:
    """Serve the portal at SIJI_PORTAL_HOST and SIJI_PORTAL_PORT until ended by Ctrl+C or SIGTERM."""
    here = open_installation(Settings())
    if not is_current(here.engine):
        raise NotMigrated()
    jobs.join(here)
    serve_portal(here)


def serve_portal(here: Installation) -> None:
    """Say where the portal is, and serve it until this process is told to end."""
    settings = here.settings
    say(SAID["serves"], url=f"http://{settings.portal_host}:{settings.portal_port}")
    uvicorn.run(create_app(here), host=settings.portal_host, port=settings.portal_port, log_level="warning")
