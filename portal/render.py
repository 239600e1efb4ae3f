"""Turns a template and its facts into a page in the reader's language."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from infra.clock import CITY_ZONE
from portal.flash import COOKIE as FLASH_COOKIE
from portal.flash import take_said
from portal.labels import labelled
from portal.language import language_of
from portal.navigation import entries_for
from portal.whereabouts import whereabouts

TEMPLATES = Path(__file__).parent / "templates"

_environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


_environment.filters["city_time"] = lambda at: at.astimezone(CITY_ZONE).strftime("%Y-%m-%d %H:%M")
_environment.filters["city_day"] = lambda at: at.astimezone(CITY_ZONE).strftime("%Y-%m-%d")
_environment.filters["number"] = lambda amount: f"{amount:,}"
_environment.filters["query"] = urlencode
_environment.filters["labelled"] = labelled
_environment.filters["document"] = lambda value: json.dumps(value, ensure_ascii=False, indent=2)


def _capital(words: str) -> str:
    """`words` with a capital at the beginning; 'vCPU' has one further in, and stays."""
    return words if words[1:2].isupper() else words[:1].upper() + words[1:]


_environment.filters["capital"] = _capital


def render(request: Request, template: str, facts: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    """The page `template` with `facts`; in it `t(zh, en)` picks the reader's words."""
    language = language_of(request)

    def t(zh: str, en: str) -> str:
        return en if language == "en" else zh

    actor = getattr(request.state, "actor", None)
    said = take_said(request, language)
    shared = {
        "t": t,
        "language": language,
        "actor": actor,
        "navigation": [] if actor is None else entries_for(actor),
        "path": request.url.path,
        "whereabouts": whereabouts(request),
        "csrf": getattr(request.state, "csrf", ""),
        "said": said,
        "sample": request.app.state.installation.settings.sample,
    }
    page = HTMLResponse(_environment.get_template(template).render({**shared, **facts}), status)
    if said:
        page.delete_cookie(FLASH_COOKIE)
    return page
