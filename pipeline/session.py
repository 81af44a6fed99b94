"""The heart: one audio stream, all stages composed, sans-I/O.

Feed it (`receive_audio`, `receive_end`, `receive_hypothesis`, `receive_failure`, `fail`), then ask it
(`recognition_requests`, `events`, `finished`). Feeding never raises for bad input. Voice activity detection is fast and
deterministic, so it is called in place; recognition is slow and shared, so it is requested and answered. Answers may
come in any order; what is committed comes out in the order in which it was spoken.
"""

from collections import deque
from dataclasses import dataclass, field, replace

from pipeline.agreement import LocalAgreement
from pipeline.attribution import role_of
from pipeline.errors import AuscultError
from pipeline.events import Committed, Event, Partial, PartialWithdrawn, SegmentLost, StreamFailed, StreamFinished
from pipeline.hallucination import heard
from pipeline.pcm import Windower
from pipeline.ports import VoiceActivityModel
from pipeline.segmenter import Segment, Segmenter, SegmenterOptions
from pipeline.transcript import item_id, utterances
from pipeline.types import (
    SAMPLE_RATE,
    WINDOW,
    Checkpoint,
    Hypothesis,
    Pcm,
    Purpose,
    RecognitionRequest,
    StreamOptions,
    Utterance,
    Word,
)

IDLE_CHECKPOINT = 30 * SAMPLE_RATE  # samples of silence after which a checkpoint is worth writing
CONTEXT_CHARACTERS = 400  # of committed text handed on as prompt; Whisper reads at most 224 tokens
ONSET = 2 * WINDOW  # samples: detection may come that much later than the speech itself
ATTEMPTS = 2  # how often a segment is sent to the recogniser before it counts as lost


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a stream is cut and how often its open segment is looked at."""

    segmenter: SegmenterOptions = field(default_factory=SegmenterOptions)
    partial_interval: int = SAMPLE_RATE * 6 // 10  # samples between two partials; 0 asks for none


@dataclass(slots=True, kw_only=True)
class _Pending:
    """A closed segment on its way through the recogniser."""

    segment: Segment
    attempts: int = 1
    words: tuple[Word, ...] | None = None  # None: not answered yet
    error: AuscultError | None = None


class Session:
    """One audio stream from samples to committed utterances."""

    def __init__(
        self,
        stream: StreamOptions,
        options: SessionOptions,
        voice_activity: VoiceActivityModel,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        checkpoint = checkpoint or Checkpoint()
        self.stream = stream
        self.id = f"{stream.encounter}/{stream.stream}/{id(self):x}"  # of requests: no two sessions share one
        self.hears_from = checkpoint.audio_from  # first sample that `receive_audio` must be given
        self.finished = False  # nothing more will come out
        self._options = options
        self._model = voice_activity
        self._voice = voice_activity.open(checkpoint.vad_state)
        self._windower = Windower()
        self._segmenter = Segmenter(options.segmenter, checkpoint)
        self._role = role_of(stream)
        self._context = checkpoint.context
        self._checkpointed = checkpoint.audio_from  # where the last emitted checkpoint was
        self._pending: deque[_Pending] = deque()  # closed, in spoken order
        self._agreement = LocalAgreement()  # of the open segment
        self._asked = 0  # length in samples of the open segment when it was last sent as partial
        self._answered = 0  # length of the longest partial answered
        self._shown: set[str] = set()  # ids of items shown as partials and not yet committed
        self._ended = False
        self._duration = checkpoint.audio_from
        self._requests: list[RecognitionRequest] = []
        self._events: list[Event] = []

    # What goes in

    def receive_audio(self, pcm: Pcm) -> None:
        """Take the next samples. Shape `(n,)` float32 in [-1, 1], at 16 kHz, contiguous."""
        if self._ended or self.finished:
            return
        self._duration += len(pcm)
        self._receive_windows(self._windower.receive(pcm))
        self._maybe_ask_partial()
        self._maybe_checkpoint()

    def receive_end(self) -> None:
        """The stream ended. What is open is closed and recognised."""
        if self._ended or self.finished:
            return
        self._receive_windows(self._windower.flush())
        self._ended = True
        segment = self._segmenter.receive_end()
        if segment is not None:
            self._close(segment, self._voice.state())
        self._publish()

    def receive_hypothesis(self, request: RecognitionRequest, hypothesis: Hypothesis) -> None:
        """Take the recogniser's answer to one of `recognition_requests`."""
        words = tuple(
            replace(word, start=word.start + request.start, end=word.end + request.start) for word in heard(hypothesis)
        )
        if not request.purpose.whole:
            self._show(request, words)
        elif (pending := self._find(request)) is not None:
            pending.words = _not_before(pending.segment.speech_start, words)
            self._publish()

    def receive_failure(self, request: RecognitionRequest, error: AuscultError) -> None:
        """The recogniser failed on a request. A final is asked again, then given up; a partial is forgotten."""
        pending = self._find(request) if request.purpose is Purpose.FINAL else None
        if pending is None or self.finished:
            return
        if pending.attempts < ATTEMPTS:
            pending.attempts += 1
            self._requests.append(self._request(pending.segment, Purpose.FINAL))
        else:
            pending.error = error
            self._publish()

    def fail(self, error: AuscultError) -> None:
        """End the stream because its source broke: what was heard before is still finished."""
        if self._ended or self.finished:
            return
        self._events.append(StreamFailed(stream=self.stream.stream, error=error))
        self.receive_end()

    # What comes out

    def recognition_requests(self) -> list[RecognitionRequest]:
        """Requests since the last call."""
        taken, self._requests = self._requests, []
        return taken

    def events(self) -> list[Event]:
        """Events since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    @property
    def backlog(self) -> int:
        """Samples of closed segments that wait for the recogniser."""
        return sum(len(p.segment.pcm) for p in self._pending if p.words is None and p.error is None)

    @property
    def duration(self) -> int:
        """Samples received since the start of the stream."""
        return self._duration

    # Windows → segments

    def _receive_windows(self, windows: Pcm) -> None:
        """Shapes: `(n, 512)`."""
        known = max(0, self._segmenter.judge_from - self._segmenter.position) // WINDOW
        for window in windows[:known]:
            self._segmenter.remember(window)
        fresh = windows[known:]
        if not len(fresh):
            return
        before = self._voice.state()
        for index, probability in enumerate(self._voice.probabilities(fresh)):
            segment = self._segmenter.receive(fresh[index], float(probability))
            if segment is not None:
                self._close(segment, self._state_after(before, fresh[: index + 1]))

    def _state_after(self, before: bytes, windows: Pcm) -> bytes:
        """The detector's state in the middle of a block: worked out again, because segments close rarely."""
        voice = self._model.open(before)
        voice.probabilities(windows)
        return voice.state()

    def _close(self, segment: Segment, vad_state: bytes) -> None:
        segment = replace(segment, resume=replace(segment.resume, vad_state=vad_state))
        self._pending.append(_Pending(segment=segment))
        self._requests.append(self._request(segment, Purpose.FINAL))
        self._agreement = LocalAgreement()
        self._asked = self._answered = 0

    def _request(self, segment: Segment, purpose: Purpose) -> RecognitionRequest:
        return RecognitionRequest(
            stream_id=self.id,
            segment=segment.ordinal,
            purpose=purpose,
            start=segment.start,
            pcm=segment.pcm,
            language=self.stream.language,
            prompt=self._context,
            glossary=self.stream.glossary,
        )

    # Partials of the open segment

    def _maybe_ask_partial(self) -> None:
        if not self._options.partial_interval or not self._segmenter.open:
            return
        length = self._segmenter.length
        if length - self._asked < self._options.partial_interval:
            return
        self._asked = length
        now = Segment(
            ordinal=self._segmenter.ordinal,
            start=self._segmenter.start,
            speech_start=self._segmenter.speech_start,
            pcm=self._segmenter.audio(),
            resume=Checkpoint(),
        )
        self._requests.append(self._request(now, Purpose.REFRESH if self._answered else Purpose.FIRST_PARTIAL))

    def _show(self, request: RecognitionRequest, words: tuple[Word, ...]) -> None:
        stale = request.segment != self._segmenter.ordinal or len(request.pcm) <= self._answered
        if stale or self._ended or not self._segmenter.open:
            return
        self._answered = len(request.pcm)
        words = _not_before(self._segmenter.speech_start, self._agreement.receive(words))
        if not words:
            return
        shown = item_id(self.stream, request.segment)
        self._shown.add(shown)
        self._events.append(
            Partial(
                id=shown,
                stream=self.stream.stream,
                role=self._role,
                start=words[0].start,
                end=max(words[0].start, words[-1].end),
                text=" ".join(word.text for word in words),
                committed=len(self._agreement.committed),
            )
        )

    # Answers → what is committed

    def _find(self, request: RecognitionRequest) -> _Pending | None:
        return next((p for p in self._pending if p.segment.ordinal == request.segment), None)

    def _publish(self) -> None:
        """Commit answered segments from the front, and finish when nothing is left."""
        while self._pending and (self._pending[0].words is not None or self._pending[0].error is not None):
            self._commit(self._pending.popleft())
        if self._ended and not self._pending and not self.finished:
            self.finished = True
            self._events.append(StreamFinished(stream=self.stream.stream, duration=self._duration))

    def _commit(self, pending: _Pending) -> None:
        segment = pending.segment
        items = utterances(self.stream, self._role, segment.ordinal, pending.words or ())
        if pending.error is not None:
            self._events.append(
                SegmentLost(stream=self.stream.stream, start=segment.start, end=segment.end, error=pending.error)
            )
        shown = item_id(self.stream, segment.ordinal)
        if shown in self._shown:
            self._shown.discard(shown)
            if not items:
                self._events.append(PartialWithdrawn(id=shown, stream=self.stream.stream))
        self._emit(items, segment.resume)

    def _emit(self, items: tuple[Utterance, ...], resume: Checkpoint) -> None:
        self._context = " ".join([self._context, *(item.text for item in items)])[-CONTEXT_CHARACTERS:].strip()
        self._checkpointed = resume.position
        self._events.append(
            Committed(
                stream=self.stream.stream,
                utterances=items,
                checkpoint=replace(resume, context=self._context),
            )
        )

    def _maybe_checkpoint(self) -> None:
        """In a long silence nothing is committed, so say now and then that there is nothing to hear again."""
        quiet = not self._segmenter.open and not self._pending and not self._segmenter.starting
        if quiet and self._segmenter.position - self._checkpointed >= IDLE_CHECKPOINT:
            self._emit((), replace(self._segmenter.resume(), vad_state=self._voice.state()))


def _not_before(speech_start: int, words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Some recognisers (Whisper) let the first word begin with the segment: it cannot begin in the pre-roll."""
    earliest = speech_start - ONSET
    return tuple(
        word if word.start >= earliest else replace(word, start=earliest, end=max(word.end, earliest)) for word in words
    )
