"""One POST to an address that somebody else chose: checked before it is dialled, bounded in every way.

The host's addresses are looked up once, all of them are checked, and one of these is dialled: a name that
changes its mind in between leads nowhere else. Redirects are not followed, proxies not used, and of the
answer only its status and Retry-After are looked at; its body is never read.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from exchange.hooking import may_call

SEND_WITHIN_S = 4.0
"""To connect and to send all of it: a revocation takes effect within 5 s, also on what is being sent."""
ANSWER_WITHIN_S = 15.0


@dataclass(frozen=True)
class Answer:
    """The status of an answer, None if there was none; then `fault` says which kind of fault it was."""

    status: int | None
    fault: str = ""
    retry_after: str | None = None


class Poster:
    """Posts to addresses in `networks` and, over TLS, to public ones; `ca_file` is trusted too."""

    def __init__(self, networks: Sequence[str], *, ca_file: Path | None = None) -> None:
        self._networks = [ip_network(one) for one in networks]
        self._context = ssl.create_default_context()
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        if ca_file is not None:
            self._context.load_verify_locations(ca_file)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send it, once; whatever goes wrong is an Answer without a status."""
        parts = urlsplit(url)
        host, encrypted = parts.hostname or "", parts.scheme == "https"
        port = parts.port or (443 if encrypted else 80)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return Answer(None, "name")
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not all(may_call(one, networks=self._networks, encrypted=encrypted) for one in addresses):
            return Answer(None, "address")
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        try:
            plain = _dial(addresses, port)
        except OSError:
            return Answer(None, "connect")
        with plain, plain.dup() as handle, _ended_after(handle, SEND_WITHIN_S) as send:
            try:
                channel = self._context.wrap_socket(plain, server_hostname=host) if encrypted else plain
            except ssl.SSLCertVerificationError:
                return Answer(None, "certificate")
            except TimeoutError:  # it may come before the limit's own end
                return Answer(None, "timeout")
            except OSError:
                return Answer(None, "timeout" if send.is_over else "tls")
            with channel:
                return _exchange(channel, send, parts.netloc, target, body, headers)


class _Limit:
    """A timer that ends a connection; `again` gives it more time.

    It has a handle of its own: TLS takes the first one away.
    """

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self.is_over = connection, False
        self._timer = self._start(seconds)

    def again(self, seconds: float) -> None:
        self._timer.cancel()
        self._timer = self._start(seconds)

    def stop(self) -> None:
        self._timer.cancel()

    def _start(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        return timer

    def _end(self) -> None:
        self.is_over = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already


@contextmanager
def _ended_after(connection: socket.socket, seconds: float) -> Iterator[_Limit]:
    limit = _Limit(connection, seconds)
    try:
        yield limit
    finally:
        limit.stop()


def _dial(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first of the addresses that takes one. Raises OSError."""
    failure = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout=SEND_WITHIN_S / len(addresses))
        except OSError as error:
            failure = error
    raise failure


def _exchange(
    channel: socket.socket, limit: _Limit, host: str, target: str, body: bytes, headers: Mapping[str, str]
) -> Answer:
    told = {"Host": host, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = f"POST {target} HTTP/1.1\r\n" + "".join(f"{name}: {text}\r\n" for name, text in told.items())
    try:
        channel.settimeout(SEND_WITHIN_S)
        channel.sendall(head.encode("ascii") + b"\r\n" + body)
        limit.again(ANSWER_WITHIN_S)
        channel.settimeout(ANSWER_WITHIN_S)
        answer = http.client.HTTPResponse(channel, method="POST")
        try:
            answer.begin()
            if limit.is_over:
                return Answer(None, "timeout")
            return Answer(answer.status, retry_after=answer.headers.get("Retry-After"))
        finally:
            answer.close()
    except TimeoutError:
        return Answer(None, "timeout")
    except http.client.HTTPException:
        return Answer(None, "timeout" if limit.is_over else "answer")
    except OSError:
        return Answer(None, "timeout" if limit.is_over else "broken")
