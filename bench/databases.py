"""A database for one benchmark on the lab's PostgreSQL."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import NullPool, create_engine, text

from infra.database import open_database
from infra.lab import postgres
from infra.migrations.run import upgrade


@contextmanager
def own_database() -> Iterator[str]:
    """The URL of a migrated, empty database, dropped afterwards."""
    postgres.up()
    name = f"siji_bench_{uuid.uuid4().hex[:12]}"
    url = postgres.make_database(name)
    try:
        engine = open_database(url)
        upgrade(engine)
        engine.dispose()
        yield url
    finally:
        maintenance = create_engine(postgres.address(), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with maintenance.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
