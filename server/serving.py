"""uvicorn, with a word when it listens and when it stops, and without connections that nobody reads."""

import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TypeAlias

import anyio
import uvicorn

from pipeline.errors import AuscultError

Fatal: TypeAlias = Callable[[AuscultError], None]
"""To be called once, with why the process should end."""


class Announced(uvicorn.Server):
    """Says where it listens, once it does, and that it begins to stop: before connections are closed."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        announce: Callable[[str], None],
        stopping: Callable[[], Awaitable[None]],
        send_timeout_s: float,
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._stop_serving = stopping
        self._draining: anyio.CancelScope | None = None
        self._send_timeout_s = send_timeout_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            listening = [each for server in self.servers for each in server.sockets]
            for each in listening:
                drop_who_reads_nothing(each, self._send_timeout_s)
            scheme = "https" if self.config.is_ssl else "http"
            host, port = listening[0].getsockname()[:2]
            self._announce(f"{scheme}://{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A second signal ends the wait for sessions."""
        if self._draining is not None:
            self._draining.cancel()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        with anyio.CancelScope() as scope:
            self._draining = scope
            await self._stop_serving()
        await super().shutdown(sockets)


def serve(
    build: Callable[[Fatal], Announced], sockets: list[socket.socket], failed: Callable[[AuscultError], None]
) -> int:
    """Run a server until it is told to end, or its application finds that it cannot go on; the exit status.

    `build` gets what the application is to call then; `failed` is called behind the end, for each reason.
    """
    failures: list[AuscultError] = []

    def fatal(exc: AuscultError) -> None:
        failures.append(exc)
        server.should_exit = True

    server = build(fatal)
    server.run(sockets)
    for exc in failures:
        failed(exc)
    return 1 if failures or not server.started else 0


def drop_who_reads_nothing(listening: socket.socket, timeout_s: float) -> None:
    """Have the system end connections whose peer takes nothing for so long, or has vanished.

    Closing one alone would wait without end for what is still to be sent. Accepted connections inherit it. Linux only.
    Source: RFC 5482, tcp(7).
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))
