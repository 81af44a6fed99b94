"""uvicorn, with a word when it listens and when it stops, and without connections that nobody reads."""

import socket
from collections.abc import Callable

import uvicorn


class Announced(uvicorn.Server):
    """Says where it listens, once it does, and that it begins to stop."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        announce: Callable[[str], None],
        stopping: Callable[[], None],
        send_timeout_s: float,
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._tell_stopping = stopping
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._tell_stopping()
        await super().shutdown(sockets)


def drop_who_reads_nothing(listening: socket.socket, timeout_s: float) -> None:
    """Have the system end connections whose peer takes nothing for so long, or has vanished.

    Closing one alone would wait without end for what is still to be sent. Accepted connections inherit it. Linux only.
    Source: RFC 5482, tcp(7).
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(timeout_s * 1000))
