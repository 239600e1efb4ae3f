"""Signing in, within a time: kafka-python 3.0.12 waits for a TLS handshake without end.

A broker that is frozen still accepts connections; all that is asked of it would wait behind the handshake.
"""

import ssl
import time
from collections.abc import Callable
from typing import Any

import kafka.errors as raised
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
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
    """Makes connections whose handshake ends."""

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        until = time.monotonic() + HANDSHAKE_S
        if timeout_at is not None:
            until = min(until, timeout_at)
        options = (self.config["socket_options"],)
        sock = await create_connection(self._net, node.host, node.port, *options, timeout_at=until)
        told = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        transport = _Transport(self._net, sock, host=node.host, **told)
        try:
            await transport.shake_hands(until)
        except Exception as error:
            transport.close()
            raise raised.KafkaConnectionError(f"the TLS handshake failed: {error}") from error
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
