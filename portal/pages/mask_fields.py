"""The fields that choose a mask in a form, read: `mask.3` with `head.3`, `tail.3`, `step.3`, `to.3`."""

from typing import Any

from exchange.masking import DATED, KINDS, BadMask, check_mask, read_mask
from portal.form import Form
from portal.numbers import LARGEST_COUNT

AS_CATALOGUED = ""
NO_MASK = "none"
COUNTS = ("head", "tail", "step")


def typed_mask(form: Form, row: str, *, item_type: str) -> dict[str, Any] | None:
    """The mask typed in `row` as a JSON document, None for none; what is wrong is noted at `mask.<row>`."""
    field = f"mask.{row}"
    kind = form.one_of(field, (*KINDS, NO_MASK, AS_CATALOGUED), needed=False)
    counts = {
        name: form.whole(f"{name}.{row}", most=LARGEST_COUNT, needed=False) for name in _counts_of(kind)
    }
    to = form.one_of(f"to.{row}", tuple(DATED), needed=False) if kind == "generalise" else ""
    if kind not in KINDS:
        return None
    document: dict[str, Any] = {"kind": kind, **{name: count for name, count in counts.items() if count}}
    if to:
        document["to"] = to
    try:
        check_mask(read_mask(document), item_type=item_type)
    except BadMask as error:
        form.refuse(field, (error.why_zh, error.why_en))
    return document


def shown_mask(row: str, document: dict[str, Any] | None) -> dict[str, str]:
    """The fields of `row` that show a mask that is there already."""
    if not document:
        return {}
    names = {"kind": "mask", **{name: name for name in (*COUNTS, "to")}}
    return {f"{names[name]}.{row}": str(value) for name, value in document.items()}


def _counts_of(kind: str) -> tuple[str, ...]:
    """Which numbers a kind of mask takes; others stay as typed and count for nothing."""
    if kind == "keep_ends":
        return ("head", "tail")
    return ("head", "step") if kind == "generalise" else ()
