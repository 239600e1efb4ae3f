"""The fixtures of tests/conftest.py keep what they promise to every other test."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import Engine, func, inspect, select, table, text

from infra.database import open_database
from infra.migrations.run import is_current
from infra.settings import Settings


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_the_database_is_migrated_empty_and_counts_from_one(database: Engine, turn: int) -> None:
    """Each turn leaves what the others must not see: a row, and a number spent by a failed transaction."""
    assert is_current(database)
    with database.begin() as connection:
        for name in set(inspect(connection).get_table_names()) - {"alembic_version"}:
            assert connection.execute(select(func.count()).select_from(table(name))).scalar() == 0, name
    insert = text("""
        INSERT INTO bureaus (code, name, level, is_territorial, revision)
        VALUES (:code, :code, 'city', true, 1) RETURNING id
    """)
    with database.connect() as connection:
        assert connection.execute(insert, {"code": f"{turn}-rolled-back"}).scalar() == 1
    if turn > 1:
        with database.begin() as connection:
            assert connection.execute(insert, {"code": str(turn)}).scalar() == 2


def test_a_fresh_database_is_nobody_elses(fresh_database: Callable[[], str], database: Engine) -> None:
    first, second = open_database(fresh_database()), open_database(fresh_database())
    assert is_current(first)
    assert is_current(second)
    assert len({engine.url.database for engine in (first, second, database)}) == 3
    first.dispose()
    second.dispose()


def test_sqlite_is_migrated_too(sqlite_database: Engine) -> None:
    assert sqlite_database.dialect.name == "sqlite"
    assert is_current(sqlite_database)


def test_settings_and_instant(request: pytest.FixtureRequest, settings: Settings, at: datetime) -> None:
    assert not settings.data_dir.exists()
    assert at.isoformat() == f"{request.config.getoption('today')}T01:00:00+00:00"
