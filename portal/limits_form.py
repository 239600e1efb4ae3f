"""Limits as a form has them: for every dimension a whole number, or the word that it is unlimited."""

from portal.form import Form
from provisioning.quota import DIMENSIONS, Limits

BOTH = (
    "限额与“不限”只能选一项：请清空限额，或取消勾选“不限”",
    "Either a limit or unlimited: clear the number or untick “unlimited”",
)


def limits_fields(limits: Limits) -> dict[str, object]:
    """What the form of `read_limits` shows before anybody typed: `limit.vcpus`, `unlimited.vcpus`, …"""
    fields: dict[str, object] = {}
    for one in DIMENSIONS:
        bound = limits[one.key]
        if bound is None:
            fields[f"unlimited.{one.key}"] = "1"
        else:
            fields[f"limit.{one.key}"] = bound
    return fields


def read_limits(form: Form) -> Limits | None:
    """The limits that were typed; None if a field is wrong, which the form then tells."""
    typed: dict[str, int | None] = {}
    for one in DIMENSIONS:
        if form.typed(f"unlimited.{one.key}"):
            typed[one.key] = None
            if form.typed(f"limit.{one.key}").strip():
                form.refuse(f"limit.{one.key}", BOTH)
            continue
        amount = form.whole(f"limit.{one.key}")
        if amount is not None:
            typed[one.key] = amount
    return None if form.errors else Limits.parse(typed)
