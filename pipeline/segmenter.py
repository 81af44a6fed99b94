"""Windows and their probabilities of speech → segments: audio between endpoints, with pre-roll and hangover.

A segment reaches from a little before speech began (`pre_roll`, so that no soft onset is lost) to a little after it
ended (`hangover`). Speech longer than `max_segment` is cut at its quietest window near the limit, and the rest goes on
as the next segment. Segments never overlap and every window of speech is in exactly one.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from pipeline.endpointing import QUIET, SPEAKING, STARTING, STOPPING, Change, Endpointing, Speech, Thresholds
from pipeline.types import SAMPLE_RATE, WINDOW, Checkpoint, Pcm

CUT_SEARCH = 3 * SAMPLE_RATE // WINDOW  # windows before the limit in which the quietest place for a cut is looked for
CUT_SPAN = 3  # windows, 96 ms: longer than the silence within a consonant (some 60 ms), shorter than most pauses
CUT_MARGIN = SAMPLE_RATE // 5 // WINDOW  # the newest windows, left out of that search: speech may just be dipping


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterOptions:
    """Lengths in windows of 32 ms."""

    thresholds: Thresholds = field(default_factory=Thresholds)
    pre_roll: int = 10
    hangover: int = 5
    max_segment: int = 469  # 15 s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segment:
    """Audio between endpoints. `resume` says where endpointing stood right behind it."""

    ordinal: int
    start: int  # first sample in the stream
    speech_start: int  # where speech began, behind the pre-roll
    pcm: Pcm
    probability: float  # mean probability of speech in the windows that were not quiet
    resume: Checkpoint

    @property
    def end(self) -> int:
        return self.start + len(self.pcm)


class Segmenter:
    """Windows in, closed segments out; the open one can be looked at. One per stream."""

    def __init__(self, options: SegmenterOptions, checkpoint: Checkpoint) -> None:
        self._options = options
        self._endpointing = Endpointing(options.thresholds, Speech(checkpoint.speech), checkpoint.windows)
        self.judge_from = checkpoint.position  # windows before it were judged before the restart
        self._kept: deque[_Kept] = deque()  # windows of the open segment, or the pre-roll while there is none
        self._kept_from = checkpoint.audio_from  # stream position of the first kept window
        self.position = checkpoint.audio_from  # first sample not yet received
        self.speech_start = checkpoint.audio_from  # of the open segment
        self.ordinal = checkpoint.segment  # of the open segment, or of the next one

    @property
    def open(self) -> bool:
        """Whether somebody is speaking (a pause shorter than the endpoint included)."""
        return self._endpointing.state in (SPEAKING, STOPPING)

    @property
    def pause(self) -> int:
        """Windows for which the speaker has been silent in the open segment; 0 while they speak."""
        return self._endpointing.lasted if self._endpointing.state is STOPPING else 0

    @property
    def starting(self) -> bool:
        """Whether the last windows may be the beginning of speech."""
        return self._endpointing.state is STARTING

    @property
    def start(self) -> int:
        """First sample of the open segment (or of the pre-roll)."""
        return self._kept_from

    @property
    def length(self) -> int:
        """Samples that the open segment would have if its speech were over: silence counts up to the hangover."""
        return self._extent() * WINDOW

    def audio(self) -> Pcm:
        """That much of the open segment: always the beginning of what it will be. Shape `(length,)`."""
        kept = [each.window for each in islice(self._kept, self._extent())]
        return np.concatenate(kept) if kept else np.zeros(0, np.float32)

    @property
    def probability(self) -> float:
        """Mean probability of speech in the windows of the open segment that were not quiet."""
        return self._probability(islice(self._kept, self._extent()))

    def remember(self, window: Pcm) -> None:
        """Take a window that was judged before the restart: it is only buffered."""
        self._keep(window, None)

    def receive(self, window: Pcm, probability: float) -> Segment | None:
        """Take the next window of `(512,)` samples; return the segment that it closed, if any."""
        self._keep(window, probability)
        change = self._endpointing.receive(probability)
        if change is Change.BEGAN:
            self.speech_start = self.position - self._endpointing.lasted * WINDOW
        if change is Change.ENDED:
            return self._end(self._endpointing.lasted)
        if not self.open:
            self._forget()
        elif len(self._kept) >= self._options.max_segment:
            return self._cut()
        return None

    def end(self) -> Segment | None:
        """Close what is open: the speaker has finished, or the stream has ended."""
        return self._end(self.pause) if self.open else None

    def resume(self) -> Checkpoint:
        """Where a rebuilt segmenter would have to start now. Only meaningful while no segment is open."""
        state = self._endpointing.state if self.open else QUIET
        return Checkpoint(
            audio_from=self._kept_from,
            position=self.position,
            segment=self.ordinal,
            speech=str(state),
            windows=self._endpointing.lasted,
        )

    def _keep(self, window: Pcm, probability: float | None) -> None:
        self._kept.append(_Kept(window, probability))
        self.position += WINDOW

    def _forget(self) -> None:
        """Keep only the pre-roll, and the windows that may turn out to be the beginning of speech."""
        starting = self._endpointing.lasted if self._endpointing.state is STARTING else 0
        while len(self._kept) > self._options.pre_roll + starting:
            self._kept.popleft()
            self._kept_from += WINDOW

    def _extent(self) -> int:
        """Kept windows that belong to the segment if no more speech comes."""
        return self._without_silence(self.pause)

    def _without_silence(self, quiet: int) -> int:
        """Kept windows up to the hangover, when the last `quiet` ones held no speech."""
        at = len(self._kept) - max(0, quiet - self._options.hangover)
        return max(1, at)  # 1: a cut may have left nothing but silence

    def _end(self, quiet: int) -> Segment:
        return self._split(self._without_silence(quiet), still_open=False)

    def _cut(self) -> Segment:
        """Close in the middle of speech, in the middle of the quietest stretch near the limit."""
        newest = len(self._kept) - CUT_MARGIN
        oldest = max(1, newest - CUT_SEARCH, (self.speech_start - self._kept_from) // WINDOW + 1)
        energies = [float(np.dot(each.window, each.window)) for each in islice(self._kept, oldest, newest)]
        at = oldest + _quietest(energies) if energies else len(self._kept)
        return self._split(at, still_open=True)

    def _probability(self, kept: Iterable["_Kept"]) -> float:
        """1 where nothing is known: what was judged before a restart was judged as speech."""
        voiced = [p for _, p in kept if p is not None and p >= self._options.thresholds.end]
        return sum(voiced) / len(voiced) if voiced else 1.0

    def _split(self, at: int, *, still_open: bool) -> Segment:
        """The first `at` kept windows become the segment; the rest stays."""
        start, speech_start, ordinal = self._kept_from, self.speech_start, self.ordinal
        taken = [self._kept.popleft() for _ in range(at)]
        self._kept_from += at * WINDOW
        self.speech_start = self._kept_from
        self.ordinal += 1
        if not still_open:
            self._endpointing = Endpointing(self._options.thresholds)
            self._forget()
        return Segment(
            ordinal=ordinal,
            start=start,
            speech_start=speech_start,
            pcm=np.concatenate([each.window for each in taken]),
            probability=self._probability(taken),
            resume=self.resume(),
        )


class _Kept(NamedTuple):
    """A window, and how probable speech is in it (None: judged before a restart)."""

    window: Pcm
    probability: float | None


def _quietest(energies: Sequence[float]) -> int:
    """Where the quietest stretch of `CUT_SPAN` windows has its middle: a pause, not the closure of a consonant."""
    span = min(CUT_SPAN, len(energies))
    sums = np.convolve(np.array(energies), np.ones(span), "valid")
    return int(sums.argmin()) + span // 2
