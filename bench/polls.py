"""Status polls at a steady rate, however long their answers take: many pages that ask how far theirs is."""

import asyncio
import time
from itertools import count

import anyio
import msgspec

from bench.server import RunningServer

CONNECTIONS = 20  # kept open; each asks in its turn


class Poll(msgspec.Struct, frozen=True):
    """One answer. Seconds of the monotonic clock."""

    due: float
    answered: float

    @property
    def ms(self) -> float:
        """From the moment when it was to be sent: what a late one waited counts."""
        return (self.answered - self.due) * 1000


async def polling(server: RunningServer, path: str, per_s: float, polls: list[Poll]) -> None:
    """Ask until cancelled. Raises `OSError`, and `ConnectionError` for any answer but 200."""
    host, _, port = server.base_url.removeprefix("http://").partition(":")
    asked = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.key}\r\n\r\n".encode()
    began = time.monotonic()

    async def ask(first: int) -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for number in count(first, CONNECTIONS):
                due = began + number / per_s
                await anyio.sleep(max(0.0, due - time.monotonic()))
                writer.write(asked)
                await _answered(reader)
                polls.append(Poll(due, time.monotonic()))
        finally:
            writer.close()

    async with anyio.create_task_group() as asking:
        for first in range(CONNECTIONS):
            asking.start_soon(ask, first)


async def _answered(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise ConnectionError("A status poll was not answered with 200.")
    await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
