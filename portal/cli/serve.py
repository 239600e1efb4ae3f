"""`siji serve`: the portal of this installation; any number of them may run."""

import socket

from infra import jobs
from infra.installation import Installation
from portal.app import create_app
from portal.cli.binding import bind, listen, portal_address, serve_app
from portal.cli.local import open_local
from portal.cli.speech import say

SAID = {"serves": {"zh": "门户：{url}（Ctrl+C 结束）", "en": "Portal: {url} (end it with Ctrl+C)"}}


def serve() -> None:
    """Serve the portal at SIJI_PORTAL_HOST and SIJI_PORTAL_PORT until ended by Ctrl+C or SIGTERM."""
    here = open_local()
    bound = bind(portal_address(here.settings))
    jobs.join(here)
    serve_portal(here, bound)


def serve_portal(here: Installation, bound: list[socket.socket]) -> None:
    """Say where the portal is, and serve it on the sockets of `bind` until this process is told to end.

    Raises AddressUnusable.
    """
    address = portal_address(here.settings)
    listen(address, bound)
    say(SAID["serves"], url=address.url)
    serve_app(create_app(here), bound)
