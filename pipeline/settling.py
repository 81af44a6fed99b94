"""Closed segments on their way to being committed: asked for, answered in any order, handed on in spoken order."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.drafting import Draft
from pipeline.errors import AuscultError
from pipeline.hallucination import believed, is_phantom
from pipeline.packing import unpacked
from pipeline.segmenter import Segment
from pipeline.types import Guard, Hypothesis, Pcm, RecognitionRequest, Word
from pipeline.voices import SegmentVoices

ATTEMPTS = 2  # how often a segment is sent to the recogniser before it counts as lost
ONSET = 1024  # samples, two windows: speech may begin that much earlier than it is detected


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """A closed segment."""

    segment: Segment
    draft: Draft  # what was shown of it while it was open
    voices: SegmentVoices | None = None  # None: it does not matter whose they are
    attempts: int = 0
    words: tuple[Word, ...] | None = None  # None: not answered yet
    error: AuscultError | None = None

    @property
    def settled(self) -> bool:
        return (self.words is not None or self.error is not None) and (self.voices is None or self.voices.complete)

    @property
    def certain(self) -> tuple[Word, ...]:
        """What is known to have been said: where the recogniser failed in the end, what was committed before."""
        return self.draft.agreement.committed if self.words is None else self.words


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Segments to be recognised together."""

    pending: tuple[Pending, ...]

    @property
    def first(self) -> Pending:
        return self.pending[0]

    def audio(self) -> Pcm:
        """One segment behind the other. Shape `(n,)`."""
        return np.concatenate([each.segment.pcm for each in self.pending])


class Settling:
    """One stream's closed segments. `pack`: samples that are recognised together; 0: each segment alone."""

    def __init__(self, pack: int) -> None:
        self.guarded: list[Guard] = []  # guards that took words away since somebody looked
        self._pack = pack
        self._pending: deque[Pending] = deque()  # in spoken order
        self._gathered: list[Pending] = []  # of these, the ones that wait for company
        self._asked: dict[RecognitionRequest, Group] = {}

    def __bool__(self) -> bool:
        return bool(self._pending)

    @property
    def waiting(self) -> int:
        """Samples that wait for the recogniser."""
        return sum(len(each.segment.pcm) for each in self._pending if not each.settled)

    def unsettled_from(self, default: int) -> int:
        """Where the first segment begins that is not committed yet; `default` where there is none."""
        return self._pending[0].segment.start if self._pending else default

    def close(self, segment: Segment, draft: Draft, voices: SegmentVoices | None = None) -> list[Group]:
        """Take a segment; return what is to be recognised now. One whose words are known already is not."""
        pending = Pending(segment=segment, draft=draft, voices=voices)
        self._pending.append(pending)
        known = draft.final_of(segment)
        if known is not None:
            self._settle((pending,), known)
            return []
        full = sum(len(each.segment.pcm) for each in self._gathered) + len(segment.pcm) > self._pack
        groups = self.flush() if full else []
        self._gathered.append(pending)
        return groups if self._pack else [*groups, *self.flush()]

    def flush(self) -> list[Group]:
        """What waits for company has waited enough."""
        gathered, self._gathered = self._gathered, []
        return [Group(pending=tuple(gathered))] if gathered else []

    def asked(self, group: Group, request: RecognitionRequest) -> None:
        """The group was sent to the recogniser with this request."""
        for each in group.pending:
            each.attempts += 1
        self._asked[request] = group

    def answer(self, request: RecognitionRequest, hypothesis: Hypothesis) -> None:
        """Take the words of a request; nothing happens where it was not one of ours."""
        group = self._asked.pop(request, None)
        if group is not None:
            self._settle(group.pending, hypothesis)

    def fail(self, request: RecognitionRequest, error: AuscultError) -> list[Group]:
        """The recogniser failed: return what is to be asked again, each segment alone; the rest is given up."""
        group = self._asked.pop(request, None)
        again: list[Group] = []
        for each in group.pending if group else ():
            alone = group is not None and len(group.pending) == 1
            if each.attempts < ATTEMPTS and (error.retryable or not alone):
                again.append(Group(pending=(each,)))
            else:
                each.error = error
        return again

    def take(self) -> Pending | None:
        """The next segment in spoken order, if it is settled."""
        return self._pending.popleft() if self._pending and self._pending[0].settled else None

    def _settle(self, pending: Sequence[Pending], hypothesis: Hypothesis) -> None:
        words, guard = believed(hypothesis)
        if guard is not None:
            self.guarded.append(guard)
        spans = [range(each.segment.start, each.segment.end) for each in pending]
        for each, part in zip(pending, unpacked(spans, words), strict=True):
            if is_phantom(part, each.segment.probability):
                self.guarded.append(Guard.PHANTOM)
                part = ()
            each.words = each.draft.agreement.settle(not_before(each.segment.speech_start, part))


def not_before(speech_start: int, words: Sequence[Word]) -> tuple[Word, ...]:
    """Some recognisers (Whisper) let the first word begin with the segment: it cannot begin in the pre-roll."""
    earliest = speech_start - ONSET
    return tuple(
        word if word.start >= earliest else replace(word, start=earliest, end=max(word.end, earliest)) for word in words
    )
