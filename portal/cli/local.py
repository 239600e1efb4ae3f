"""What commands that act on this machine's own installation share: opening it."""

from infra.installation import Installation, open_installation
from infra.settings import Settings


def open_local() -> Installation:
    """The installation that the environment names."""
    return open_installation(Settings())
