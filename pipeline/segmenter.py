"""Windows and their probabilities of speech → segments: audio between endpoints, with pre-roll and hangover.

A segment reaches from a little before speech began (`pre_roll`, so that no soft onset is lost) to a little after it
ended (`hangover`). Speech longer than `max_segment` is cut at its quietest window near the limit, and the rest goes on
as the next segment. Segments never overlap and every window of speech is in exactly one.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.endpointing import QUIET, SPEAKING, STARTING, STOPPING, Change, Endpointing, Speech, Thresholds
from pipeline.types import SAMPLE_RATE, WINDOW, Checkpoint, Pcm

CUT_SEARCH = 3 * SAMPLE_RATE // WINDOW  # windows before the limit in which the quietest place for a cut is looked for
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
        self._kept: deque[Pcm] = deque()  # windows of the open segment, or the pre-roll while there is none
        self._kept_from = checkpoint.audio_from  # stream position of the first kept window
        self.position = checkpoint.audio_from  # first sample not yet received
        self.speech_start = checkpoint.audio_from  # of the open segment
        self.ordinal = checkpoint.segment  # of the open segment, or of the next one

    @property
    def open(self) -> bool:
        """Whether somebody is speaking (a pause shorter than the endpoint included)."""
        return self._endpointing.state in (SPEAKING, STOPPING)

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
        kept = list(self._kept)[: self._extent()]
        return np.concatenate(kept) if kept else np.zeros(0, np.float32)

    def remember(self, window: Pcm) -> None:
        """Take a window that was judged before the restart: it is only buffered."""
        self._keep(window)

    def receive(self, window: Pcm, probability: float) -> Segment | None:
        """Take the next window of `(512,)` samples; return the segment that it closed, if any."""
        self._keep(window)
        change = self._endpointing.receive(probability)
        if change is Change.BEGAN:
            self.speech_start = self.position - self._endpointing.lasted * WINDOW
        if change is Change.ENDED:
            return self._split(self._without_silence(self._endpointing.lasted), still_open=False)
        if not self.open:
            self._forget()
        elif len(self._kept) >= self._options.max_segment:
            return self._cut()
        return None

    def receive_end(self) -> Segment | None:
        """The stream ended: close what is open."""
        if not self.open:
            return None
        return self._split(self._extent(), still_open=False)

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

    def _keep(self, window: Pcm) -> None:
        self._kept.append(window)
        self.position += WINDOW

    def _forget(self) -> None:
        """Keep only the pre-roll, and the windows that may turn out to be the beginning of speech."""
        starting = self._endpointing.lasted if self._endpointing.state is STARTING else 0
        while len(self._kept) > self._options.pre_roll + starting:
            self._kept.popleft()
            self._kept_from += WINDOW

    def _extent(self) -> int:
        """Kept windows that belong to the segment if no more speech comes."""
        return self._without_silence(self._endpointing.lasted if self._endpointing.state is STOPPING else 0)

    def _without_silence(self, quiet: int) -> int:
        """Kept windows up to the hangover, when the last `quiet` ones held no speech."""
        at = len(self._kept) - max(0, quiet - self._options.hangover)
        return max(1, at)  # 1: a cut may have left nothing but silence

    def _cut(self) -> Segment:
        """Close in the middle of speech, at the quietest window near the limit."""
        newest = len(self._kept) - CUT_MARGIN
        candidates: NDArray[np.float32] = np.array(
            [np.dot(w, w) for w in list(self._kept)[max(1, newest - CUT_SEARCH) : newest]], np.float32
        )
        at = max(1, newest - CUT_SEARCH) + int(candidates.argmin()) if len(candidates) else len(self._kept)
        return self._split(at, still_open=True)

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
        pcm = np.concatenate(taken)
        return Segment(ordinal=ordinal, start=start, speech_start=speech_start, pcm=pcm, resume=self.resume())
