"""A client of `/api/live`, written from the README: it sends chunks, and keeps what is not acknowledged."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.recordings import Recording
from bench.server import RunningServer
from tests.acceptance.test_haidy import encoded

Event = dict[str, Any]

HELLO: Event = {"type": "hello"}
END: Event = {"type": "end"}


@asynccontextmanager
async def dialled(server: RunningServer, **more: Any) -> AsyncIterator[ClientConnection]:
    """A socket as a browser opens it: its key is offered as a sub-protocol."""
    options: dict[str, Any] = {"subprotocols": ["auscult-live", f"jwt-{server.key}"], "max_size": 2**24} | more
    async with connect(server.base_url.replace("http", "ws", 1) + "/api/live", **options) as socket:
        yield socket


async def say(socket: ClientConnection, event: Event) -> None:
    await socket.send(json.dumps(event))


async def hear(socket: ClientConnection, kind: str, seconds: float = 30) -> Event:
    """The next event of this kind."""
    async with asyncio.timeout(seconds):
        while True:
            event: Event = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def until(socket: ClientConnection, kind: str, seconds: float = 30) -> list[Event]:
    """Everything up to the next event of this kind."""
    got: list[Event] = []
    async with asyncio.timeout(seconds):
        while not got or got[-1]["type"] != kind:
            got.append(json.loads(await socket.recv()))
    return got


async def rest(socket: ClientConnection, seconds: float = 90) -> list[Event]:
    """Everything until the server closes."""
    got: list[Event] = []
    async with asyncio.timeout(seconds):
        with suppress(ConnectionClosed):
            async for message in socket:
                got.append(json.loads(message))
    return got


async def told(server: RunningServer, chunks: Iterable[bytes], **hello: Any) -> tuple[list[Event], int | None]:
    """A whole session: its events, and the close code."""
    async with dialled(server) as socket:
        await say(socket, HELLO | hello)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(rest(socket))
            for chunk in chunks:
                await socket.send(chunk)
            await say(socket, END)
        return reading.result(), socket.close_code


def of(events: Sequence[Event], kind: str) -> list[Event]:
    return [event for event in events if event["type"] == kind]


def drafted(drafts: Iterable[Event]) -> dict[str, Event]:
    """The sections of the last draft, as a client keeps them that follows all of them."""
    kept: dict[str, Event] = {}
    for draft in drafts:
        kept |= {section["key"]: section for section in draft["sections"]}
        kept = {key: kept[key] for key in draft["keys"]}
    return kept


def words(finals: Iterable[Event]) -> list[tuple[Any, ...]]:
    """What was said, without ids, which belong to one session."""
    return [(final["text"], final["start_ms"], final["end_ms"], final["speaker"]) for final in finals]


@cache
def recorded(name: str, seconds: float = 20.0, seed: int = 0) -> tuple[bytes, ...]:
    """A consultation's recording as a MediaRecorder gives it: webm with Opus, in chunks that end anywhere."""
    return tuple(pieces(encoded(Recording.load(name), "webm", seconds), seed))


def pieces(octets: bytes, seed: int = 0, mean: int = 1500) -> list[bytes]:
    """Chunks of random size, none of them empty."""
    sizes = np.random.default_rng(seed).integers(1, 2 * mean, len(octets) // mean * 2 + 2)
    ends = [int(end) for end in np.cumsum(sizes) if end < len(octets)]
    return [octets[begin:end] for begin, end in zip([0, *ends], [*ends, len(octets)], strict=True)]
