"""Widens what a column may hold: a CHECK of listed values, on both engines; the rows stay where they are."""

from collections.abc import Sequence

from alembic import op
from sqlalchemy import text


def allow(table: str, column: str, values: Sequence[str]) -> None:
    """Let the column, whose CHECK is named after it, hold any of `values`.

    SQLite cannot alter a CHECK, and would have to copy the table, which the rows that refer to it forbid; so
    its text in the schema is replaced, as SQLite's own manual advises (lang_altertable).
    """
    name = f"ck_{table}_{column}"
    condition = f"{column} IN ({', '.join(repr(value) for value in values)})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(op.f(name), table, condition)
        return
    _rewrite(table, name, condition)


def replace(table: str, name: str, old: str, new: str) -> None:
    """Let the CHECK called `name` be the condition `new` instead of `old`, as `allow` does."""
    whole = f"ck_{table}_{name}"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(whole, table, type_="check")
        op.create_check_constraint(op.f(whole), table, new)
        return
    before, begin, after = _written(table).partition(f"CONSTRAINT {whole} CHECK ({old})")
    if not begin:
        raise RuntimeError(f"the table {table} has no CHECK {whole} of {old}")
    _write(table, f"{before}CONSTRAINT {whole} CHECK ({new}){after}")


def _rewrite(table: str, name: str, condition: str) -> None:
    before, begin, rest = _written(table).partition(f"CONSTRAINT {name} CHECK (")
    _, end, after = rest.partition("))")
    if not begin or not end:
        raise RuntimeError(f"the table {table} has no CHECK {name} of listed values")
    _write(table, f"{before}{begin}{condition}){after}")


def _written(table: str) -> str:
    query = text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :table")
    written: str = op.get_bind().execute(query, {"table": table}).scalar_one()
    return written


def _write(table: str, sql: str) -> None:
    connection = op.get_bind()
    version = connection.execute(text("PRAGMA schema_version")).scalar_one()
    update = text("UPDATE sqlite_schema SET sql = :sql WHERE type = 'table' AND name = :table")
    connection.execute(text("PRAGMA writable_schema = ON"))
    connection.execute(update, {"sql": sql, "table": table})
    connection.execute(text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(text("PRAGMA writable_schema = OFF"))
