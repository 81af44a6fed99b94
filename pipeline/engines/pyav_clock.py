"""Bytes, container times and stream samples: which belongs to which. Plain bookkeeping, without libav.

Three clocks meet in a decoder. Byte offsets order what was received; container times say when it was spoken, where a
container has them; stream samples are what was decoded, without a hole. `Clock` keeps the last two together,
`RestartIndex` the first and the last.
"""

from collections import deque
from dataclasses import dataclass
from threading import Lock

from pipeline.types import SAMPLE_RATE, RestartPoint, to_samples

TOLERANCE = to_samples(60)  # between container time and samples: rounding, jitter, single lost packets
ROUNDING = to_samples(2)  # Matroska's times are whole milliseconds
MAX_SILENCE = 600 * SAMPLE_RATE  # for one hole; a longer one is a clock that was set, not audio that is missing
MAX_SILENCE_IN_ALL = 2 * 3600 * SAMPLE_RATE  # a few bytes of invented times must not become years of silence
RECORDER_START = SAMPLE_RATE  # times that jump back to their first second: the recorder began again
MAX_STRAY = 33 * SAMPLE_RATE  # how far damage can lead times astray: Matroska counts 16-bit ms within a cluster

WARM_UP = SAMPLE_RATE // 2  # decoded before a position, so that codec and resampler have forgotten where they began
SPACING = SAMPLE_RATE // 4  # between two restart points that are kept
MAX_POINTS = 512  # beyond it, every second point is given up
MAX_WAITING = 4096  # restart points seen by the scanner, not yet reached by the decoder


class Clock:
    """Relates container times to stream samples and finds the holes. One per stream. Units: samples, as floats.

    A time that deviates is believed when the next one agrees: damage produces odd ones. Then

    - ahead of the samples: audio was lost, and silence of that length is missing (up to a bound; beyond it, and
    - behind them by much, or back at the start: a clock that was set) times begin anew from where the stream stands;
    - behind them by less: damage or drift; the stream simply goes on, and the next hole is that much shorter.
    """

    def __init__(self) -> None:
        self.origin: float | None = None  # stream position minus container time; the first frame of a file sets it
        self._anchor: float | None = None
        self._deviation = 0.0  # of the last frame, while it is beyond tolerance
        self._silence_left = MAX_SILENCE_IN_ALL

    @property
    def doubtful(self) -> bool:
        """Whether a hole was seen just now that the next frame has to confirm."""
        return self._deviation > 0

    def begin_file(self) -> None:
        """Times begin anew."""
        self.origin = self._anchor = None
        self._deviation = 0.0

    def resume(self, *, origin: float, time: float) -> None:
        """A restarted decoder comes to its first packet: decoded or not, it belongs to where the stream now stands."""
        self.origin, self._anchor = origin, time

    def hole_before(self, time: float, at: float) -> int:
        """Samples of silence that belong before a frame with this container time, which would otherwise lie at `at`."""
        if self._anchor is not None:
            lead, self._anchor = time - self._anchor, None
            return self._silence(lead) if lead > ROUNDING else 0
        if self.origin is None:
            self.origin = at - time
        deviation, before = self.origin + time - at, self._deviation
        self._deviation = deviation if abs(deviation) > TOLERANCE else 0.0
        if not self._deviation or before * deviation <= 0 or abs(deviation) < abs(before) - TOLERANCE:
            return 0
        if deviation < 0 and deviation > -MAX_STRAY and time > RECORDER_START:
            return 0
        silence = self._silence(deviation) if deviation > 0 else 0
        self.origin -= deviation - silence
        self._deviation = 0.0
        return silence

    def _silence(self, hole: float) -> int:
        silence = min(round(hole), MAX_SILENCE, self._silence_left)
        self._silence_left -= silence
        return silence


@dataclass(frozen=True, slots=True)
class _Point:
    ready: int  # the first sample that a restart there decodes as if it had never stopped
    restart: RestartPoint


class RestartIndex:
    """The restart points of one stream, written by the thread that decodes, read by the loop that asks."""

    def __init__(self, first: RestartPoint) -> None:
        self._lock = Lock()
        self._points = [_Point(first.position, first)]
        self._spacing = SPACING
        self._waiting: deque[RestartPoint] = deque(maxlen=MAX_WAITING)

    def begin_file(self, restart: RestartPoint) -> None:
        """Another file begins here; what begins anew needs no warm-up."""
        self._waiting.clear()
        self._add(_Point(restart.position, restart))

    def expect(self, restart: RestartPoint) -> None:
        """A demuxer could begin at this byte; where its audio lies is not known yet."""
        self._waiting.append(restart)

    def reach(self, offset: int) -> RestartPoint | None:
        """The decoder has come to a packet at this byte: the last expected point that leads to it, once."""
        reached = None
        while self._waiting and self._waiting[0].offset <= offset:
            reached = self._waiting.popleft()
        return reached

    def add(self, restart: RestartPoint) -> None:
        """A restart point inside a file, behind all that were added before."""
        if restart.position >= self._points[-1].restart.position + self._spacing:
            self._add(_Point(restart.position + WARM_UP, restart))

    def at(self, position: int) -> RestartPoint:
        """The latest point from which the audio at `position` can be decoded. Earlier ones are given up."""
        with self._lock:
            ready = (index for index in range(len(self._points) - 1, 0, -1) if self._points[index].ready <= position)
            del self._points[: next(ready, 0)]
            if len(self._points) < MAX_POINTS // 2:
                self._spacing = SPACING
            return self._points[0].restart

    def _add(self, point: _Point) -> None:
        with self._lock:
            self._points.append(point)
            if len(self._points) > MAX_POINTS:
                del self._points[1:-1:2]
                self._spacing *= 2
