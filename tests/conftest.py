"""What every kind of test may ask for: settings, an instant, databases (databases.py), Kafka
(shared_kafka.py). Rows: factories.py.
"""

import os
from datetime import UTC, date, datetime, time
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from infra.clock import CITY_ZONE
from infra.settings import Settings

# No test is timed, and an example found on one machine is not kept on another.
# `make check` tries fewer examples than `make test`.
hypothesis_settings.register_profile("siji", deadline=None, database=None, print_blob=True)
hypothesis_settings.register_profile("quick", hypothesis_settings.get_profile("siji"), max_examples=20)
hypothesis_settings.load_profile("siji")

AN_ORDINARY_DAY = date(2026, 3, 2)
"""A Monday that is a work day, with work days before and behind it."""
WITHOUT_DATABASES = {Path(__file__).parent / kind for kind in ("unit", "architecture")}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--today=2026-12-31` moves the tests' instant: what they prove holds on any day."""
    parser.addoption("--today", type=date.fromisoformat, default=AN_ORDINARY_DAY, help="the day of `at`")


class FileByFile(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """A file's tests stay in one process, and so do all that want the lab's OpenStack, of whichever file:
    else processes would wait for each other's turn with it.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "openstack" if "[openstack" in nodeid else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    """How `-n` deals the tests out."""
    return FileByFile(config, log)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Load the fixtures of databases and Kafka where tests need them: the others start faster so."""
    if file_path.name.startswith("test_") and file_path.parent not in WITHOUT_DATABASES:
        parent.config.pluginmanager.import_plugin("tests.databases")
        parent.config.pluginmanager.import_plugin("tests.shared_kafka")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own SIJI_ variables do not change what a test sees."""
    for name in list(os.environ):
        if name.startswith("SIJI_"):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The defaults, with a data folder of the test's own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def at(request: pytest.FixtureRequest) -> datetime:
    """09:00 in the city, on the day of `--today`: Monday 2 March 2026 if nothing is said."""
    today: date = request.config.getoption("--today")
    return datetime.combine(today, time(9), tzinfo=CITY_ZONE).astimezone(UTC)
