"""What libraries may say in this process's log: set once, when the installation is opened."""

import logging

LEVELS = {
    "kafka": logging.CRITICAL,  # it tells of every try; what fails the exchange tells itself
}


def set_levels() -> None:
    """Quieten those that would drown the rest."""
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
