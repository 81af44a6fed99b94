"""How many live streams this machine carries: what a stream asks for, as measured, times what that costs, as measured.

A stream takes time of the engine, and what its upkeep takes: it is decoded, listened to, told and stored by one thread,
on the cores that an engine on a CPU computes with; so are voiceprints, by a thread of their own. Texts that may become
final are counted in full. Partials give way when there is much to do, because of each stream only the newest waits;
they are counted as often as they must come for what is shown to be fresh.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass

from pipeline.costs import CallCost, Costs
from pipeline.types import SAMPLE_RATE, RecognitionRequest

BUSY = 0.75  # of what there is, at most: nearer to all of it, lines grow long by chance alone
PARTIAL_EVERY_S = 1.0  # of speech: with what it takes to answer, what is shown is at most 1.5 s old
TOGETHER_S = 0.5  # a call is counted with as many requests as arrive in this time and as it takes for this long
REMEMBERED_S = 120.0  # how long what streams ask for counts, fading
ASSUMED_S = 60.0  # stream-seconds that the assumed demand weighs: one stream's minute says as much
MOST = 10_000  # streams: nobody needs to know of more


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a live stream asks of the recogniser, on average in a second."""

    wholes: float  # requests whose answer may become final
    whole_s: float  # seconds of audio in each
    speech: float  # share of its time that is speech
    partial_s: float  # seconds of audio in a partial request
    voices: float = 0.0  # seconds of a core that its voiceprints take


ASSUMED = Demand(wholes=0.25, whole_s=4.0, speech=0.5, partial_s=3.0)
"""Before anything was measured: half of the time a sentence of 4 s, recognised as if it had ended, and once more."""


@dataclass(slots=True)
class _Stream:
    """How much was heard of a stream's newest segment."""

    segment: int = -1
    heard: int = 0  # samples


@dataclass(slots=True)
class _Seen:
    """Fading sums over all live streams."""

    streams: float = 0.0  # stream-seconds
    wholes: float = 0.0
    whole_s: float = 0.0
    speech_s: float = 0.0
    partials: float = 0.0
    partial_s: float = 0.0
    voices_s: float = 0.0

    def fade(self, kept: float) -> None:
        self.streams *= kept
        self.wholes *= kept
        self.whole_s *= kept
        self.speech_s *= kept
        self.partials *= kept
        self.partial_s *= kept
        self.voices_s *= kept


class Capacity:
    """See the module. Times are seconds on any one clock that does not go back."""

    def __init__(self, costs: Costs, *, lanes: int = 1, max_batch: int = 1) -> None:
        self.lanes = lanes  # calls at the same time
        self.max_batch = max_batch  # requests in a call
        self.upkeep = 0.0  # seconds of a core in a second that a stream takes besides calls
        self.cores = 1
        self._costs = costs
        self._streams: dict[str, _Stream] = {}  # live ones that have asked for something
        self._seen = _Seen()
        self._until = 0.0  # `_seen` holds what was up to then

    def receive(self, request: RecognitionRequest, now: float) -> None:
        """A stream asks for something. What files ask for does not count: they wait."""
        if not request.live:
            return
        self.pass_time(now)
        stream = self._streams.setdefault(request.stream_id, _Stream())
        seen, seconds = self._seen, len(request.pcm) / SAMPLE_RATE
        if request.segment > stream.segment:
            stream.segment, stream.heard = request.segment, 0
        if request.segment == stream.segment:
            seen.speech_s += max(0, len(request.pcm) - stream.heard) / SAMPLE_RATE
            stream.heard = max(stream.heard, len(request.pcm))
        if request.purpose.whole:
            seen.wholes += 1
            seen.whole_s += seconds
        else:
            seen.partials += 1
            seen.partial_s += seconds

    def voiced(self, stream_id: str, seconds: float, now: float) -> None:
        """A stream's voiceprints took so many seconds of a core. Those of files do not count, either."""
        if stream_id in self._streams:
            self.pass_time(now)
            self._seen.voices_s += seconds

    def forget(self, stream_id: str, now: float) -> None:
        """The stream has ended."""
        self.pass_time(now)
        self._streams.pop(stream_id, None)

    def pass_time(self, now: float) -> None:
        """Time goes on, and every stream that is there has lived so much longer."""
        passed = max(0.0, now - self._until) if self._until else 0.0
        self._until = now
        kept = math.exp(-passed / REMEMBERED_S)
        self._seen.fade(kept)
        self._seen.streams += len(self._streams) * REMEMBERED_S * (1 - kept)

    @property
    def demand(self) -> Demand:
        """What was seen, and what is assumed as long as little was."""
        seen, streams = self._seen, self._seen.streams + ASSUMED_S
        wholes = seen.wholes + ASSUMED_S * ASSUMED.wholes
        partials = seen.partials + ASSUMED_S * ASSUMED.speech
        return Demand(
            wholes=wholes / streams,
            whole_s=(seen.whole_s + ASSUMED_S * ASSUMED.wholes * ASSUMED.whole_s) / wholes,
            speech=min(1.0, (seen.speech_s + ASSUMED_S * ASSUMED.speech) / streams),
            partial_s=(seen.partial_s + ASSUMED_S * ASSUMED.speech * ASSUMED.partial_s) / partials,
            voices=seen.voices_s / streams,
        )

    def load(self, streams: int) -> float:
        """Share of what there is that so many streams take; above 1 it cannot follow."""
        demand = self.demand
        wholes = self._busy(self._costs.whole, streams * demand.wholes, demand.whole_s)
        partials = self._busy(self._costs.partial, streams * demand.speech / PARTIAL_EVERY_S, demand.partial_s)
        upkeep = streams * self.upkeep  # of the one thread
        voices = streams * demand.voices  # of another thread
        return max((wholes + partials) / self.lanes + (upkeep + voices) / self.cores, upkeep, voices)

    def streams_carried(self) -> int:
        """How many live streams this machine carries, by what is known now; at least one."""
        return max(1, bisect_right(range(MOST + 1), BUSY, key=self.load) - 1)

    def _busy(self, cost: CallCost, rate: float, seconds: float) -> float:
        """Seconds of calls in a second, for so many requests in a second, of so many seconds of audio each."""
        each = cost.each(max(seconds, self._costs.window / SAMPLE_RATE))
        arriving = rate * TOGETHER_S / self.lanes
        taken = (TOGETHER_S - cost.call) / each if each else arriving
        together = max(1.0, min(self.max_batch, arriving, taken))
        return rate * (cost.call / together + each)
