"""A city's exchange for benchmarks: a dataset of twelve items, a subscription, a token, and gateways.

The records lie on the lab's PostgreSQL and Kafka; a gateway is `siji serve` as a process of its own.
"""

import json
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from subprocess import Popen
from typing import Any
from uuid import uuid4

import httpx2
from pydantic import SecretStr
from stdnum.cn import ric, uscc

from approval.service import load_items
from bench.databases import own_database
from exchange.broker.connect import connect_broker
from exchange.schema import Item
from exchange.service.catalogue import Entry, create_dataset, make_topic
from exchange.service.subscriptions import request_subscription
from identity.actor import Actor
from identity.queries import get_system
from identity.service.people import find_person_by_login
from identity.service.tokens import issue_token
from infra.clock import city_date
from infra.database import transaction
from infra.installation import Installation, open_installation
from infra.lab.kafka import engine as kafka
from infra.settings import Settings
from portal.cli.run_engines import variables
from portal.sample.aside import Aside
from portal.sample.city import load_systems, load_tree
from portal.sample.people import load_people

SIJI = str(Path(sys.executable).with_name("siji"))
SYSTEM, LOGIN = "1306-mzj-s1", "minzheng"
ITEMS = (
    Item("id", "text", length=20),
    Item("name", "text", length=40),
    Item("idno", "resident_id", sensitivity="sensitive"),
    Item("employer", "uscc"),
    Item("division", "division_code"),
    Item("mobile", "mobile", sensitivity="personal"),
    Item("since", "date"),
    Item("at", "datetime"),
    Item("amount", "money"),
    Item("count", "integer"),
    Item("address", "text", length=200),
    Item("note", "text", length=200),
)
NAMES = tuple(item.name for item in ITEMS)
STARTS_WITHIN_S = 60


@dataclass(frozen=True)
class City:
    """The installation, and the token of the system that publishes and subscribes."""

    here: Installation
    token: str

    def catalogue(self, partitions: int) -> tuple[str, str, int]:
        """A dataset with its topic, and a subscription to all items as they are: code, topic, number."""
        at, code = self.here.clock.now(), f"bench/{uuid4().hex[:12]}"
        with transaction(self.here.engine) as session:
            person = find_person_by_login(session, login=LOGIN)
            system = get_system(session, code=SYSTEM)
            if person is None:
                raise RuntimeError(f"the sample city has no {LOGIN}")
            entry = Entry(
                code=code,
                name="参保信息",
                bureau_id=system.bureau_id,
                share_type="unconditional",
                update_mode="incremental",
                items=ITEMS,
                key_items=["id"],
                partitions=partitions,
            )
            dataset = create_dataset(session, entry, actor="bench", at=at)
            made = request_subscription(
                session,
                dataset_id=dataset.id,
                system_id=system.id,
                person_id=person.id,
                items=NAMES,
                purpose="核对",
                basis="依法",
                until_on=city_date(at) + timedelta(days=30),
                at=at,
            )
            dataset_id, topic, number = dataset.id, dataset.topic, made.id
        broker = connect_broker(self.here.settings)
        make_topic(self.here.engine, broker, dataset_id=dataset_id, at=at)
        broker.close()
        return code, topic, number


@contextmanager
def city() -> Iterator[City]:
    """The sample city without servers, in a database of its own that is dropped afterwards."""
    kafka.up()
    access = kafka.access()
    with own_database() as url, tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data_dir=Path(folder),
            database_url=url,
            exchange="kafka",
            kafka_bootstrap=access.bootstrap,
            kafka_ca_file=access.authority,
            kafka_user=access.user,
            kafka_password=SecretStr(access.password),
            sample=True,
        )
        here = open_installation(settings)
        aside, at = Aside(), here.clock.now()
        with transaction(here.engine) as session:
            load_items(session, at=at)
        load_tree(here.engine, at=at)
        load_systems(here.engine, at=at, aside=aside)
        load_people(here.engine, data_dir=settings.data_dir, at=at, aside=aside)
        yield City(here, _token(here))
        here.engine.dispose()


@contextmanager
def gateways(place: City, count: int) -> Iterator[list[str]]:
    """The addresses of so many portals that answer, each a process; they end with the block."""
    ports = [_free_port() for _ in range(count)]
    told = {"SIJI_DATA_DIR": str(place.here.settings.data_dir), **variables(place.here.settings)}
    processes = [
        Popen([SIJI, "serve"], env={**os.environ, **told, "SIJI_PORTAL_PORT": str(port)}) for port in ports
    ]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    try:
        for url in urls:
            _wait_for(url)
        yield urls
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def records(count: int, *, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Valid records of ITEMS, about 300 bytes each as JSON; nobody's: numbers are drawn."""
    drawn = random.Random(seed)
    for number in range(count):
        born = f"19{drawn.randrange(50, 99)}{drawn.randrange(1, 13):02d}{drawn.randrange(1, 29):02d}"
        idno = f"130602{born}{drawn.randrange(1000):03d}"
        firm = f"91130602{drawn.randrange(10**9):09d}"
        yield {
            "id": f"{seed:04d}-{number:010d}",
            "name": "张三丰",
            "idno": idno + ric.calc_check_digit(idno + "0"),
            "employer": firm + uscc.calc_check_digit(firm),
            "division": "130602",
            "mobile": f"138{drawn.randrange(10**8):08d}",
            "since": "2019-07-01",
            "at": "2026-03-02T09:00:00+08:00",
            "amount": f"{drawn.randrange(10**6)}.50",
            "count": drawn.randrange(400),
            "address": "竞秀区",
            "note": "x" * 35,
        }


def as_json(value: Any) -> bytes:
    """One record on a line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _token(here: Installation) -> str:
    at = here.clock.now()
    with transaction(here.engine) as session:
        system = get_system(session, code=SYSTEM)
        person = find_person_by_login(session, login=LOGIN)
        if person is None:
            raise RuntimeError(f"the sample city has no {LOGIN}")
        roles = (("bureau_admin", system.bureau_id),)
        return issue_token(
            session,
            actor=Actor("person", person.id, person.name, person.bureau_id, roles=roles),
            system_id=system.id,
            label="bench",
            scopes=["datasets:publish", "datasets:pull"],
            expires_on=city_date(at) + timedelta(days=30),
            at=at,
        ).text


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        port: int = found.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        with suppress(httpx2.TransportError):
            if httpx2.get(f"{url}/sign-in", trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nobody answers at {url}")
