"""A proxy before one service of OpenStack, which loses, drops or alters what a test tells it to."""

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Alter = Callable[[dict[str, Any]], None]
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class Proxy:
    """Passes everything on, but for what was asked for last; `url` is where it answers."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.lose: re.Pattern[str] | None = None
        self.lost_as: int | None = None
        self.drop: re.Pattern[str] | None = None
        self.drops_left = 0
        self.alter: tuple[re.Pattern[str], Alter] | None = None
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}{self.target.path}"

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        """Answer while the block runs."""
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
        thread.join()

    def lose_next_answer(self, request: str, *, status: int | None = None) -> None:
        """Pass the next request that matches `request` ('POST /servers') on, and drop its answer.

        With `status` that is answered instead (504, as a proxy does), else the connection ends.
        """
        self.lose, self.lost_as = re.compile(request), status

    def drop_next(self, request: str, count: int = 1) -> None:
        """Drop the next requests that match, as a service that is down does."""
        self.drop, self.drops_left = re.compile(request), count

    def alter_next(self, request: str, alter: Alter) -> None:
        """Change the body of the next request that matches."""
        self.alter = (re.compile(request), alter)

    def reset(self) -> None:
        """Pass everything on again."""
        self.lose, self.drop, self.drops_left, self.alter = None, None, 0, None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                said = f"{self.command} {self.path}"
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with proxy._lock:
                    dropped = proxy._drops(said)
                    lost = not dropped and proxy.lose is not None and proxy.lose.search(said) is not None
                    if lost:
                        proxy.lose = None
                    if proxy.alter is not None and proxy.alter[0].search(said):
                        told = json.loads(body)
                        proxy.alter[1](told)
                        body, proxy.alter = json.dumps(told).encode(), None
                if dropped:
                    self._hang_up()
                    return
                answer, content = proxy._pass_on(self.command, self.path, dict(self.headers), body)
                if lost and proxy.lost_as is not None:
                    self.send_error(proxy.lost_as)
                    return
                if lost:
                    self._hang_up()
                    return
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value.replace(proxy.target.netloc, self.headers["Host"]))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

            def _hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def _drops(self, said: str) -> bool:
        if self.drop is None or self.drops_left == 0 or not self.drop.search(said):
            return False
        self.drops_left -= 1
        return True

    def _pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection(self.target.hostname or "", self.target.port, timeout=120)
        kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
        connection.request(method, path, body=body or None, headers=kept)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content
