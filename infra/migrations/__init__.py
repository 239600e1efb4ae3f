"""The schema's history, as Alembic migrations that build an empty SQLite and an empty PostgreSQL alike."""
