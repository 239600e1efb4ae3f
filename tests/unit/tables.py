"""A dataset with an item of each type, and valid records of it as tables can hold them."""

from datetime import date

from hypothesis import strategies as st

from exchange.digest import LARGEST_INTEGER
from exchange.schema import Item

ITEMS = (
    Item("id", "text", length=30, label="身份号码"),
    Item("name", "text", length=64, required=True, label="姓名"),
    Item("note", "text"),
    Item("count", "integer"),
    Item("ratio", "number"),
    Item("is_open", "boolean"),
    Item("born", "date"),
    Item("paid", "money"),
    Item("seen", "datetime"),
    Item("person", "resident_id"),
    Item("firm", "uscc"),
    Item("town", "division_code"),
    Item("phone", "mobile"),
    Item("one", "text", label="同"),
    Item("two", "text", label="同"),
)
KEYS = ("id",)
texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8
) | st.sampled_from(["130602199003070078", "000123", "NA", "null", "TRUE", "=1+1", ' "x" ', "a\r\nb"])
records = st.fixed_dictionaries(
    {"id": texts, "name": texts},
    optional={
        "note": texts,
        "count": st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
        "ratio": st.floats(allow_nan=False, allow_infinity=False)
        | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
        "is_open": st.booleans(),
        "born": st.dates(date(1, 1, 1)).map(date.isoformat),
        "paid": st.decimals(-(10**9), 10**9, places=2).map(str),
        "seen": st.just("2026-03-02T09:00:00+08:00"),
        "person": st.just("130602199003070078"),
        "firm": st.just("91110000600037341L"),
        "town": st.sampled_from(["130624", "130624101"]),
        "phone": st.just("13812345678"),
    },
)
