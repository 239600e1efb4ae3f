"""Items of a dataset and the rules that its records are held to, by jsonschema-rs. Pure.

A reason names an item and what is wrong with it, in both languages; never a value, nor a name that the
catalogue does not know: such a name may be a value that slipped into a header.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from exchange.digest import LARGEST_INTEGER, canonical
from exchange.masking import BadMask, Mask, check_mask, read_mask

SENSITIVITIES = ("public", "internal", "personal", "sensitive")
PERSONAL = ("personal", "sensitive")
MAX_RECORD_BYTES = 900_000
MAX_KEY_BYTES = 4_096
"""The log holds a record beside its key, in a message of about 1,000,000 bytes (Kafka's default)."""
MAX_ITEMS = 500

RESIDENT_ID = re.compile(r"[1-9][0-9]{16}[0-9X]")
USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
DATETIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True)
class Item:
    """One item (信息项): `length` bounds a text in characters, None does not."""

    name: str
    type: str
    length: int | None = None
    sensitivity: str = "internal"
    required: bool = False
    mask: Mask | None = None
    label: str = ""

    def document(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "name": self.name,
            "type": self.type,
            "length": self.length,
            "sensitivity": self.sensitivity,
            "required": self.required,
            "mask": self.mask.document() if self.mask else None,
            "label": self.label,
        }


@dataclass(frozen=True)
class Reason:
    """Why a record is bad: `item` is None if it is the record as a whole."""

    code: str
    item: str | None
    zh: str
    en: str

    def document(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"code": self.code, "item": self.item, "zh": self.zh, "en": self.en}


class BadItems(ValueError):
    """Items that cannot make a dataset; says why in both languages."""

    def __init__(self, why_zh: str, why_en: str) -> None:
        super().__init__(why_en)
        self.why_zh, self.why_en = why_zh, why_en


def read_item(document: Mapping[str, Any]) -> Item:
    """The item of a JSON document (as `Item.document` writes it); BadItems if it is none."""
    try:
        mask = document.get("mask")
        item = Item(**{**document, "mask": read_mask(mask) if mask else None})
    except BadMask as error:
        raise BadItems(error.why_zh, error.why_en) from error
    except TypeError as error:
        raise BadItems("信息项的字段有误", "an item has fields that are missing or unknown") from error
    _check_item(item)
    return item


def check_items(items: Sequence[Item], key_items: Sequence[str]) -> None:
    """Refuse (BadItems) items that cannot make a dataset, or key items that are not among them."""
    names = [item.name for item in items]
    if not 1 <= len(items) <= MAX_ITEMS:
        raise BadItems(f"信息项应为 1 至 {MAX_ITEMS} 项", f"a dataset has 1 to {MAX_ITEMS} items")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadItems(f"信息项重名：{'、'.join(twice)}", f"items have the same name: {', '.join(twice)}")
    plain = [unicodedata.normalize("NFKC", name).casefold() for name in names]
    if twins := sorted({name for name, one in zip(names, plain, strict=True) if plain.count(one) > 1}):
        raise BadItems(
            f"信息项名称仅全半角或大小写不同，容易混淆：{'、'.join(twins)}",
            f"items have names that look alike: {', '.join(twins)}",
        )
    if not key_items or len(set(key_items)) != len(key_items) or (set(key_items) - set(names)):
        raise BadItems(
            "主键信息项应为已列信息项，且至少一项", "the key items are at least one, each once, of the items"
        )
    for item in items:
        _check_item(item)
        if item.name in key_items and item.type == "number":
            raise BadItems(
                f"“{item.name}”为小数，不能作主键", f"“{item.name}” is a fraction and cannot be in the key"
            )


def _check_item(item: Item) -> None:
    if not isinstance(item.name, str) or not re.fullmatch(r"[^\W\d]\w{0,63}", item.name):
        raise BadItems(
            "信息项名称应以文字或下划线开头，由文字、数字、下划线组成，不超过 64 个字符",
            "an item's name starts with a letter or _, has letters, digits and _ only, at most 64 characters",
        )
    if item.type not in TYPES:
        raise BadItems(f"“{item.name}”的类型未知", f"“{item.name}” has an unknown type")
    if item.sensitivity not in SENSITIVITIES:
        raise BadItems(f"“{item.name}”的敏感级别未知", f"“{item.name}” has an unknown sensitivity")
    if item.length is not None and (type(item.length) is not int or item.length < 1):
        raise BadItems(
            f"“{item.name}”的长度应为正整数", f"the length of “{item.name}” is a positive whole number"
        )
    if not isinstance(item.required, bool) or not isinstance(item.label, str):
        raise BadItems(f"“{item.name}”的字段有误", f"“{item.name}” has a field of the wrong kind")
    if item.mask:
        try:
            check_mask(item.mask, item_type=item.type)
        except BadMask as error:
            raise BadItems(error.why_zh, error.why_en) from error


def json_schema(items: Sequence[Item], key_items: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record; an item that is not required may also be null."""
    properties = {}
    for item in items:
        kind, facets, _zh, _en = TYPES[item.type]
        must = item.required or item.name in key_items
        rule: dict[str, Any] = {"type": kind if must else [kind, "null"], **facets}
        if item.length is not None and kind == "string":
            rule["maxLength"] = item.length
        if item.name in key_items and kind == "string":
            rule["minLength"] = 1
        properties[item.name] = rule
    required = [item.name for item in items if item.required or item.name in key_items]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


class RecordRules:
    """What records of one version of a dataset are held to; compiled once, used for many."""

    def __init__(self, items: Sequence[Item], key_items: Sequence[str]) -> None:
        self._items = {item.name: item for item in items}
        self._key_items = tuple(key_items)
        keys = [self._items[name] for name in key_items]
        self._whole = _compile(json_schema(items, key_items))
        self._key = _compile(json_schema(keys, key_items))

    def check(self, value: Any, *, encoded: bytes | None, delete: bool = False) -> list[Reason]:
        """Every reason, in the order of the items, why `value` is not acceptable; none if it is.

        `encoded` is its canonical JSON, None if it has none. A delete has the key items and nothing else.
        """
        if not isinstance(value, dict):
            return [Reason("not_an_object", None, "记录不是 JSON 对象", "the record is not a JSON object")]
        if unfit := self._unfit(value, encoded):
            return unfit
        validator = self._key if delete else self._whole
        if validator.is_valid(value):
            return self._key_reasons(value, encoded)
        reasons = {reason for error in validator.iter_errors(value) for reason in self._explain(error, value)}
        order = {name: place for place, name in enumerate(self._items)}
        return sorted(reasons, key=lambda r: (order.get(r.item or "", -1), r.code))

    def key(self, value: Mapping[str, Any]) -> bytes:
        """The record's key in the log: canonical JSON of its key items."""
        return canonical({name: value[name] for name in self._key_items})

    def _unfit(self, value: dict[Any, Any], encoded: bytes | None) -> list[Reason]:
        if encoded is None:
            return [
                self._not_canonical(name)
                for name, content in value.items()
                if not _is_canonical({name: content})
            ]
        if len(encoded) > MAX_RECORD_BYTES:
            zh = f"记录为 {len(encoded)} 字节，超过上限 {MAX_RECORD_BYTES} 字节"
            en = f"the record has {len(encoded)} bytes and may have {MAX_RECORD_BYTES}"
            return [Reason("too_large", None, zh, en)]
        return []

    def _key_reasons(self, value: dict[str, Any], encoded: bytes | None) -> list[Reason]:
        if (
            encoded is None
            or len(encoded) <= MAX_KEY_BYTES
            or (size := len(self.key(value))) <= MAX_KEY_BYTES
        ):
            return []  # a key is part of its record, and seldom needs to be measured
        zh = f"主键信息项共 {size} 字节，超过上限 {MAX_KEY_BYTES} 字节"
        en = f"the key items have {size} bytes and may have {MAX_KEY_BYTES}"
        return [Reason("key_too_large", None, zh, en)]

    def _not_canonical(self, name: Any) -> Reason:
        known = name in self._items
        zh, en = (f"“{name}”",) * 2 if known else ("目录之外的字段", "a field that is not in the catalogue")
        return Reason(
            "not_canonical",
            name if known else None,
            f"{zh}无法以规范 JSON（RFC 8785）表示："
            "整数须在 ±（2^53−1）以内，不得为 NaN 或无穷大，文字须为有效 Unicode",
            f"{en} has no canonical JSON (RFC 8785): "
            "whole numbers lie within ±(2^53−1), there is no NaN or infinity, and text is valid Unicode",
        )

    def _explain(self, error: jsonschema_rs.ValidationError, value: dict[str, Any]) -> list[Reason]:
        facts = error.kind.as_dict()
        if error.kind.name == "additionalProperties":
            return [
                Reason(
                    "unknown_item",
                    None,
                    f"记录的第 {place} 个字段不是本次操作可用的信息项",
                    f"field number {place} of the record is not an item that may be given here",
                )
                for place, name in enumerate(value, start=1)
                if name in facts["unexpected"]
            ]
        if error.kind.name == "required":
            name = str(facts["property"])
            return [
                Reason("missing", name, f"缺少必填信息项“{name}”", f"the required item “{name}” is missing")
            ]
        name = str(error.instance_path[0])
        item = self._items[name]
        if error.kind.name == "maxLength":
            return [
                Reason(
                    "too_long",
                    name,
                    f"“{name}”超过 {item.length} 个字符",
                    f"“{name}” has more than {item.length} characters",
                )
            ]
        if error.kind.name == "minLength":
            return [Reason("empty_key", name, f"主键信息项“{name}”为空", f"the key item “{name}” is empty")]
        _kind, _facets, zh, en = TYPES[item.type]
        code = "wrong_type" if error.kind.name == "type" else f"bad_{item.type}"
        return [Reason(code, name, f"“{name}”不是有效的{zh}", f"“{name}” is not {en}")]


def _is_resident_id(text: str) -> bool:
    """GB 11643: birth date and check digit. The place is not looked up: tables lag behind new districts."""
    if not RESIDENT_ID.fullmatch(text):
        return False
    try:
        ric.get_birth_date(text)
    except ValidationError:
        return False
    return bool(ric.calc_check_digit(text) == text[-1])


def _is_uscc(text: str) -> bool:
    return USCC.fullmatch(text) is not None and bool(uscc.is_valid(text))


def _is_datetime(text: str) -> bool:
    return DATETIME.fullmatch(text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "siji-resident-id": _is_resident_id,
    "siji-uscc": _is_uscc,
    "siji-datetime": _is_datetime,
}
# type: (JSON type, further rules, name in Chinese, name in English)
TYPES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "text": ("string", {}, "文本", "a text"),
    "integer": (
        "integer",
        {"minimum": -LARGEST_INTEGER, "maximum": LARGEST_INTEGER},
        "整数",
        "a whole number",
    ),
    "number": ("number", {}, "数值", "a number"),
    "boolean": ("boolean", {}, "布尔值", "true or false"),
    "date": (
        "string",
        {"format": "date", "pattern": "^[0-9]{4}-"},
        "日期（YYYY-MM-DD）",
        "a date (YYYY-MM-DD)",
    ),
    "datetime": (
        "string",
        {"allOf": [{"format": "date-time"}, {"format": "siji-datetime"}]},
        "日期时间（RFC 3339，含时区）",
        "a date and time (RFC 3339, with its zone)",
    ),
    "resident_id": (
        "string",
        {"format": "siji-resident-id"},
        "居民身份号码（GB 11643）",
        "a resident identity number (GB 11643)",
    ),
    "uscc": (
        "string",
        {"format": "siji-uscc"},
        "统一社会信用代码（GB 32100）",
        "a unified social credit code (GB 32100)",
    ),
    "division_code": (
        "string",
        {"pattern": "^[1-9][0-9](([0-9]{2}){1,2}|[0-9]{7}|[0-9]{10})?$"},
        "行政区划代码",
        "a division code",
    ),
    "mobile": ("string", {"pattern": "^1[3-9][0-9]{9}$"}, "手机号码", "a mobile number"),
    "money": (
        "string",
        {"pattern": "^-?(0|[1-9][0-9]{0,17})(\\.[0-9]{1,2})?$"},
        "金额（十进制字符串，至多两位小数）",
        "an amount of money (a decimal string with at most two decimals)",
    ),
}


def _compile(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(schema, formats=FORMATS, validate_formats=True)


def _is_canonical(value: Any) -> bool:
    try:
        canonical(value)
    except (ValueError, RecursionError):
        return False
    return True
