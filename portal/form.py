"""A form that a browser sent: what was typed, what is wrong with it, and doing it once.

A page is rendered with the form that came back, so that nothing typed is lost; a fresh one is `Form()`.
"""

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from identity.actor import Actor
from identity.names import shown
from infra import idempotency
from infra.clock import CITY_ZONE
from infra.database import transaction
from infra.errors import Kind, SijiError
from infra.idempotency import Asked, KeyReused
from infra.installation import Installation
from portal.access import At, Here
from portal.errors import STATUS
from portal.numbers import LARGEST_AMOUNT

Pair = tuple[str, str]

CORRECTABLE = (Kind.invalid, Kind.conflict, Kind.stale, Kind.too_large)
"""Refusals that are shown on the form itself, since whoever sent it may mend it there and send it again."""
LONGEST_NUMBER = 20
FULL_WIDTH = {ord("\uff10") + n: str(n) for n in range(10)}
NOT_TYPED = ("csrf", "once")
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What no text in PostgreSQL may hold: NUL, and halves of surrogate pairs, which UTF-8 has no bytes for."""
TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Bidirectional controls: with them a text reads otherwise than it is."""

MISSING: Pair = ("请填写此项", "This is needed")
NOT_OFFERED: Pair = ("请从所列选项中选择", "Choose one of the options")
UNSEEN: Pair = ("含有不可见的控制字符，请重新输入", "It holds invisible control characters; type it anew")
NO_DAY: Pair = ("请填写有效日期，如 2026-12-31", "Give a valid date such as 2026-12-31")

NO_INSTANT: Pair = ("请填写有效时刻，如 2026-12-31 22:00", "Give a valid instant such as 2026-12-31 22:00")


class FormUsed(SijiError):
    """The same form came twice with different content."""

    kind = Kind.conflict
    code = "form_used"
    zh = "这张表单先前已经提交成功。本次内容与先前不同，尚未保存；如需另行提交一份，请再次提交"
    en = (
        "This form was sent and accepted before. What you sent now differs and was not saved; "
        "send it again to make another"
    )


class UnstorableField(SijiError):
    """A field that nobody can have typed: it is refused before anything asks the database for it."""

    code = "unstorable_field"
    zh = "表单项“{field}”中含有无法保存的字符（{mark}），请返回后重新填写"
    en = "The field {field} holds a character that cannot be stored ({mark}); go back and type it anew"


class Form:
    """Fields by name as typed, each once or many times, and what is wrong: beside a field or as a whole."""

    def __init__(self, fields: Mapping[str, Sequence[str]] | None = None) -> None:
        self.fields = {} if fields is None else fields
        self.errors: dict[str, Pair] = {}
        self.refusal: SijiError | None = None

    @classmethod
    def of(cls, **fields: object) -> "Form":
        """A form that shows what is there already; None is an empty field, a list one of many values."""
        shown = {
            name: [str(each) for each in value] if isinstance(value, list) else [str(value)]
            for name, value in fields.items()
            if value is not None
        }
        return cls(shown)

    @property
    def once(self) -> str:
        """A new key, by which what this form asks for is done once however often it is sent."""
        return secrets.token_urlsafe(16)

    @property
    def is_wrong(self) -> bool:
        """Whether something was found wrong with it."""
        return bool(self.errors) or self.refusal is not None

    @property
    def status(self) -> int:
        """The HTTP status of the page that shows it."""
        if self.refusal is not None:
            return int(STATUS[self.refusal.kind])
        return int(STATUS[Kind.invalid]) if self.errors else 200

    def typed(self, name: str, default: str = "") -> str:
        """The field as it was typed; `default` if the form has none such."""
        values = self.fields.get(name)
        return values[0] if values else default

    def all_typed(self, name: str) -> list[str]:
        """Every value of a field that stands in the form many times, in order."""
        return list(self.fields.get(name, ()))

    def refuse(self, name: str, why: Pair) -> None:
        """Note what is wrong with a field; the first fault of a field stands."""
        self.errors.setdefault(name, why)

    def text(self, name: str, *, longest: int, needed: bool = True) -> str:
        """A text without surrounding white space; its lines end in a line feed."""
        value = self.typed(name).replace("\r\n", "\n").strip()
        if needed and not value:
            self.refuse(name, MISSING)
        if len(value) > longest:
            self.refuse(
                name,
                (
                    f"最多 {longest} 字，现为 {len(value)} 字",
                    f"At most {longest} characters, not {len(value)}",
                ),
            )
        if any(_is_unseen(char) for char in value):
            self.refuse(name, UNSEEN)
        return value

    def whole(
        self, name: str, *, least: int = 0, most: int = LARGEST_AMOUNT, needed: bool = True
    ) -> int | None:
        """A whole number; full-width digits count. None if it is wrong, or empty and not needed."""
        value = self.typed(name).translate(FULL_WIDTH).strip()
        if not value:
            if needed:
                self.refuse(name, MISSING)
            return None
        is_digits = value.isascii() and value.isdigit() and len(value) <= LONGEST_NUMBER
        if not (is_digits and least <= int(value) <= most):
            self.refuse(
                name, (f"请填写 {least:,}–{most:,} 的整数", f"Give a whole number from {least:,} to {most:,}")
            )
            return None
        return int(value)

    def day(self, name: str, *, needed: bool = True) -> date | None:
        """A date of the city as YYYY-MM-DD. None if it is wrong, or empty and not needed."""
        value = self.typed(name).strip()
        if not value:
            if needed:
                self.refuse(name, MISSING)
            return None
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.refuse(name, NO_DAY)
            return None

    def instant(self, name: str) -> datetime | None:
        """A needed instant in the city's time as YYYY-MM-DDTHH:MM. None if it is wrong or empty."""
        value = self.typed(name).strip()
        if not value:
            self.refuse(name, MISSING)
            return None
        try:
            return datetime.strptime(value, "%Y-%m-%dT%H:%M").replace(tzinfo=CITY_ZONE).astimezone(UTC)
        except (ValueError, OverflowError):
            self.refuse(name, NO_INSTANT)
            return None

    def one_of(self, name: str, options: Collection[str], *, needed: bool = True) -> str:
        """One of `options`; empty if it is wrong, or empty and not needed."""
        value = self.typed(name)
        if value in options:
            return value
        if value or needed:
            self.refuse(name, NOT_OFFERED if value else MISSING)
        return ""


@dataclass(frozen=True)
class Sent:
    """A form with the request that brought it."""

    form: Form
    request: Request
    here: Installation
    at: datetime

    def once(self, actor: Actor, act: Callable[[Session], str]) -> str | None:
        """Do `act` in one transaction, once however often the form is sent; the path to go on to, as it says.

        None if it was refused and the form can be mended: the form tells why. Other refusals are raised.
        """
        try:
            with transaction(self.here.engine) as session:
                return self._once(session, actor, act)
        except SijiError as error:
            if error.kind not in CORRECTABLE:
                raise
            self.form.refusal = error
            return None

    def _once(self, session: Session, actor: Actor, act: Callable[[Session], str]) -> str:
        key = self.form.typed("once")
        if not (0 < len(key) <= 64):
            return act(session)
        call = f"{self.request.method} {self.request.url.path}"
        asked = Asked(actor.journal_id, f"form:{key}", call[:512], _digest(self.form.fields))
        try:
            known = idempotency.begin(session, asked, at=self.at)
        except KeyReused as error:
            raise FormUsed() from error
        if known is not None:
            return str(known.answer)
        path = act(session)
        idempotency.finish(session, asked, answer=path)
        return path


async def sent_form(request: Request, here: Here, at: At) -> Sent:
    """The form that came. Asynchronous as the body's reading is. Raises UnstorableField."""
    fields: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        text = value if isinstance(value, str) else ""
        if found := UNSTORABLE.search(name) or UNSTORABLE.search(text):
            raise UnstorableField(field=shown(name), mark=f"U+{ord(found[0]):04X}")
        fields.setdefault(name, []).append(text)
    return Sent(Form(fields), request, here, at)


SentForm = Annotated[Sent, Depends(sent_form)]


def _is_unseen(char: str) -> bool:
    is_control = unicodedata.category(char) == "Cc" and char not in "\n\t"
    return is_control or unicodedata.bidirectional(char) in TURNS


def _digest(fields: Mapping[str, Iterable[str]]) -> str:
    typed = [(name, list(values)) for name, values in fields.items() if name not in NOT_TYPED]
    return hashlib.sha256(repr(typed).encode("utf-8", "surrogatepass")).hexdigest()
