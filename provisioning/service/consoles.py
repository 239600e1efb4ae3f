"""The screen of a server: who opens it is journalled before its address is asked for, which nobody keeps."""

from datetime import datetime

from sqlalchemy import Engine

from infra import journal
from infra.database import transaction
from provisioning.cloud.driver import Cloud
from provisioning.errors import ServerState
from provisioning.queries import get_server
from provisioning.wording import SERVER_STATES, state_facts

SHOWN = ("active", "rebooting", "resetting")
"""States in which a server has a screen: it runs, or comes up again."""


def open_console(engine: Engine, cloud: Cloud, *, server_id: int, at: datetime, actor: str) -> str:
    """Address of the server's screen for a browser. It holds a secret of some minutes: keep it not.

    The row of the journal is committed first, and no transaction is open while the cloud is asked. Raises
    NotFound, ServerState, `CloudFailure`.
    """
    with transaction(engine) as session:
        server = get_server(session, server_id, lock=True)
        if server.state not in SHOWN:
            raise ServerState(
                server=server.name,
                act_zh="打开控制台",
                act_en="open its console",
                **state_facts(SERVER_STATES, server.state),
            )
        journal.append(
            session,
            actor=actor,
            act="server.console",
            subject=f"server:{server.id}",
            bureau_id=server.bureau_id,
            at=at,
            after={"state": server.state, "cloud_id": server.cloud_id},
        )
        cloud_id = server.cloud_id or ""
    return cloud.console_url(cloud_id)
