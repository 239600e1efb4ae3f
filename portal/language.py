"""Which language a person reads: the cookie decides, then the browser, then Chinese."""

from fastapi import Request

from infra.errors import Language

COOKIE = "siji_language"


def language_of(request: Request) -> Language:
    """'zh' or 'en'."""
    chosen = request.cookies.get(COOKIE)
    if chosen in ("zh", "en"):
        return "en" if chosen == "en" else "zh"
    accepted = request.headers.get("accept-language", "zh").lower()
    zh, en = accepted.find("zh"), accepted.find("en")
    return "en" if en >= 0 and (zh < 0 or en < zh) else "zh"
