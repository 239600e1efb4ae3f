"""The portal as commands call it: over its REST API, with a token or with the session of `siji sign-in`."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import typer

from infra.errors import Kind, SijiError
from infra.settings import Settings
from portal.access import COOKIE
from portal.cli.local import language

WAIT_S = 60.0
API = "/api/v1"


class PortalAway(SijiError):
    """No portal answers at the address."""

    kind = Kind.unavailable
    code = "portal_away"
    zh = "无法连接门户 {url}:{why};请确认门户已启动,或用 SIJI_PORTAL_URL 指定地址"
    en = "No portal answers at {url}: {why}; start it, or name another with SIJI_PORTAL_URL"


class NotSignedInHere(SijiError):
    """Neither a token nor a session is at hand."""

    kind = Kind.unauthenticated
    code = "not_signed_in_here"
    zh = "尚未登录 {url}:请运行 siji sign-in,或用 SIJI_TOKEN 提供系统令牌"
    en = "You are not signed in to {url}: run siji sign-in, or give a system's token in SIJI_TOKEN"


class Refused(SijiError):
    """What the portal refused, in its own words."""

    code = "refused"
    zh = "{detail}"
    en = "{detail}"

    @property
    def problem(self) -> str:
        """The code of the portal's problem."""
        return str(self.facts["code"])


class Portal:
    """One portal at `url`, spoken to as one caller."""

    def __init__(self, url: str, *, headers: dict[str, str], cookies: dict[str, str]) -> None:
        told = {"Accept-Language": language(), **headers}
        self.url = url
        self._client = httpx2.Client(
            base_url=url + API, headers=told, cookies=cookies, timeout=WAIT_S, trust_env=False
        )

    def get(self, path: str, **query: Any) -> Any:
        """What is there, as JSON; None among `query` is left out. Raises Refused, PortalAway."""
        return self._call("GET", path, query=query).json()

    def get_tagged(self, path: str) -> tuple[Any, str]:
        """What is there with its ETag, for `if_match`. Raises Refused, PortalAway."""
        answer = self._call("GET", path)
        return answer.json(), answer.headers.get("ETag", "")

    def list(self, path: str, **query: Any) -> Iterator[Any]:
        """Every item of a list, page by page. Raises Refused, PortalAway."""
        cursor = ""
        while True:
            page = self.get(path, **query, cursor=cursor or None)
            yield from page["items"]
            if page["next"] is None:
                return
            cursor = page["next"]

    def send(
        self, method: str, path: str, body: Any = None, *, if_match: str | None = None, key: str | None = None
    ) -> Any:
        """Ask for a change; its answer as JSON. A POST without `key` gets one. Raises Refused, PortalAway."""
        headers = {}
        if if_match is not None:
            headers["If-Match"] = if_match
        if method == "POST":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        answer = self._call(method, path, headers=headers, json=body)
        return answer.json() if answer.content else None

    def upload(self, path: str, content: bytes, *, content_type: str, key: str, **query: Any) -> Any:
        """Send a file's bytes; what is answered, as JSON. Raises Refused, PortalAway."""
        headers = {"Content-Type": content_type, "Idempotency-Key": key}
        return self._call("POST", path, query=query, headers=headers, content=content).json()

    def _call(
        self, method: str, path: str, *, query: dict[str, Any] | None = None, **how: Any
    ) -> httpx2.Response:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = self._client.request(method, path, params=given, **how)
        except httpx2.TransportError as error:
            raise PortalAway(url=self.url, why=str(error)) from error
        if answer.is_error:
            raise _refusal(answer)
        return answer


def open_portal() -> Portal:
    """The portal of the settings, as the token or the kept session says. Raises NotSignedInHere."""
    settings = Settings()
    url = portal_url(settings)
    if settings.token is not None:
        bearer = f"Bearer {settings.token.get_secret_value()}"
        return Portal(url, headers={"Authorization": bearer}, cookies={})
    kept = _kept_sessions().get(url)
    if kept is None:
        raise NotSignedInHere(url=url)
    return Portal(url, headers={"X-CSRF-Token": kept["csrf"]}, cookies={COOKIE: kept["cookie"]})


def sign_in(login: str, password: str) -> bool:
    """Open a session and keep it for later commands; whether the password must be changed first."""
    url = portal_url(Settings())
    portal = Portal(url, headers={}, cookies={})
    answer = portal._call("POST", "/session", json={"login": login, "password": password})
    opened = answer.json()
    _keep(url, {"csrf": opened["csrf"], "cookie": answer.cookies[COOKIE]})
    return bool(opened["must_change_password"])


def sign_out() -> None:
    """End the kept session, there and here; without one nothing happens."""
    url = portal_url(Settings())
    kept = _kept_sessions().get(url)
    if kept is None:
        return
    portal = Portal(url, headers={"X-CSRF-Token": kept["csrf"]}, cookies={COOKIE: kept["cookie"]})
    try:
        portal.send("DELETE", "/session")
    except Refused as refusal:
        if refusal.problem != "not_signed_in":
            raise
    _keep(url, None)


def portal_url(settings: Settings) -> str:
    """Where the portal answers."""
    return settings.portal_url.rstrip("/") or f"http://{settings.portal_host}:{settings.portal_port}"


def _refusal(answer: httpx2.Response) -> SijiError:
    try:
        problem = answer.json()
        return Refused(detail=problem["detail"], code=problem["code"], facts=problem.get("facts", {}))
    except (ValueError, KeyError, TypeError):
        return PortalAway(url=str(answer.url), why=f"{answer.status_code} {answer.reason_phrase}")


def _session_file() -> Path:
    return Path(typer.get_app_dir("siji", force_posix=True)) / "sessions.json"


def _kept_sessions() -> dict[str, dict[str, str]]:
    file = _session_file()
    kept: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def _keep(url: str, session: dict[str, str] | None) -> None:
    """Keep (None: drop) the session at `url`, readable by its owner alone."""
    file = _session_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = {known: kept for known, kept in _kept_sessions().items() if known != url}
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(others if session is None else {**others, url: session}))
    fresh.replace(file)
