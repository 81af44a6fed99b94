"""Server-Sent Events (HTML Living Standard §9.2) as a response that owns its tasks, and never logs what it sends."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TypeAlias

import anyio
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pipeline.errors import AuscultError
from server.ingest.websocket import ClientGone, SlowReader, SocketError, first_error

log = structlog.get_logger()

KEEP_ALIVE_S = 15.0  # §9.2.7: proxies drop connections that are silent for longer

Ending: TypeAlias = Callable[[], Awaitable[object]]
"""Runs beside the events, which end when it returns, or with the error that it raises."""


class EventStream(Response):
    """Tells as fast as its reader reads; a reader that does not read at all is dropped, and one that leaves is noticed
    at once: what makes the events is then cancelled.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes],
        *,
        problem: Callable[[AuscultError], bytes],
        send_timeout_s: float,
        endings: Sequence[Ending] = (),
    ) -> None:
        """`frames`: whole events, each sent in one piece; `problem`: the event for an error, which is the last one."""
        self.status_code = 200
        self.background = None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._frames = frames
        self._problem = problem
        self._send_timeout_s = send_timeout_s
        self._endings = endings
        self._last_sent = anyio.current_time()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request; returns when everything is told, or nobody is there to be told."""
        try:
            await self._send(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async with aclosing(self._frames):
                if scope["method"] != "HEAD":  # which gets headers alone
                    await self._tell_until_the_end(receive, send)
            await self._send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except SocketError as exc:
            log.debug("events.ended", code=exc.code)

    async def _tell_until_the_end(self, receive: Receive, send: Send) -> None:
        try:
            async with first_error(), anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive)
                tasks.start_soon(self._keep_alive, send)
                for ending in self._endings:
                    tasks.start_soon(_then_cancel, ending, tasks.cancel_scope)
                async for frame in self._frames:
                    await self._write(send, frame)
                tasks.cancel_scope.cancel()
        except SocketError:
            raise
        except AuscultError as exc:
            await self._write(send, self._problem(exc))

    async def _keep_alive(self, send: Send) -> None:
        """A comment whenever nothing else was to be told for a while."""
        while True:
            await anyio.sleep_until(self._last_sent + KEEP_ALIVE_S)
            if anyio.current_time() >= self._last_sent + KEEP_ALIVE_S:
                await self._write(send, b":\n\n")

    async def _write(self, send: Send, octets: bytes) -> None:
        await self._send(send, {"type": "http.response.body", "body": octets, "more_body": True})

    async def _send(self, send: Send, message: dict[str, object]) -> None:
        """Raises `SlowReader`, `ClientGone`."""
        self._last_sent = anyio.current_time()
        try:
            with anyio.fail_after(self._send_timeout_s):
                await send(message)
        except TimeoutError:
            raise SlowReader from None
        except OSError:  # ASGI HTTP 2.4: the connection is closed
            raise ClientGone from None


async def _until_gone(receive: Receive) -> None:
    """Raises `ClientGone`."""
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone


async def _then_cancel(ending: Ending, scope: anyio.CancelScope) -> None:
    await ending()
    scope.cancel()
