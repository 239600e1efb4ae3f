"""The fields that say which records are shown, read: `filter_item.0`, `filter_operator.0`, `filter_values.0`.

A row is empty without an item. Values stand one on a line.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from exchange.filtering import MAX_CHARACTERS, MAX_FILTERS, MAX_VALUES, OPERATORS, BadFilter, declare
from exchange.schema import Item
from portal.form import MISSING, Form

SPARE_ROWS = 2


def typed_filters(form: Form, items: Mapping[str, Item], key_items: Collection[str]) -> list[dict[str, Any]]:
    """The filters typed, as JSON documents; what is wrong is noted beside its field."""
    found = []
    for row in range(MAX_FILTERS):
        item = form.typed(f"filter_item.{row}")
        if not item:
            if form.typed(f"filter_values.{row}").strip():
                form.refuse(f"filter_item.{row}", MISSING)
            continue
        operator = form.one_of(f"filter_operator.{row}", OPERATORS)
        text = form.text(f"filter_values.{row}", longest=MAX_VALUES * (MAX_CHARACTERS + 1), needed=False)
        values = [line.strip() for line in text.split("\n") if line.strip()]
        document = {"item": item, "operator": operator, "values": values}
        try:
            if operator:
                declare([document], items=items, key_items=key_items, before_grant=True)
        except BadFilter as error:
            form.refuse(f"filter_values.{row}", (error.why_zh, error.why_en))
        found.append(document)
    return found


def shown_filters(filters: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The fields that show filters that are there already."""
    fields = {}
    for row, one in enumerate(filters):
        fields[f"filter_item.{row}"] = one["item"]
        fields[f"filter_operator.{row}"] = one["operator"]
        fields[f"filter_values.{row}"] = "\n".join(map(_shown, one["values"]))
    return fields


def filter_rows(form: Form) -> range:
    """The rows to show: those that are filled in, and some to fill in."""
    filled = [row for row in range(MAX_FILTERS) if form.typed(f"filter_item.{row}")]
    return range(min(MAX_FILTERS, max(filled, default=-1) + 1 + SPARE_ROWS))


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
