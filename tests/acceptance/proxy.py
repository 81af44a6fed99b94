"""A network between a client and a server on loopback that can be cut and mended, for TCP.

async with proxied(server.base_url) as network:
    ...  # network.base_url
    network.cut()
    network.mend()
"""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

HOST = "127.0.0.1"
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing discards what is unsent and resets the connection
BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class Network:
    """Connections through here reach the server while the network is whole."""

    def __init__(self, target: str) -> None:
        split = urlsplit(target)
        assert split.hostname is not None
        assert split.port is not None
        self._target = (split.hostname, split.port)
        self._scheme = split.scheme
        self._cut = False
        self._scopes: set[anyio.CancelScope] = set()
        self._lost: set[int] = set()  # connections through which nothing passes any more
        self._number = 0
        self.port = 0
        self.connections = 0  # made so far, those refused left out

    @property
    def base_url(self) -> str:
        return f"{self._scheme}://{HOST}:{self.port}"

    def cut(self) -> None:
        """Reset every connection, and each new one until the network is mended."""
        self._cut = True
        for scope in self._scopes:
            scope.cancel()

    def swallow(self) -> None:
        """Nothing passes through the connections of now any more, and nobody is told: as when a router forgets them."""
        self._lost.update(range(self._number + 1))

    def mend(self) -> None:
        """New connections pass."""
        self._cut = False

    async def relay(self, client: SocketStream) -> None:
        """One connection, both ways, until either side ends it."""
        self._number += 1
        number = self._number
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                if not self._cut:
                    self.connections += 1
                    await self._between(number, client)
            finally:
                self._scopes.discard(scope)
                if self._cut:
                    _reset(client)
                await anyio.aclose_forcefully(client)

    async def _between(self, number: int, client: SocketStream) -> None:
        with suppress(*BROKEN):
            server = await anyio.connect_tcp(*self._target)
            try:
                async with anyio.create_task_group() as both:
                    both.start_soon(self._pass_on, number, client, server)
                    both.start_soon(self._pass_on, number, server, client)
            finally:
                if self._cut:
                    _reset(server)
                await anyio.aclose_forcefully(server)

    async def _pass_on(self, number: int, source: SocketStream, sink: SocketStream) -> None:
        """Bytes in one direction; an end is passed on as an end."""
        with suppress(*BROKEN):
            while True:
                piece = await source.receive()
                if number not in self._lost:
                    await sink.send(piece)
        if number not in self._lost:
            with suppress(*BROKEN):
                await sink.send_eof()


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Network]:
    """A whole network in front of the URL `target`."""
    network = Network(target)
    async with await anyio.create_tcp_listener(local_host=HOST) as listener, anyio.create_task_group() as owner:
        network.port = listener.extra(SocketAttribute.local_port)
        owner.start_soon(listener.serve, network.relay)
        yield network
        owner.cancel_scope.cancel()


def _reset(stream: SocketStream) -> None:
    with suppress(OSError):
        stream.extra(SocketAttribute.raw_socket).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
