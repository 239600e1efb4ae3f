"""The migrations build what the models say, on both engines."""

import importlib
import importlib.util

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from infra.database import Base
from infra.migrations.run import is_current, upgrade

MODELS = (
    "infra.journal",
    "infra.workdays",
    "infra.beat",
    "infra.idempotency",
    "identity.models",
    "approval.models",
    "provisioning.models",
    "exchange.models",
    "exchange.message_models",
    "exchange.relay_models",
    "exchange.recall_models",
)


@pytest.fixture(params=["database", "sqlite_database"])
def migrated(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def test_migrations_match_the_models(migrated: Engine) -> None:
    for module in MODELS:
        importlib.import_module(module)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        differences = compare_metadata(context, Base.metadata)
    assert differences == []


def test_a_second_upgrade_changes_nothing(migrated: Engine) -> None:
    assert is_current(migrated)
    upgrade(migrated)
    assert is_current(migrated)
