"""The portal as commands call it: over its REST API, with a token or with the session of `siji sign-in`."""

import json
import uuid
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import httpx2
import typer

from infra.errors import Kind, Language, SijiError
from infra.settings import Settings
from portal.cli.speech import language

REPLAYED = "idempotency-replayed"
"""The header of an answer that an earlier call with the same key was given."""

WAIT_S = 60.0
API = "/api/v1"


class PortalAway(SijiError):
    """No portal answers at the address."""

    kind = Kind.unavailable
    code = "portal_away"
    zh = "无法连接门户 {url}：{why}；请确认门户已启动，或用 SIJI_PORTAL_URL 指定地址"
    en = "No portal answers at {url}: {why}; start it, or name another with SIJI_PORTAL_URL"


class NotSignedInHere(SijiError):
    """Neither a token nor a session is at hand."""

    kind = Kind.unauthenticated
    code = "not_signed_in_here"
    zh = "尚未登录 {url}：请运行 siji sign-in，或用 SIJI_TOKEN 提供系统令牌"
    en = "You are not signed in to {url}: run siji sign-in, or give a system's token in SIJI_TOKEN"


class TokenUnusable(SijiError):
    """SIJI_TOKEN holds what no HTTP header can carry, so it is no token."""

    kind = Kind.unauthenticated
    code = "token_unusable"
    zh = "SIJI_TOKEN 不是令牌：含有空格、换行或非 ASCII 字符；请重新签发，或用 unset SIJI_TOKEN 取消"
    en = "SIJI_TOKEN is no token: it holds blanks, line breaks or more than ASCII; set it anew, or unset it"


class Refused(SijiError):
    """What the portal refused, in its own words."""

    code = "refused"
    zh = "{detail}"
    en = "{detail}"

    @property
    def problem(self) -> str:
        """The code of the portal's problem."""
        return str(self.facts["code"])

    @property
    def status(self) -> int:
        """The HTTP status of the portal's answer."""
        return int(self.facts["status"])


class Portal:
    """One portal at `url`, spoken to as one caller."""

    def __init__(self, url: str, *, headers: dict[str, str]) -> None:
        told = {"Accept-Language": language(), **headers}
        self.url, self._headers = url, headers
        self._client = httpx2.Client(base_url=url + API, headers=told, timeout=WAIT_S, trust_env=False)
        weakref.finalize(self, self._client.close)

    def speaking(self, language: Language) -> "Portal":
        """The same, telling of refusals in that language."""
        return Portal(self.url, headers={**self._headers, "Accept-Language": language})

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
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        if_match: str | None = None,
        key: str | None = None,
        **query: Any,
    ) -> Any:
        """Ask for a change; its answer as JSON. A POST without `key` gets one. Raises Refused, PortalAway."""
        headers = {}
        if if_match is not None:
            headers["If-Match"] = if_match
        if method == "POST":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        answer = self._call(method, path, query=query, headers=headers, json=body)
        return answer.json() if answer.content else None

    def revise(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        seen: str,
        revision: int | None = None,
        **query: Any,
    ) -> Any:
        """`send` on the condition that what is at the path `seen` stays as it is until then, or still is the
        `revision`. Raises Refused, PortalAway."""
        if_match = self.get_tagged(seen)[1] if revision is None else etag(revision)
        return self.send(method, path, body, if_match=if_match, **query)

    def upload(
        self,
        path: str,
        content: bytes,
        *,
        content_type: str,
        key: str,
        packing: str | None = None,
        **query: Any,
    ) -> tuple[Any, bool]:
        """Send a file's bytes; what is answered, as JSON, and whether an earlier call with the key was.

        Raises Refused, PortalAway.
        """
        headers = {"Content-Type": content_type, "Idempotency-Key": key}
        if packing is not None:
            headers["Content-Encoding"] = packing
        answer = self._call("POST", path, query=query, headers=headers, content=content)
        return answer.json(), REPLAYED in answer.headers

    def download(self, path: str, sink: BinaryIO, **query: Any) -> Mapping[str, str]:
        """Write the body of what is there, whole, to `sink`; its headers. Raises Refused, PortalAway."""
        try:
            with self._client.stream("GET", path, params=query) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _refusal(answer)
                for piece in answer.iter_bytes():
                    sink.write(piece)
                return answer.headers
        except httpx2.TransportError as error:
            raise PortalAway(url=self.url, why=str(error)) from error

    def _call(
        self, method: str, path: str, *, query: dict[str, Any] | None = None, **how: Any
    ) -> httpx2.Response:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            answer = self._client.request(method, path, params=given, **how)
        except httpx2.TransportError as error:
            raise PortalAway(url=self.url, why=str(error)) from error
        if not answer.is_success:
            raise _refusal(answer)
        return answer


def at(*parts: object) -> str:
    """The path that these names make, each whole: a dataset's code may hold '/'."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def etag(revision: int) -> str:
    """The ETag of that revision."""
    return f'"r{revision}"'


def open_portal() -> Portal:
    """The portal of the settings, as the token or the kept session says.

    Raises NotSignedInHere, TokenUnusable.
    """
    settings = Settings()
    url = portal_url(settings)
    if token := _token(settings):
        if not all("!" <= one <= "~" for one in token):
            raise TokenUnusable()
        return Portal(url, headers={"Authorization": f"Bearer {token}"})
    kept = kept_portal()
    if kept is None:
        raise NotSignedInHere(url=url)
    return kept


def kept_portal() -> Portal | None:
    """The portal of the settings as the kept session says, whatever token there is; None without one."""
    url = portal_url(Settings())
    kept = _kept_sessions().get(url)
    return None if kept is None else Portal(url, headers=kept)


def has_token() -> bool:
    """Whether commands act for the system of SIJI_TOKEN. A blank one, as a command that failed leaves it
    behind, counts as none."""
    return bool(_token(Settings()))


def sign_in(login: str, password: str) -> bool:
    """Open a session and keep it for later commands; whether the password must be changed first."""
    headers, must_change = _open_session(login, password)
    _keep(portal_url(Settings()), headers)
    return must_change


def change_password(login: str, old: str, new: str) -> None:
    """Replace a password, and keep a session of the new one; where it is refused, whatever session was kept
    goes on. Raises Refused, PortalAway.
    """
    portal = Portal(portal_url(Settings()), headers=_open_session(login, old)[0])
    try:
        portal.send("PUT", "/me/password", {"old": old, "new": new})
    except SijiError:
        with suppress(SijiError):
            portal.send("DELETE", "/session")
        raise
    sign_in(login, new)


def sign_out() -> None:
    """End the kept session, there and here; without one nothing happens."""
    url = portal_url(Settings())
    kept = _kept_sessions().get(url)
    if kept is None:
        return
    portal = Portal(url, headers=kept)
    try:
        portal.send("DELETE", "/session")
    except Refused as refusal:
        if refusal.problem != "not_signed_in":
            raise
    _keep(url, None)


def portal_url(settings: Settings) -> str:
    """Where the portal answers."""
    return settings.portal_url.rstrip("/") or f"http://{settings.portal_host}:{settings.portal_port}"


def _open_session(login: str, password: str) -> tuple[dict[str, str], bool]:
    """The headers of a new session, which is not kept, and whether the password must be changed first."""
    answer = Portal(portal_url(Settings()), headers={})._call(
        "POST", "/session", json={"login": login, "password": password}
    )
    opened = answer.json()
    cookies = "; ".join(f"{name}={value}" for name, value in answer.cookies.items())
    headers = {"X-CSRF-Token": opened["csrf"], "Cookie": cookies}
    return headers, bool(opened["must_change_password"])


def _token(settings: Settings) -> str:
    """SIJI_TOKEN, empty if there is none."""
    return "" if settings.token is None else settings.token.get_secret_value().strip()


def _refusal(answer: httpx2.Response) -> SijiError:
    try:
        problem = answer.json()
        return Refused(
            detail=problem["detail"],
            code=problem["code"],
            facts=problem.get("facts", {}),
            status=answer.status_code,
        )
    except (ValueError, KeyError, TypeError):
        return PortalAway(url=str(answer.url), why=f"{answer.status_code} {answer.reason_phrase}")


def _session_file() -> Path:
    return Path(typer.get_app_dir("siji", force_posix=True)) / "sessions.json"


def _kept_sessions() -> dict[str, dict[str, str]]:
    file = _session_file()
    kept: dict[str, dict[str, str]] = json.loads(file.read_text()) if file.exists() else {}
    return kept


def _keep(url: str, session: dict[str, str] | None) -> None:
    """Keep (None: drop) the headers of the session at `url`, readable by its owner alone."""
    file = _session_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = {known: kept for known, kept in _kept_sessions().items() if known != url}
    fresh = file.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(others if session is None else {**others, url: session}))
    fresh.replace(file)
