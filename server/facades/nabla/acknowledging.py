"""Cumulative acknowledgements of one socket: which number may be told, and when."""

import math
from collections.abc import Awaitable, Callable

import anyio

KEPT_BACK_S = 2.0  # how long the chunk by which a returning client is recognised stays unacknowledged; they hold 9 s


class Numbers:
    """How far the numbers of a socket's chunks have come. Pure.

    Vendors' clients count the chunks of a socket; one that counts each stream by itself is understood as well. Which it
    is shows when a second stream is heard: numbers of a socket only grow, and until then none is reached.
    """

    def __init__(self, streams: int) -> None:
        self._newest: list[int | None] = [None] * streams
        self._by_stream = False
        self._first: int | None = None
        self._proof: int | None = None  # of the newest chunk that proves whose it is

    def received(self, stream: int, number: int, *, proves: bool = False) -> None:
        """A chunk of a stream (by ordinal) was heard."""
        own = self._newest[stream]
        others = [newest for ordinal, newest in enumerate(self._newest) if ordinal != stream and newest is not None]
        if own is None or number > own:
            self._by_stream = self._by_stream or (bool(others) and number <= max(others))
            self._newest[stream] = number
        self._first = number if self._first is None else min(self._first, number)
        if proves:
            self._proof = number if self._proof is None else max(self._proof, number)

    @property
    def reached(self) -> int | None:
        """The highest number up to which no chunk can still be on its way; None while there is none."""
        heard = [newest for newest in self._newest if newest is not None]
        if len(heard) < len(self._newest) and (self._by_stream or len(heard) < 2):
            return None
        return min(heard) if self._by_stream else max(heard)

    @property
    def before_proof(self) -> int | None:
        """`reached`, but not the newest chunk that proves whose it is: if the socket breaks, that one is repeated."""
        if self._proof is None or (reached := self.reached) is None or reached < self._proof:
            return self.reached
        return self._proof - 1 if self._first is not None and self._proof > self._first else None

    @property
    def highest(self) -> int | None:
        """The highest number of all: what is reached when nothing more comes."""
        return max((newest for newest in self._newest if newest is not None), default=None)


class Acknowledgements:
    """While one commit is flushed, chunks gather for the next."""

    def __init__(
        self,
        streams: int,
        commit: Callable[[], Awaitable[None]],
        tell: Callable[[int], Awaitable[None]],
        *,
        keeps_back: bool = False,
    ) -> None:
        """`commit` returns when everything heard before is on the disk; `tell` acknowledges up to a number.

        `keeps_back`: the newest chunk that proves whose it is stays unacknowledged, until the next or `KEPT_BACK_S`.
        """
        self._numbers = Numbers(streams)
        self._commit = commit
        self._tell = tell
        self._keeps_back = keeps_back
        self._told: int | None = None  # highest number acknowledged
        self._release_at = 0.0  # when the proof is kept back no more
        self._arrived = anyio.Event()
        self._settling = anyio.Lock()

    def received(self, stream: int, number: int, *, proves: bool = False) -> None:
        """The live encounter has heard this chunk."""
        keep = proves and self._keeps_back
        if keep:
            self._release_at = anyio.current_time() + KEPT_BACK_S
        self._numbers.received(stream, number, proves=keep)
        self._arrived.set()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        while True:
            with anyio.CancelScope(deadline=self._release_at if self._kept_back else math.inf):
                await self._arrived.wait()
            self._arrived = anyio.Event()
            async with self._settling:
                due = anyio.current_time() >= self._release_at
                await self._settle(self._numbers.reached if due else self._numbers.before_proof)

    async def finish(self) -> None:
        """Acknowledge everything: no more chunks come."""
        async with self._settling:
            await self._settle(self._numbers.highest)

    @property
    def _kept_back(self) -> bool:
        reached = self._numbers.reached
        return reached is not None and (self._told is None or reached > self._told)

    async def _settle(self, number: int | None) -> None:
        if number is not None and (self._told is None or number > self._told):
            await self._commit()
            self._told = number
            await self._tell(number)
