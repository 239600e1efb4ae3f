"""Forms as a browser has them: read off a page with what stands in them, filled in, and sent."""

from collections.abc import Mapping
from html.parser import HTMLParser

from fastapi.testclient import TestClient
from httpx2 import Response

from tests.portal.markup import faults_of

Fields = dict[str, list[str]]


class _Forms(HTMLParser):
    """The forms of a page in order: (action, fields that would be sent)."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, Fields]] = []
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((given.get("action", ""), {}))
        elif tag == "input" and "name" in given:
            is_tick = given.get("type") in ("checkbox", "radio")
            if not is_tick or "checked" in given:
                self._add(given["name"], given.get("value", "on" if is_tick else ""))
        elif tag == "textarea":
            self._area = given["name"]
            self._add(self._area, "")
        elif tag == "select":
            self._select = given["name"]
        elif tag == "option" and self._select is not None:
            fields = self._fields
            if "selected" in given or self._select not in fields:
                fields[self._select] = [given.get("value", "")]

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            values = self._fields[self._area]
            values[-1] = values[-1].removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._fields[self._area][-1] += data

    @property
    def _fields(self) -> Fields:
        return self.forms[-1][1]

    def _add(self, name: str, value: str) -> None:
        self._fields.setdefault(name, []).append(value)


def form_on(page: str, action: str) -> Fields:
    """What the page's form with that action would send as it stands."""
    reader = _Forms()
    reader.feed(page)
    found = [fields for its, fields in reader.forms if its == action]
    assert found, f"no form for {action} among {[its for its, _ in reader.forms]}"
    return found[0]


def send(
    browser: TestClient, page: str, action: str, typed: Mapping[str, str | None] | None = None
) -> Response:
    """Open the page at the path `page`, type (None: take out) into its form for `action`, and send it."""
    opened = browser.get(page)
    assert opened.status_code == 200, (page, opened.status_code)
    assert faults_of(opened.text) == [], page
    return fill(browser, opened.text, action, typed)


def fill(
    browser: TestClient, page: str, action: str, typed: Mapping[str, str | None] | None = None
) -> Response:
    """The same with the text of a page that is open already."""
    fields = form_on(page, action)
    for name, value in (typed or {}).items():
        fields.pop(name, None)
        if value is not None:
            fields[name] = [value]
    answer = browser.post(action, data=fields)
    assert faults_of(answer.text) == [], action
    return answer


def error_at(page: str, name: str) -> str:
    """What the page says beside the field; empty if nothing."""
    before, _, after = page.partition(f'id="{name}-error">')
    return after.partition("<")[0] if before != page else ""
