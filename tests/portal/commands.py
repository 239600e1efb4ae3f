"""A portal that really listens, over the sample city, and the `siji` command as its people call it."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Message, Receive, Scope, Send
from typer.testing import CliRunner, Result

from infra.installation import open_installation
from infra.settings import Settings
from portal.cli.main import app

HANGS_AFTER_S = 600
Named = dict[str, Any]
"""What was prepared, by its names."""


class Listening:
    """Serves whichever portal it is given, and notes the routes that were called, as 'GET /api/v1/me'."""

    def __init__(self) -> None:
        self.portal: FastAPI | None = None
        self.called: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note the route that took it before the caller hears of the answer."""
        assert self.portal is not None

        async def noting(message: Message) -> None:
            route = scope.get("route")
            if message["type"] == "http.response.start" and isinstance(route, APIRoute):
                self.called.append(f"{scope['method']} {route.path}")
            await send(message)

        await self.portal(scope, receive, noting)


@contextmanager
def listen(served: Listening) -> Iterator[str]:
    """The URL at which it answers, on a port of loopback that was free."""
    server = uvicorn.Server(
        uvicorn.Config(served, host="127.0.0.1", port=0, log_level="warning", lifespan="off", ws="none")
    )
    thread = Thread(target=server.run, name="portal", daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            sleep(0.01)
        [port] = [socket.getsockname()[1] for one in server.servers for socket in one.sockets]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(HANGS_AFTER_S)


def prepare(folder: Path, sample: str, *modules: Any) -> Named:
    """Make in `folder` a sample city with what the calls in these modules of calls/ need; the names of it."""
    (folder / "siji.sqlite").write_bytes(Path(sample.removeprefix("sqlite:///")).read_bytes())
    here = open_installation(Settings(data_dir=folder, sample=True))
    named: Named = {}
    for module in modules:
        named |= module.prepare(here)
    here.engine.dispose()
    return named


class Siji:
    """The `siji` command, called by one person after another, each with a home of their own."""

    def __init__(self, url: str, homes: Path, password: str) -> None:
        self.url, self._homes, self._password = url, homes, password

    def __call__(
        self,
        line: str | list[str],
        *,
        by: str = "",
        language: str = "zh_CN.UTF-8",
        stdin: str | bytes | None = None,
        **more: str,
    ) -> Result:
        """What became of a command line, its words split as in a shell; `by` is signed in before."""
        home = self._homes / (by or "nobody")
        env = {"HOME": str(home), "SIJI_PORTAL_URL": self.url, "LC_ALL": language, "COLUMNS": "200", **more}
        if by and not (home / ".siji").exists():
            home.mkdir(exist_ok=True)
            entered = CliRunner().invoke(app, ["sign-in", by], env=env, input=self._password)
            assert entered.exit_code == 0, entered.output
        words = shlex.split(line) if isinstance(line, str) else line
        return CliRunner().invoke(app, words, env=env, input=stdin, catch_exceptions=False)

    def did(self, line: str | list[str], **how: Any) -> str:
        """What a command that went well said on standard output."""
        result = self(line, **how)
        assert result.exit_code == 0, f"{line}: {result.output}"
        return result.stdout

    def json(self, line: str | list[str], **how: Any) -> Any:
        """What a command that went well told as JSON."""
        words = shlex.split(line) if isinstance(line, str) else line
        return json.loads(self.did([*words, "--json"], **how))

    def refused(self, line: str | list[str], **how: Any) -> str:
        """What a command that was refused said, on standard error alone."""
        result = self(line, **how)
        assert result.exit_code == 1, f"{line}: {result.output}"
        assert result.stdout == ""
        return result.stderr
