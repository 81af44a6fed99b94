"""A server that takes webhooks, for whoever compares what was told with what happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One request."""

    id: str
    encounter: str
    body: bytes
    at: float  # by the event loop's clock


@dataclass(kw_only=True)
class WebhookSink:
    """See the module."""

    url: str = ""
    got: list[Hook] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, encounters: set[str]) -> None:
        """Wait until all of these were told."""
        async with self.came:
            await self.came.wait_for(lambda: encounters <= {hook.encounter for hook in self.got})


class _Data(msgspec.Struct):
    encounter_id: str


class _Told(msgspec.Struct):
    data: _Data


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[WebhookSink]:
    """A sink on loopback while the block lasts."""
    sink = WebhookSink()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
            body = await reader.readexactly(int(headers["content-length"]))
            encounter = msgspec.json.decode(body, type=_Told).data.encounter_id
            at = asyncio.get_running_loop().time()
            async with sink.came:
                sink.got.append(Hook(id=headers["webhook-id"], encounter=encounter, body=body, at=at))
                sink.came.notify_all()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield sink
    finally:
        server.close()
