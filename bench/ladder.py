"""How many streams a server carries: rounds with more and more of them, until one is too many, then in between."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from bench.rounds import Round

DISTURBED = 0.25  # cores that others used: a round that failed meanwhile is measured again, and the calmer one counts
EXACT = 10  # the answer is exact up to this many streams, and within a tenth beyond


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """How many streams fit."""

    streams: int  # the most that did; 0: not even one
    too_many: int | None  # the fewest that did not, of those measured; None: that was not found out


class Ladder:
    """The rounds of one server, by their number of streams. None is begun after the deadline."""

    def __init__(self, measure: Callable[[int], Awaitable[Round]], *, most: int, deadline: float) -> None:
        self.rounds: dict[int, Round] = {}
        self._measure = measure
        self._most = most
        self._deadline = deadline  # monotonic
        self._repeated: set[int] = set()

    async def round(self, streams: int) -> Round | None:
        """The round with so many streams, measured if it was not yet; None where no time is left for it."""
        if streams not in self.rounds:
            if time.monotonic() >= self._deadline:
                return None
            self.rounds[streams] = await self._measure(streams)
        return self.rounds[streams]

    async def carried(self, fits: Callable[[Round], bool]) -> Carried:
        """The largest number of streams whose round fits, by doubling and then halving what is between."""
        fitting, streams, too_many = 0, 1, None
        while too_many is None:
            verdict = await self._fits(streams, fits)
            if verdict is None:
                return Carried(streams=fitting, too_many=None)
            if verdict:
                fitting = streams
                if streams == self._most:
                    return Carried(streams=fitting, too_many=None)
                streams = min(2 * streams, self._most)
            else:
                too_many = streams
        while too_many - fitting > max(1, fitting // EXACT):
            streams = (fitting + too_many) // 2
            verdict = await self._fits(streams, fits)
            if verdict is None:
                break
            fitting, too_many = (streams, too_many) if verdict else (fitting, streams)
        return Carried(streams=fitting, too_many=too_many)

    async def _fits(self, streams: int, fits: Callable[[Round], bool]) -> bool | None:
        measured = await self.round(streams)
        if measured is None or fits(measured):
            return None if measured is None else True
        if measured.other_cpu > DISTURBED and streams not in self._repeated and time.monotonic() < self._deadline:
            self._repeated.add(streams)
            again = await self._measure(streams)
            self.rounds[streams] = min(measured, again, key=lambda each: each.other_cpu)
        return fits(self.rounds[streams])
