"""What a page says once about the act that led to it: POST, redirect, GET.

It travels in a cookie that is signed with the session's own form secret, so that nobody else can put words
into a page and nothing is kept on the server.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import cast

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from infra.errors import Language

COOKIE = "siji_said"
KEPT_FOR_S = 120
LONGEST = 300

Pair = tuple[str, str]


def onward(request: Request, path: str, said: Pair | None = None) -> Response:
    """Send the browser on to `path`, which then says `said`, in Chinese and in English, once."""
    answer = RedirectResponse(path, 303)
    if said is not None:
        text = json.dumps([words[:LONGEST] for words in said])
        body = urlsafe_b64encode(text.encode()).decode()
        answer.set_cookie(
            COOKIE,
            f"{body}.{_signature(request.state.csrf, body)}",
            max_age=KEPT_FOR_S,
            httponly=True,
            samesite="lax",
            secure=request.app.state.installation.settings.secure_cookies,
        )
    return answer


def take_said(request: Request, language: Language) -> str:
    """What is to be said on this page, or an empty text; what was not signed for this session is not."""
    body, _, signature = request.cookies.get(COOKIE, "").partition(".")
    secret = getattr(request.state, "csrf", "")
    if not (secret and hmac.compare_digest(signature.encode(), _signature(secret, body).encode())):
        return ""
    zh, en = cast(Pair, json.loads(urlsafe_b64decode(body)))
    return en if language == "en" else zh


def _signature(secret: str, body: str) -> str:
    return hmac.new(secret.encode(), body.encode(), "sha256").hexdigest()
