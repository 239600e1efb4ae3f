"""The Kafka that tests share: the checkout's own, started by whoever asks first, ended by the Makefile.

kafka-python 3.0.12 leaves a socket unclosed where it cannot connect or is closed while it connects: tests
that let this happen have the marks ABANDONS_SOCKETS.
"""

import gc
from collections.abc import Iterator

import pytest

from infra.lab.kafka import engine

ABANDONS_SOCKETS = [
    pytest.mark.filterwarnings(r"ignore:unclosed <(socket\.socket|ssl\.SSLSocket):ResourceWarning"),
    pytest.mark.usefixtures("sockets_collected"),
]


@pytest.fixture(scope="session")
def kafka() -> engine.Access:
    """How its administrator signs in. Other tests use it meanwhile: names of topics, users and groups are to
    be a test's own, and it is not to be killed.
    """
    engine.up()
    return engine.access()


@pytest.fixture
def sockets_collected() -> Iterator[None]:
    """What is left unclosed ends with the test that left it: no other one is told of it."""
    yield
    gc.collect()
