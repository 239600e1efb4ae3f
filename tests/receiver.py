"""A receiver of webhooks: a real HTTP server on loopback, in threads, that answers as a test tells it."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any


@dataclass
class Got:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """`answer` is what it does with a request; by default it is content."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answer: Callable[[Any, Got], None] = lambda handler, _got: plainly(handler, 204)
    ended: Event = field(default_factory=Event)
    lock: Lock = field(default_factory=Lock)


def plainly(handler: Any, status: int, **headers: str) -> None:
    """An empty answer."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@contextmanager
def receiving(certificate: Path | None = None, *, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """One that runs while the block does; with a file of a key and its certificate over TLS."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body, time.monotonic())
            with receiver.lock:
                receiver.got.append(got)
            receiver.answer(self, got)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """What a test breaks on purpose is not told."""

    server = Server((host, 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if certificate else "http"
    receiver.url = f"{scheme}://{host}:{server.server_address[1]}/hook?x=1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
