"""What holds of the style and the templates as they are written."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
STYLE = ROOT / "portal/static/siji.css"
TEMPLATES = ROOT / "portal/templates"
BLOCKS = ("details", "div", "dl", "fieldset", "form", "h[1-6]", "nav", "ol", "section", "table", "ul")
BLOCK_MACROS = (
    r"ui\.(?:button|sends|field|textarea|choice|radios|checkbox|table|facts|faults|empty|crumbs|tabs|pager)",
    r"ui\.shortfalls",
    r"told\.\w+",
    r"steps\.(?:timeline|earlier)",
    r"quota\.(?:bars|standing)",
    r"parts\.\w+",
)


def test_no_class_is_styled_in_two_places() -> None:
    everywhere, media, small = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL).partition(
        "@media"
    )
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", everywhere) for part in rule.split(",")]
    twice = [one for one, count in Counter(selectors).items() if count > 1 and one.startswith(".")]
    assert twice == []
    assert re.sub(r"@media [^{]+\{([^{}]+\{[^{}]*\})+\s*\}", "", media + small).strip() == ""


def test_no_paragraph_holds_a_block() -> None:
    macros = "|".join(BLOCK_MACROS)
    block = re.compile(rf"<p\b[^>]*>(?:(?!</p>).)*?(<(?:{'|'.join(BLOCKS)})\b|\b(?:{macros})\()", re.DOTALL)
    found = {
        template.name: [match.group(1) for match in block.finditer(template.read_text())]
        for template in TEMPLATES.glob("*.html")
    }
    assert {name: blocks for name, blocks in found.items() if blocks} == {}
