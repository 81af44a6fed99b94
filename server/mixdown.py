"""Several streams of one consultation → one stretch of audio, in order and as soon as all of it is there. Pure."""

from dataclasses import dataclass

import numpy as np

from pipeline.types import SAMPLE_RATE, Pcm

MOST = 5 * SAMPLE_RATE  # samples that are given out at a time


@dataclass(slots=True, eq=False)
class _Source:
    reached: int = 0  # sample up to which its audio is known
    over: bool = False


class Mixdown:
    """The sum of streams from sample `begin` to `end` (None: to the end of the longest), clipped to [-1, 1]."""

    def __init__(self, sources: int, begin: int, end: int | None) -> None:
        self._sources = [_Source() for _ in range(sources)]
        self._end = end
        self._at = begin
        self._blocks: list[tuple[int, Pcm]] = []

    @property
    def complete(self) -> bool:
        """Whether nothing more is going to come out."""
        return self._at >= self._frontier() and (
            all(source.over for source in self._sources) or (self._end is not None and self._at >= self._end)
        )

    def wanted(self) -> int:
        """Whose next block is needed first."""
        open_ones = [number for number, source in enumerate(self._sources) if not source.over]
        return min(open_ones, key=lambda number: self._sources[number].reached)

    def add(self, source: int, start: int, pcm: Pcm) -> None:
        """The next block of a stream."""
        behind = start + len(pcm)
        self._sources[source].reached = behind
        if behind > self._at:
            self._blocks.append((start, pcm))

    def end(self, source: int) -> None:
        """No more blocks of a stream will come."""
        self._sources[source].over = True

    def take(self) -> Pcm:
        """What can be given out now, at most `MOST`; empty: nothing before another block. Shapes: `(n_samples,)`."""
        until = min(self._frontier(), self._at + MOST)
        mixed = np.zeros(max(0, until - self._at), np.float32)
        for start, pcm in self._blocks:
            first, last = max(start, self._at), min(start + len(pcm), until)
            if first < last:
                mixed[first - self._at : last - self._at] += pcm[first - start : last - start]
        self._at += len(mixed)
        self._blocks = [(start, pcm) for start, pcm in self._blocks if start + len(pcm) > self._at]
        return np.clip(mixed, -1, 1)

    def _frontier(self) -> int:
        """Up to where every stream is known."""
        still = [source.reached for source in self._sources if not source.over]
        known = min(still) if still else max(source.reached for source in self._sources)
        return known if self._end is None else min(known, self._end)
