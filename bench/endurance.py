"""Whether a long stream stays as it began: the time to final text, and the server's memory. Pure.

Minutes count the stream's own time. Memory is resident memory of the server and all it started; the median of half a
minute, because a single sample may meet a batch in work.
"""

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from bench.recordings import TruthItem
from bench.score import Spread

MINUTE_MS = 60_000
COMPARED_MIN = 5.0  # minutes at the beginning and at the end whose TTFS is compared
WARM_MIN = 1.0  # after which memory should not grow any more
SAMPLED_MIN = 0.5
SHORTEST_MIN = 2 * (WARM_MIN + SAMPLED_MIN)  # of a stream, for its memory to be compared


class Endurance(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning and the end of one stream."""

    minutes: float
    first_ttfs_ms: Spread | None  # of what was said in the first five minutes, or the first half of a shorter stream
    last_ttfs_ms: Spread | None
    ttfs_change: float | None  # of the median: 0.1 is 10 % slower at the end
    warm_rss_mb: float | None  # after the first minute
    last_rss_mb: float | None
    rss_growth_mb: float | None


def endurance(
    timed: Iterable[tuple[TruthItem, float]], memory: Sequence[tuple[float, int]], *, minutes: float
) -> Endurance:
    """`timed`: what was said, and its TTFS. `memory`: minute of the stream and resident bytes, of each sample."""
    compared_ms = min(COMPARED_MIN, minutes / 2) * MINUTE_MS
    delays = [(said.end_ms, delay) for said, delay in timed]
    first = Spread.of([delay for end_ms, delay in delays if end_ms < compared_ms])
    last = Spread.of([delay for end_ms, delay in delays if end_ms >= minutes * MINUTE_MS - compared_ms])
    long = minutes >= SHORTEST_MIN
    warm = _median_mb(memory, WARM_MIN) if long else None
    end = _median_mb(memory, minutes - SAMPLED_MIN) if long else None
    return Endurance(
        minutes=minutes,
        first_ttfs_ms=first,
        last_ttfs_ms=last,
        ttfs_change=round(last.median / first.median - 1, 4) if first and last and first.median else None,
        warm_rss_mb=warm,
        last_rss_mb=end,
        rss_growth_mb=round(end - warm, 1) if warm is not None and end is not None else None,
    )


def _median_mb(memory: Iterable[tuple[float, int]], from_minute: float) -> float | None:
    taken = [size for minute, size in memory if from_minute <= minute < from_minute + SAMPLED_MIN]
    return round(float(np.median(taken)) / 1e6, 1) if taken else None
