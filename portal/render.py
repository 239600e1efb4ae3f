"""Turns a template and its facts into a page in the reader's language."""

from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from infra.clock import CITY_ZONE
from portal.language import language_of

TEMPLATES = Path(__file__).parent / "templates"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
)
_environment.filters["city_time"] = lambda at: at.astimezone(CITY_ZONE).strftime("%Y-%m-%d %H:%M")


def render(request: Request, template: str, facts: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    """The page `template` with `facts`; in it `t(zh, en)` picks the reader's words."""
    language = language_of(request)

    def t(zh: str, en: str) -> str:
        return en if language == "en" else zh

    shared = {
        "t": t,
        "language": language,
        "actor": getattr(request.state, "actor", None),
        "path": request.url.path,
        "csrf": getattr(request.state, "csrf", ""),
        "sample": request.app.state.installation.settings.sample,
    }
    return HTMLResponse(_environment.get_template(template).render({**shared, **facts}), status)
