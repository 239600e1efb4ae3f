"""Alembic's entry: runs the steps on the connection that run.py hands over."""

from alembic import context
from sqlalchemy import text

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":
    connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('siji.migrations', 0))"))
context.configure(connection=connection, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
