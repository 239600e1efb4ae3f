"""Amounts in a row: one JSON document each, so that a new dimension needs no migration."""

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import CheckConstraint, Dialect, text
from sqlalchemy.types import TypeDecorator

from infra.database import NullableDocument
from provisioning.quota import Limits, Resources

A = TypeVar("A", bound=Limits | Resources)


class Amounts(TypeDecorator[A]):
    """`Resources` or `Limits` as a JSON object of their dimensions; SQL NULL for None."""

    impl = NullableDocument
    cache_ok = True

    def __init__(self, parse: Callable[[dict[str, Any]], A]) -> None:
        super().__init__()
        self.parse = parse

    def process_bind_param(self, value: A | None, dialect: Dialect) -> dict[str, Any] | None:
        """The document that is stored."""
        return None if value is None else dict(value.document())

    def process_result_value(self, value: dict[str, Any] | None, dialect: Dialect) -> A | None:
        """The value that was stored."""
        return None if value is None else self.parse(value)


AmountsOfResources: Amounts[Resources] = Amounts(Resources.parse)
AmountsOfLimits: Amounts[Limits] = Amounts(Limits.parse)

OPEN: dict[str, Any] = {
    "postgresql_where": text("valid_to IS NULL"),
    "sqlite_where": text("valid_to IS NULL"),
}


def one_of(column: str, values: tuple[str, ...]) -> CheckConstraint:
    """That the column holds one of them."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=column)
