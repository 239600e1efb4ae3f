"""The sample city's exchange part on either log: what one bureau publishes another receives, alike."""

from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from approval.service import load_items
from exchange.broker.connect import connect_broker
from infra.clock import Clock
from infra.database import transaction
from infra.installation import Installation
from infra.settings import Settings
from portal.sample.aside import Aside
from portal.sample.city import load_systems, load_tree
from portal.sample.people import load_people
from portal.sample.sharing import share_divisions, share_systems
from tests.brokers import kafka_access


@pytest.fixture(params=["embedded", "kafka"])
def city(
    request: pytest.FixtureRequest, database: Engine, tmp_path: Path, at: datetime
) -> tuple[Installation, Aside]:
    """The sample city up to its people; its settings name the log."""
    told = Settings(data_dir=tmp_path, sample=True)
    if request.param == "kafka":
        access = kafka_access()
        told = Settings(
            data_dir=tmp_path,
            sample=True,
            exchange="kafka",
            kafka_bootstrap=access.bootstrap,
            kafka_ca_file=access.ca_file,
            kafka_user=access.user,
            kafka_password=SecretStr(access.password),
        )
    here, aside = Installation(told, Clock(), database), Aside()
    with transaction(database) as session:
        load_items(session, at=at)
    load_tree(database, at=at)
    load_systems(database, at=at, aside=aside)
    load_people(database, data_dir=tmp_path, at=at, aside=aside)
    return here, aside


def test_what_is_published_is_received_and_a_second_run_repeats_nothing(
    city: tuple[Installation, Aside],
) -> None:
    here, aside = city
    broker = connect_broker(here.settings)
    try:
        shared = share_divisions(here, broker)
        share_systems(here, broker)
        assert (shared.published, shared.delivered) == (7_285, 7_285)
        assert shared.published_digest == shared.delivered_digest
        assert share_divisions(here, broker) == shared
    finally:
        broker.close()
    assert not aside
