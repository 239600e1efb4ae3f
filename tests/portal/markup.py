"""What is wrong with a page as HTML: a strict reading, where browsers mend in silence, each its own way."""

from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
PHRASING_ONLY = {
    "p",
    "h1",
    "h2",
    "h3",
    "label",
    "button",
    "summary",
    "span",
    "strong",
    "small",
    "a",
    "legend",
}
"""Elements that hold words, not blocks; a browser ends a `p` before a block and drops what it was for."""
BLOCKS = {
    "article", "aside", "blockquote", "details", "div", "dl", "fieldset", "footer", "form", "h1", "h2", "h3",
    "header", "main", "nav", "ol", "p", "pre", "section", "table", "ul",
}  # fmt: skip
BLOCKS_HOLD_HEADINGS = {"summary", "legend"}
REFERENCES = ("for", "aria-describedby", "aria-labelledby")


class _Reading(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if len(given) < len(attrs):
            self._note(f"<{tag}> has an attribute twice")
        if tag in BLOCKS:
            for around in self._open:
                if around in PHRASING_ONLY and not (around in BLOCKS_HOLD_HEADINGS and tag in ("h2", "h3")):
                    self._note(f"<{tag}> inside <{around}>")
        if tag == "form" and "form" in self._open:
            self._note("a form inside a form")
        if "id" in given:
            self.ids.append(given["id"])
        for name in REFERENCES:
            self.named += given.get(name, "").split()
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self._note(f"</{tag}> while {self._open[-1:] or 'nothing'} is open")
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def read(self, page: str) -> list[str]:
        """Every fault of the page."""
        self.feed(page)
        self.close()
        if self._open:
            self._note(f"never closed: {self._open}")
        twice = {one for one in self.ids if self.ids.count(one) > 1}
        lost = set(self.named) - set(self.ids)
        self.faults += [f"the id {one} twice" for one in sorted(twice)]
        self.faults += [f"nothing has the id {one}" for one in sorted(lost)]
        return self.faults

    def _note(self, what: str) -> None:
        self.faults.append(f"line {self.getpos()[0]}: {what}")


def faults_of(page: str) -> list[str]:
    """What is wrong with the page: nesting, ids that stand twice, references to ids that are not there."""
    return _Reading().read(page)
