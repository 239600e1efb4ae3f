"""What every kind of test may ask for: settings, an instant, databases (databases.py). Rows: factories.py."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from infra.clock import CITY_ZONE
from infra.settings import Settings

# No test is timed, and an example found on one machine is not kept on another.
# `make check` tries fewer examples than `make test`.
hypothesis_settings.register_profile("siji", deadline=None, database=None, print_blob=True)
hypothesis_settings.register_profile("quick", hypothesis_settings.get_profile("siji"), max_examples=20)
hypothesis_settings.load_profile("siji")

WITHOUT_DATABASES = {Path(__file__).parent / kind for kind in ("unit", "architecture")}


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> None:
    """Load the fixtures of databases for the kinds of tests that need them: others start faster so."""
    if file_path.name.startswith("test_") and file_path.parent not in WITHOUT_DATABASES:
        parent.config.pluginmanager.import_plugin("tests.databases")


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
def at() -> datetime:
    """Monday 2 March 2026, 09:00 in the city: an ordinary work day."""
    return datetime(2026, 3, 2, 9, 0, tzinfo=CITY_ZONE).astimezone(UTC)
