"""What holds of the style and the templates as they are written."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
STYLE = ROOT / "portal/static/siji.css"


def test_no_class_is_styled_in_two_places() -> None:
    everywhere, media, small = re.sub(r"/\*.*?\*/", "", STYLE.read_text(), flags=re.DOTALL).partition(
        "@media"
    )
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", everywhere) for part in rule.split(",")]
    twice = [one for one, count in Counter(selectors).items() if count > 1 and one.startswith(".")]
    assert twice == []
    assert re.sub(r"@media [^{]+\{([^{}]+\{[^{}]*\})+\s*\}", "", media + small).strip() == ""
