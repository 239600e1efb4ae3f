"""A new catalogue entry as its form brings it: the entry's own fields, and its items as rows."""

from exchange.models import SHARE_TYPES, UPDATE_MODES
from exchange.schema import MAX_ITEMS, SENSITIVITIES, TYPES, BadItems, Item, read_item
from exchange.service.catalogue import CODE, Entry
from portal.form import MISSING, Form
from portal.pages.mask_fields import typed_mask

NO_BUREAU = 0
FIRST_ROWS = ("1", "2", "3")
ROW_FIELDS = ("name", "label", "length", "required", "key", "head", "tail", "step")
BAD_CODE = (
    "代码由字母、数字和 . _ / - 组成，以字母或数字开头，不超过 64 个字符",
    "A code has at most 64 letters, digits and . _ / -, and begins with a letter or digit",
)
NAME_TWICE = ("与前面的信息项重名", "An item above has this name")
NO_ITEM = ("请至少填写一个信息项", "Give at least one item")
NO_KEY = ("请至少勾选一个主键信息项", "Tick at least one key item")
NEEDS_CONDITION = ("有条件共享须注明共享条件", "Conditional sharing needs its condition")
NEEDS_BASIS = ("不予共享须注明法律依据", "Not sharing needs its legal basis")


def blank_form() -> Form:
    """A form of which nothing is typed yet."""
    return Form.of(row=list(FIRST_ROWS), update_mode="incremental", share_type="conditional", partitions=1)


def with_rows_changed(form: Form, act: str) -> Form:
    """The form with one more row (`act` is 'add') or without one ('remove:3'); all that was typed stays."""
    rows = form.all_typed("row")
    if act == "add" and len(rows) < MAX_ITEMS:
        numbers = [int(row) for row in rows if row.isascii() and row.isdigit() and len(row) < 9]
        rows.append(str(max(numbers, default=0) + 1))
    gone = act.removeprefix("remove:") if act.startswith("remove:") else None
    return Form({**form.fields, "row": [row for row in rows if row != gone]})


def read_entry(form: Form) -> Entry:
    """The entry, of no bureau yet; what is wrong is noted in the form, beside its field."""
    code = form.text("code", longest=64)
    if code and not CODE.fullmatch(code):
        form.refuse("code", BAD_CODE)
    share_type = form.one_of("share_type", SHARE_TYPES)
    condition = form.text("share_condition", longest=2000, needed=False)
    basis = form.text("legal_basis", longest=2000, needed=False)
    if share_type == "conditional" and not condition:
        form.refuse("share_condition", NEEDS_CONDITION)
    if share_type == "none" and not basis:
        form.refuse("legal_basis", NEEDS_BASIS)
    items, key_items = _read_rows(form)
    return Entry(
        code=code,
        name=form.text("title", longest=255),
        bureau_id=NO_BUREAU,
        share_type=share_type,
        update_mode=form.one_of("update_mode", UPDATE_MODES),
        items=items,
        key_items=key_items,
        classification=form.text("classification", longest=255, needed=False),
        summary=form.text("summary", longest=4000, needed=False),
        data_format=form.text("data_format", longest=64, needed=False),
        share_condition=condition,
        legal_basis=basis,
        is_open=form.typed("is_open") == "1",
        update_cycle=form.text("update_cycle", longest=64, needed=False),
        published_on=form.day("published_on", needed=False),
        related_code=form.text("related_code", longest=64, needed=False),
        partitions=form.whole("partitions", least=1, most=1000) or 1,
    )


def _read_rows(form: Form) -> tuple[list[Item], list[str]]:
    items: list[Item] = []
    key_items: list[str] = []
    for row in form.all_typed("row"):
        if not any(form.typed(f"{field}.{row}").strip() for field in ROW_FIELDS):
            continue
        item = _read_row(form, row, taken={item.name for item in items})
        items.append(item)
        if form.typed(f"key.{row}"):
            key_items.append(item.name)
    if not items:
        form.refuse("items", NO_ITEM)
    elif not key_items:
        form.refuse("items", NO_KEY)
    return items, key_items


def _read_row(form: Form, row: str, *, taken: set[str]) -> Item:
    name = form.text(f"name.{row}", longest=64)
    if name in taken:
        form.refuse(f"name.{row}", NAME_TWICE)
    kind = form.one_of(f"type.{row}", tuple(TYPES))
    item = {
        "name": name,
        "label": form.text(f"label.{row}", longest=255, needed=False),
        "type": kind,
        "length": form.whole(f"length.{row}", least=1, needed=False),
        "sensitivity": form.one_of(f"sensitivity.{row}", SENSITIVITIES),
        "required": form.typed(f"required.{row}") == "1",
    }
    if not kind:
        form.refuse(f"type.{row}", MISSING)
        return Item(name, kind)
    if kind == "number" and form.typed(f"key.{row}"):
        form.refuse(f"key.{row}", ("小数不能作主键", "A fraction cannot be in the key"))
    mask = typed_mask(form, row, item_type=kind)
    if f"mask.{row}" in form.errors:
        return Item(name, kind)
    try:
        return read_item({**item, "mask": mask})
    except BadItems as error:
        form.refuse(f"name.{row}", (error.why_zh, error.why_en))
        return Item(name, kind)
