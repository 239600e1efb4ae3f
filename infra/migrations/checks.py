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


def _rewrite(table: str, name: str, condition: str) -> None:
    connection = op.get_bind()
    query = text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :table")
    written: str = connection.execute(query, {"table": table}).scalar_one()
    before, begin, rest = written.partition(f"CONSTRAINT {name} CHECK (")
    _, end, after = rest.partition("))")
    if not begin or not end:
        raise RuntimeError(f"the table {table} has no CHECK {name} of listed values")
    version = connection.execute(text("PRAGMA schema_version")).scalar_one()
    update = text("UPDATE sqlite_schema SET sql = :sql WHERE type = 'table' AND name = :table")
    connection.execute(text("PRAGMA writable_schema = ON"))
    connection.execute(update, {"sql": f"{before}{begin}{condition}){after}", "table": table})
    connection.execute(text(f"PRAGMA schema_version = {version + 1}"))
    connection.execute(text("PRAGMA writable_schema = OFF"))
