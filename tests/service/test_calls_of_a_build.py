"""What a build asks of its cloud, call by call (decision 18)."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from provisioning.cloud.simulated import SimulatedCloud
from provisioning.service.servers import provision_server
from tests.yard import LINE, REGION, Yard, make_yard

ONE = replace(LINE, count=1)
CALLS = ("create_server", "create_volume", "find_server", "find_volume", "attach_volume")


class Watched(SimulatedCloud):
    """Notes the calls about servers and volumes."""

    calls: list[str]

    def __getattribute__(self, name: str) -> Any:
        if name in CALLS:
            self.calls.append(name)
        return super().__getattribute__(name)


@pytest.fixture
def yard(database: Engine, tmp_path: Path, at: datetime) -> Yard:
    return make_yard(database, tmp_path, at=at)


@pytest.fixture
def cloud(yard: Yard) -> Watched:
    """The yard's, watched from now on."""
    cloud = Watched(yard.region.store, region=REGION, now=lambda: yard.at)
    cloud.calls = []
    yard.cloud = cloud
    return cloud


def visit_until_it_attaches(yard: Yard, cloud: Watched, asked: int) -> None:
    while "attach_volume" not in cloud.calls:
        provision_server(yard.engine, yard.cloud, server_id=yard.server(asked).id, now=lambda: yard.at)
        yard.later(seconds=1)


def test_a_server_with_a_volume_takes_six_calls(yard: Yard, cloud: Watched) -> None:
    asked = yard.ask(ONE)
    yard.work()
    assert yard.server(asked).state == "active"
    assert cloud.calls == [
        *("create_server", "create_volume"),
        *("find_server", "find_volume", "attach_volume"),
        "find_volume",
    ]


def test_a_volume_that_is_not_in_use_by_then_is_looked_at_with_its_server(yard: Yard, cloud: Watched) -> None:
    asked = yard.ask(ONE)
    visit_until_it_attaches(yard, cloud, asked)
    [volume] = cloud.list_volumes()
    cloud.detach_volume(volume.id)
    cloud.calls.clear()
    yard.work()
    assert yard.server(asked).state == "active"
    assert cloud.calls == ["find_volume", "find_server", "find_volume", "attach_volume", "find_volume"]
    yard.check()


def test_a_server_that_vanished_after_its_volume_was_attached_is_made_again(
    yard: Yard, cloud: Watched
) -> None:
    asked = yard.ask(ONE)
    visit_until_it_attaches(yard, cloud, asked)
    [server] = cloud.list_servers()
    cloud.delete_server(server.id)
    yard.work()
    assert yard.server(asked).state == "active"
    assert cloud.calls.count("create_server") == 2
    yard.check()
