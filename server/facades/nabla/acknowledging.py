"""Cumulative acknowledgements of one socket: which number may be told, and when."""

from collections.abc import Awaitable, Callable

import anyio


class Numbers:
    """How far the numbers of a socket's chunks have come. Pure.

    Vendors' clients count the chunks of a socket; one that counts each stream by itself is understood as well. Which it
    is shows when a second stream is heard: numbers of a socket only grow, and until then none is reached.
    """

    def __init__(self, streams: int) -> None:
        self._newest: list[int | None] = [None] * streams
        self._by_stream = False

    def received(self, stream: int, number: int) -> None:
        """A chunk of a stream (by ordinal) was heard."""
        own = self._newest[stream]
        others = [newest for ordinal, newest in enumerate(self._newest) if ordinal != stream and newest is not None]
        if own is None or number > own:
            self._by_stream = self._by_stream or (bool(others) and number <= max(others))
            self._newest[stream] = number

    @property
    def reached(self) -> int | None:
        """The highest number up to which no chunk can still be on its way; None while there is none."""
        heard = [newest for newest in self._newest if newest is not None]
        if len(heard) < len(self._newest) and (self._by_stream or len(heard) < 2):
            return None
        return min(heard) if self._by_stream else max(heard)

    @property
    def highest(self) -> int | None:
        """The highest number of all: what is reached when nothing more comes."""
        return max((newest for newest in self._newest if newest is not None), default=None)


class Acknowledgements:
    """While one commit is flushed, chunks gather for the next."""

    def __init__(
        self, streams: int, commit: Callable[[], Awaitable[None]], tell: Callable[[int], Awaitable[None]]
    ) -> None:
        """`commit` returns when everything heard before is on the disk; `tell` acknowledges up to a number."""
        self._numbers = Numbers(streams)
        self._commit = commit
        self._tell = tell
        self._told: int | None = None  # highest number acknowledged
        self._arrived = anyio.Event()
        self._settling = anyio.Lock()

    def received(self, stream: int, number: int) -> None:
        """The live encounter has heard this chunk."""
        self._numbers.received(stream, number)
        self._arrived.set()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            async with self._settling:
                await self._settle(self._numbers.reached)

    async def finish(self) -> None:
        """Acknowledge everything: no more chunks come."""
        async with self._settling:
            await self._settle(self._numbers.highest)

    async def _settle(self, number: int | None) -> None:
        if number is not None and (self._told is None or number > self._told):
            await self._commit()
            self._told = number
            await self._tell(number)
