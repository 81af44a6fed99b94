"""What a call of the recogniser costs: fitted to what was measured, used to say what comes next.

On a graphics card eight requests in one call cost little more than one; on a small CPU they cost eight times as much.
So how many go together is not a setting: it follows from the measured cost, and so does how many streams a machine
carries (`pipeline.capacity`).
"""

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Purpose, RecognitionRequest

REMEMBERED = 0.98  # weight that a measurement keeps when the next one comes: about the last fifty count
OUTLIER = 3.0  # a call that took so many times what was expected, or as little, counts as that and no more
SETTLED = 6  # measurements behind which an outlier can be told
SWEEPS = 30  # of coordinate descent; each fit goes on where the last one stopped
SHORTEST_S = 1e-4  # a call that took less is measured as this, so that shares of it mean something
PROBE_S = (2, 8)  # seconds of audio in the calls that `probes` makes
PROBE_BATCH = 2  # requests of the shorter kind in one of them
PROBE_LEVEL = 0.05  # of their noise: root mean square, as of quiet speech
WORDS_PER_S = 3  # of speech: nobody says much more, and an engine that writes them takes its time for each
PROBE_TEXT = (  # of which a probe has as many words as would be said in its time
    "the patient has had a dry cough for two weeks and takes no other medicine at the moment but says that it is worse "
    "at night when lying down"
)


class CallCost:
    """Seconds of one call ≈ `call` + `item` · requests + `second` · seconds of audio in all of them.

    A fit by least squares of relative errors, none of the three below zero. The first measurement is forgotten when
    the second comes: an engine's first call pays for its warm-up.
    """

    def __init__(self) -> None:
        self._fit = np.array([0.0, 0.1, 0.05])  # call, item, second: a guess that makes no batches
        self._anchors = _Sums()  # calibration: kept, or a time of single calls would wipe out what a batch costs
        self._recent = _Sums()
        self._drift = 1.0  # times what calls took at calibration they take now, with other work around them
        self._measured = 0

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return self._measured > 0

    @property
    def call(self) -> float:
        """Seconds that a call costs however much is in it."""
        return float(self._fit[0])

    def each(self, seconds: float) -> float:
        """Seconds that one more request costs, of so many seconds of audio."""
        return float(self._fit[1] + self._fit[2] * seconds)

    def predict(self, requests: float, seconds: float) -> float:
        """Seconds of a call with so many requests and, in all, so many seconds of audio."""
        return float(self._fit @ (1.0, requests, seconds))

    def observe(self, requests: int, seconds: float, took: float, *, anchor: bool = False) -> None:
        """A call took so long. `anchor`: it was made to measure."""
        if self._measured == 1:
            self._anchors, self._recent = _Sums(), _Sums()
        scale = took = max(took, SHORTEST_S)
        if self._measured >= SETTLED:
            scale = max(self.predict(requests, seconds), SHORTEST_S)
            took = min(max(took, scale / OUTLIER), scale * OUTLIER)
            self._drift *= (took / scale) ** (1 - REMEMBERED)
        self._measured += 1
        self._recent.fade(REMEMBERED)
        (self._anchors if anchor else self._recent).add(np.array([1.0, requests, seconds]) / scale, took / scale)
        self._solve()

    def batch(self, waiting: float, seconds: float) -> int:
        """How many of the requests that wait for a lane one call should take, each of so many seconds of audio.

        Calls of n serve a line of w in w/n calls of `call` + n · `each`, and nobody in a call is answered before all
        of it is. So on average a request waits w · call / 2n for what is before it, and n · each / 2 longer for its
        company, than if work alone took time. One more in a call helps while n · (n − 1) < w · call / each.
        """
        ratio = waiting * self.call / max(self.each(seconds), SHORTEST_S)
        return max(1, int((1 + math.sqrt(1 + 4 * ratio)) / 2))

    def _solve(self) -> None:
        """Coordinate descent. What cannot be told apart is put down to the audio first, to the call last."""
        squares = self._anchors.squares / self._drift**2 + self._recent.squares
        targets = self._anchors.targets / self._drift + self._recent.targets
        for _ in range(SWEEPS):
            for index in (2, 1, 0):
                step = (targets[index] - squares[index] @ self._fit) / squares[index, index]
                self._fit[index] = max(0.0, self._fit[index] + step)


class _Sums:
    """The normal equations of measurements, each divided by what was expected of it."""

    def __init__(self) -> None:
        self.squares: NDArray[np.float64] = np.zeros((3, 3))
        self.targets: NDArray[np.float64] = np.zeros(3)

    def fade(self, kept: float) -> None:
        self.squares *= kept
        self.targets *= kept

    def add(self, features: NDArray[np.float64], took: float) -> None:
        """Shape `(3,)`."""
        self.squares += np.outer(features, features)
        self.targets += features * took


class Costs:
    """Texts that may become final are decoded with more care than partials, so each kind has a cost of its own."""

    def __init__(self, window: int = 0) -> None:
        self.window = window  # samples that the engine computes at least for a request
        self.forget()

    def forget(self) -> None:
        """Nothing was measured."""
        self.whole = CallCost()
        self.partial = CallCost()

    def seconds(self, *requests: RecognitionRequest) -> float:
        """Seconds of audio that the engine computes for these requests."""
        return sum(max(len(request.pcm), self.window) for request in requests) / SAMPLE_RATE

    def of(self, request: RecognitionRequest) -> CallCost:
        """The cost of requests like this one."""
        return self.whole if request.purpose.whole else self.partial

    def predict(self, batch: Sequence[RecognitionRequest]) -> float:
        """Seconds that a call with these requests will take, all of them of one kind."""
        return self.of(batch[0]).predict(len(batch), self.seconds(*batch))

    def observe(self, batch: Sequence[RecognitionRequest], took: float, *, anchor: bool = False) -> None:
        """A call with these requests took so many seconds. Later tries at a temperature cost otherwise: not counted."""
        if batch[0].temperature == 0:
            self.of(batch[0]).observe(len(batch), self.seconds(*batch), took, anchor=anchor)


Probe: TypeAlias = tuple[tuple[RecognitionRequest, ...], ...]
"""Calls to be made at the same time, one on each lane, because each slows the others down."""


def probes(max_batch: int, language: str, lanes: int = 1) -> Iterator[Probe]:
    """Calls to measure an engine by, the cheap ones first: two lengths of audio and, where it can, two in one batch.

    What is heard is noise, for which an engine writes hardly a word; so what it is to write is given, as words that are
    committed: one that decodes behind them steps through them, which costs what writing them would. The first of each
    kind is the warm-up that `CallCost` forgets. A partial and the final behind it are about the same segment, as in
    life: an engine that decodes while a segment grows has less to do for the second.
    """
    short, long = PROBE_S
    together = min(PROBE_BATCH, max_batch)
    shapes = [(1, short), (1, short), *([(together, short)] if together > 1 else []), (1, long)]
    noise = np.random.default_rng(0).standard_normal(long * SAMPLE_RATE).astype(np.float32) * PROBE_LEVEL

    def call(lane: int, segment: int, purpose: Purpose, count: int, seconds: int) -> tuple[RecognitionRequest, ...]:
        return tuple(
            RecognitionRequest(
                stream_id=f"calibration/{lane}/{index}",
                segment=segment,
                purpose=purpose,
                start=0,
                pcm=noise[: seconds * SAMPLE_RATE],
                language=language,
                committed=" ".join(PROBE_TEXT.split()[: WORDS_PER_S * seconds]),
            )
            for index in range(count)
        )

    for segment, (count, seconds) in enumerate(shapes):
        for purpose in (Purpose.REFRESH, Purpose.FINAL):
            yield tuple(call(lane, segment, purpose, count, seconds) for lane in range(lanes))
