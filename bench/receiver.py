"""A real HTTP server on loopback that is called: it remembers what it got, and answers as it is told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class Got:
    """A request."""

    method: str
    target: str
    headers: dict[str, str]  # names in small letters
    body: bytes
    at: float  # by the event loop's clock


Respond: TypeAlias = Callable[[Got, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Receiver:
    """See the module."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def until(self, count: int, seconds: float = 30) -> list[Got]:
        """Wait for so many requests."""
        async with asyncio.timeout(seconds), self.came:
            await self.came.wait_for(lambda: len(self.got) >= count)
        return self.got


def answering(status: int, body: bytes = b"", **headers: str) -> Respond:
    """The same answer to everything."""

    async def respond(_: Got, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return respond


def in_turn(*answers: Respond) -> Respond:
    """One answer after the other; the last one again and again."""
    left = list(answers)

    async def respond(got: Got, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(got, writer)

    return respond


async def hanging(_: Got, writer: asyncio.StreamWriter) -> None:
    """No answer."""
    await asyncio.sleep(3600)


async def endless(_: Got, writer: asyncio.StreamWriter) -> None:
    """An answer of a gigabyte."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    for _piece in range(16_000):
        writer.write(bytes(62_500))
        await writer.drain()


@asynccontextmanager
async def receiving(respond: Respond | None = None) -> AsyncIterator[Receiver]:
    """A receiver while the block lasts."""
    receiver = Receiver()
    answer = respond or answering(200)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            headers = dict(_header(line) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            at = asyncio.get_running_loop().time()
            got = Got(method=method, target=target, headers=headers, body=body, at=at)
            async with receiver.came:
                receiver.got.append(got)
                receiver.came.notify_all()
            await answer(got, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
