"""Cumulative acknowledgements of one socket: which number may be told, and when."""

import math
from collections.abc import Awaitable, Callable

import anyio

from server.ingest.acknowledging import Acknowledgements

NONE = -1  # before the lowest number there can be
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


class NumberedAcknowledgements:
    """Acknowledgements of a socket's chunks by their numbers."""

    def __init__(
        self,
        streams: int,
        commit: Callable[[], Awaitable[None]],
        tell: Callable[[int], Awaitable[None]],
        *,
        keeps_back: bool = False,
    ) -> None:
        """`commit` and `tell`: see `Acknowledgements`.

        `keeps_back`: the newest chunk that proves whose it is stays unacknowledged, until the next or `KEPT_BACK_S`.
        """
        self._numbers = Numbers(streams)
        self._keeps_back = keeps_back
        self._kept = anyio.Event()  # a chunk is kept back
        self._release_at = -math.inf  # until when it is
        self._ended = False
        self._acknowledgements = Acknowledgements(self._due, commit, tell, told=NONE)

    def received(self, stream: int, number: int, *, proves: bool = False) -> None:
        """The live encounter has heard this chunk."""
        keep = proves and self._keeps_back
        self._numbers.received(stream, number, proves=keep)
        if keep:
            self._release_at = anyio.current_time() + KEPT_BACK_S
            self._kept.set()
        self._acknowledgements.arrived()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._acknowledgements.run)
            while True:
                await self._kept.wait()
                self._kept = anyio.Event()
                await anyio.sleep_until(self._release_at)  # the promised bound, not a poll
                self._acknowledgements.arrived()

    async def finish(self) -> None:
        """Acknowledge everything: no more chunks come."""
        self._ended = True
        await self._acknowledgements.settle()

    def _due(self) -> int:
        if self._ended:
            number = self._numbers.highest
        elif anyio.current_time() < self._release_at:
            number = self._numbers.before_proof
        else:
            number = self._numbers.reached
        return NONE if number is None else number
