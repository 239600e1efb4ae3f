"""Signing in, within a time: kafka-python 3.0.12 waits for a TLS handshake without end.

A broker that is frozen still accepts connections; all that is asked of it would wait behind the handshake.
Sockets that kafka-python would leave unclosed, where nobody listens or nobody waits any more, are closed.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import kafka.errors as raised
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport

from exchange.broker.kafka.access import HANDSHAKE_S
from exchange.broker.kafka.failures import NoSignIn


def sign_in(client: Callable[..., Any], **options: Any) -> Any:
    """A client of kafka-python, signed in; NoSignIn. kafka-python tells no wrong password from no broker.

    A client that is not let in leaves its thread and its sockets: they are ended here.
    """
    networks: list[Any] = []

    def network(**told: Any) -> Any:
        net = NetworkSelector(**told)
        networks.append(KafkaNetClient(net=net, manager=_Connections(net, **told), **told))
        return networks[-1]

    try:
        return client(**options, kafka_client=network)
    except BaseException as error:
        for left in networks:
            left.close()
            left._manager._net.stop()
        if isinstance(error, raised.KafkaTimeoutError):
            raise NoSignIn(str(error)) from error
        raise


class _Connections(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """Makes connections whose handshake ends. What is not made, or is given up meanwhile, is closed."""

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        until = time.monotonic() + HANDSHAKE_S
        if timeout_at is not None:
            until = min(until, timeout_at)
        sock = await _connected(self._net, node, self.config["socket_options"], until)
        told = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        transport = _Transport(self._net, sock, host=node.host, **told)
        try:
            await transport.shake_hands(until)
        except Exception as error:
            transport.close()
            raise raised.KafkaConnectionError(f"the TLS handshake failed: {error}") from error
        except BaseException:
            transport.close()
            raise
        return transport


class _Transport(KafkaSSLTransport):  # type: ignore[misc]  # likewise
    """A connection with TLS."""

    async def shake_hands(self, until: float) -> None:
        """The handshake; KafkaTimeoutError if it is not done by `until` (monotonic)."""
        while True:
            try:
                self._sock.do_handshake()
            except ssl.SSLWantReadError:
                await self._net.wait_read(self._sock, timeout_at=until)
            except ssl.SSLWantWriteError:
                await self._net.wait_write(self._sock, timeout_at=until)
            else:
                return


async def _connected(
    net: Any, node: Any, options: Iterable[tuple[int, int, int]], until: float
) -> socket.socket:
    """A socket to the node. Raises KafkaConnectionError."""
    sockets = KafkaNetSocket()
    failure = raised.KafkaConnectionError(f"{node.host} has no address")
    for family, kind, protocol, _name, address in sockets.dns_lookup(node.host, node.port):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # such as IPv6 on a machine that has none
            failure = raised.KafkaConnectionError(f"no connection: {error}")
            continue
        try:
            sock.setblocking(False)
            for option in options:
                sock.setsockopt(*option)
            await sockets.sock_connect(net, sock, address, timeout_at=until)
        except (OSError, raised.KafkaError) as error:
            sock.close()
            failure = raised.KafkaConnectionError(f"no connection: {error}")
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
