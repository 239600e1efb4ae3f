"""The Kafka that tests share: the checkout's own, started by whoever asks first, ended by the Makefile."""

import pytest

from infra.lab.kafka import engine


@pytest.fixture(scope="session")
def kafka() -> engine.Access:
    """How its administrator signs in. Other tests use it meanwhile: names of topics, users and groups are to
    be a test's own, and it is not to be killed.
    """
    engine.up()
    return engine.access()
