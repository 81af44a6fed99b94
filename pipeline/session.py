"""The heart: one audio stream, all stages composed, sans-I/O.

Feed it (`receive_audio`, `receive_end`, `receive_hypothesis`, `receive_failure`, `fail`), then ask it
(`recognition_requests`, `events`, `finished`). Feeding never raises for bad input. Voice activity detection is fast and
deterministic, so it is called in place; recognition is slow and shared, so it is requested and answered, and so are
voiceprints where several people may share the stream. Answers may
come in any order; what is committed comes out in the order in which it was spoken.

Three parts do the work: `hearing` cuts audio into segments, `drafting` keeps what is known of the open one,
`settling` brings closed ones to their end. An open segment is recognised as if it had ended soon after its speaker
pauses. If that text finishes a sentence, a short pause ends the segment, else a longer one; either way its final is
there already. Where the answer is late, no further audio is judged until it comes: when the answers come must not
change what they are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.agreement import LocalAgreement
from pipeline.drafting import Draft, Speculation
from pipeline.errors import AuscultError
from pipeline.events import (
    Committed,
    Event,
    Guarded,
    Heard,
    Partial,
    PartialWithdrawn,
    SegmentLost,
    StreamFailed,
    StreamFinished,
)
from pipeline.hallucination import believed, is_phantom
from pipeline.hearing import Hearing
from pipeline.packing import unpacked
from pipeline.ports import VoiceActivityModel
from pipeline.segmenter import Segment, SegmenterOptions
from pipeline.settling import ONSET, Group, Pending, Settling, not_before
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
    VoiceprintRequest,
    Voiceprints,
    Word,
)
from pipeline.voices import SegmentVoices

IDLE_CHECKPOINT = 30 * SAMPLE_RATE  # samples of silence after which a checkpoint is worth writing
CONTEXT_CHARACTERS = 400  # of committed text handed on as prompt; Whisper reads at most 224 tokens
LANGUAGE_AUDIO = 3 * SAMPLE_RATE  # samples of speech that are enough to tell a stream's language


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """How a stream is cut, and how often and how its segments are recognised."""

    segmenter: SegmenterOptions = field(default_factory=SegmenterOptions)
    partial_interval: int = SAMPLE_RATE * 6 // 10  # samples between two partials; 0 asks for none
    commits: bool = True  # whether words become certain while a segment is open
    speculate_after: int = 0  # windows of pause behind which a final is guessed; 0: never
    finished_after: int = 0  # windows of pause that end a segment whose sentence is finished; 0: as any other
    pack: int = 0  # samples of closed segments that are recognised together; 0: each alone, at once
    max_backlog: int = 60 * SAMPLE_RATE  # samples that may wait for the recogniser; beyond it the source should wait


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
        self._hearing = Hearing(options.segmenter, voice_activity, checkpoint)
        self._draft = self._new_draft()
        self._settling = Settling(options.pack)
        self._role = stream.role
        self._context = checkpoint.context
        self._language = stream.language or checkpoint.language
        self._spoken: Counter[str] = Counter()  # language → samples of speech, until one is settled on
        self._checkpointed = checkpoint.audio_from  # where the last emitted checkpoint was
        self._shown: set[str] = set()  # ids of items shown as partials and not yet committed
        self._ended = False  # no more audio will come …
        self._heard_out = False  # … and what came is closed
        self._duration = checkpoint.audio_from
        self._requests: list[RecognitionRequest] = []
        self._voiceprint_requests: list[VoiceprintRequest] = []
        self._reported: Heard | None = None
        self._listening_to: dict[int, SegmentVoices] = {}  # segments whose voices are awaited, by ordinal
        self._events: list[Event] = []

    # What goes in

    def receive_audio(self, pcm: Pcm) -> None:
        """Take the next samples. Shape `(n,)` float32 in [-1, 1], at 16 kHz, contiguous."""
        if self._ended or self.finished:
            return
        self._duration += len(pcm)
        self._hearing.receive(pcm)
        self._listen()

    def receive_end(self) -> None:
        """The stream ended. What is open is closed and recognised."""
        if self._ended or self.finished:
            return
        self._hearing.receive_end()
        self._ended = True
        self._listen()

    def receive_hypothesis(self, request: RecognitionRequest, hypothesis: Hypothesis) -> None:
        """Take the recogniser's answer to one of `recognition_requests`."""
        if self.finished:
            return
        if not self._language and believed(hypothesis)[0]:
            self._detect(request, hypothesis.language)
        if request.purpose is Purpose.FINAL:
            self._settling.answer(request, hypothesis)
            self._publish()
        else:
            self._show(request, hypothesis)
        if self._draft.speculates(request):
            self._decide(hypothesis)

    def receive_failure(self, request: RecognitionRequest, error: AuscultError) -> None:
        """The recogniser failed on a request. A final is asked again, then given up; a partial is forgotten."""
        if self.finished:
            return
        for group in self._settling.fail(request, error):
            self._ask_final(group)
        self._publish()
        if self._draft.speculates(request):
            self._decide(None)

    def receive_voiceprints(self, request: VoiceprintRequest, prints: Voiceprints | None) -> None:
        """Take the answer to one of `voiceprint_requests`; None where voices cannot be told apart."""
        voices = self._listening_to.get(request.segment)
        if voices is not None and not self.finished:
            voices.answer(request, prints)
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

    def voiceprint_requests(self) -> list[VoiceprintRequest]:
        """Windows whose voices are to be known, since the last call. Every request must be answered."""
        taken, self._voiceprint_requests = self._voiceprint_requests, []
        return taken

    def events(self) -> list[Event]:
        """Events since the last call, in order."""
        taken, self._events = self._events, []
        return taken

    @property
    def backlog(self) -> int:
        """Samples that wait for the recogniser: of closed segments, and behind a pause that is not understood yet."""
        return self._settling.waiting + self._hearing.unheard

    @property
    def behind(self) -> bool:
        """Whether so much waits that no more audio should come for a while."""
        return self.backlog > self._options.max_backlog

    @property
    def duration(self) -> int:
        """Samples received since the start of the stream."""
        return self._duration

    # Audio → segments

    def _listen(self) -> None:
        """Judge what was heard, up to a pause whose meaning is not known yet."""
        while not self._awaits_verdict():
            if self._has_finished():
                segment = self._hearing.end_segment()
            elif self._hearing.unheard:
                segment = self._hearing.step()
            else:
                break
            if segment is not None:
                self._close(segment)
            else:
                self._notice_pause()
        if not self._hearing.unheard:
            self._maybe_ask_partial()
            self._maybe_checkpoint()
            if self._ended:
                self._end()
        self._report()

    @property
    def _pause(self) -> int:
        return self._hearing.segmenter.pause

    def _awaits_verdict(self) -> bool:
        finished_after = self._options.finished_after
        return bool(finished_after) and self._pause >= finished_after and self._draft.awaits_verdict

    def _has_finished(self) -> bool:
        """Whether the speaker paused long enough for somebody whose sentence is finished."""
        finished_after = self._options.finished_after
        return bool(finished_after) and self._pause >= finished_after and self._draft.complete

    def _notice_pause(self) -> None:
        if not self._pause:
            self._draft.speculation = None  # they go on
        elif self._pause == self._options.speculate_after:
            request = self._look(Purpose.SPECULATIVE)
            self._draft.speculation = Speculation(request=request)

    def _decide(self, hypothesis: Hypothesis | None) -> None:
        """It is known what was said before the pause (None: the recogniser failed), so listening may go on."""
        speculation = self._draft.speculation
        if speculation is not None:
            speculation.answered, speculation.hypothesis = True, hypothesis
        self._listen()

    def _close(self, segment: Segment) -> None:
        draft, self._draft = self._draft, self._new_draft()
        voices = self._ask_voices(segment.ordinal, segment.start, segment.pcm, segment.speech_start, closed=True)
        for group in self._settling.close(segment, draft, voices):
            self._ask_final(group)
        self._publish()

    def _new_draft(self) -> Draft:
        return Draft(agreement=LocalAgreement(commits=self._options.commits))

    def _end(self) -> None:
        """Nothing more will be heard."""
        segment = self._hearing.end_segment()
        if segment is not None:
            self._close(segment)
        for group in self._settling.flush():
            self._ask_final(group)
        self._heard_out = True
        self._publish()

    # Requests

    def _maybe_ask_partial(self) -> None:
        segmenter = self._hearing.segmenter
        if not self._options.partial_interval or not segmenter.open or self._ended or self._draft.awaits_verdict:
            return  # an answer that is awaited must not be replaced by a newer question
        if segmenter.length - self._draft.asked >= self._options.partial_interval:
            self._look(Purpose.REFRESH if self._draft.answered else Purpose.FIRST_PARTIAL)

    def _look(self, purpose: Purpose) -> RecognitionRequest:
        """Ask what the open segment says so far."""
        segmenter, draft = self._hearing.segmenter, self._draft
        pcm = segmenter.audio()
        draft.asked = len(pcm)
        self._ask_voices(segmenter.ordinal, segmenter.start, pcm, segmenter.speech_start)
        return self._ask(purpose, segmenter.ordinal, segmenter.start, pcm, draft.agreement.text)

    def _ask_final(self, group: Group) -> None:
        segment, alone = group.first.segment, len(group.pending) == 1
        committed = group.first.draft.agreement.text if alone else ""
        request = self._ask(Purpose.FINAL, segment.ordinal, segment.start, group.audio(), committed)
        self._settling.asked(group, request)

    def _ask(self, purpose: Purpose, segment: int, start: int, pcm: Pcm, committed: str) -> RecognitionRequest:
        request = RecognitionRequest(
            stream_id=self.id,
            segment=segment,
            purpose=purpose,
            start=start,
            pcm=pcm,
            language=self._language,
            prompt=self._context,
            glossary=self.stream.glossary,
            committed=committed,
            tenant=self.stream.tenant,
            live=self.stream.live,
        )
        self._requests.append(request)
        return request

    def _ask_voices(
        self, segment: int, start: int, pcm: Pcm, speech_start: int, *, closed: bool = False
    ) -> SegmentVoices | None:
        """Ask for what is new of the voices of a segment. None where one person speaks, or the role is declared."""
        if not self.stream.voices:
            return None
        voices = self._listening_to.setdefault(segment, SegmentVoices(self.id, segment))
        request = voices.ask(start, pcm, speech_start - ONSET, closed=closed)
        if request is not None:
            self._voiceprint_requests.append(request)
        return voices

    def _detect(self, request: RecognitionRequest, language: str) -> None:
        """The stream's language is the one of most of what was said, as soon as that is enough or all there is."""
        if request.purpose.whole or len(request.pcm) >= LANGUAGE_AUDIO:
            self._spoken[language] += len(request.pcm)
        if self._spoken and (self._ended or self._spoken.total() >= LANGUAGE_AUDIO):
            self._language = max(self._spoken, key=self._spoken.__getitem__)

    # Answers → what is shown

    def _show(self, request: RecognitionRequest, hypothesis: Hypothesis) -> None:
        segmenter, draft = self._hearing.segmenter, self._draft
        stale = request.segment != segmenter.ordinal or len(request.pcm) <= draft.answered
        if stale or not segmenter.open:
            return
        draft.answered = len(request.pcm)
        words = draft.agreement.receive(self._heard(request, hypothesis), len(request.pcm))
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
                committed=len(draft.agreement.committed),
            )
        )

    def _heard(self, request: RecognitionRequest, hypothesis: Hypothesis) -> tuple[Word, ...]:
        """The words of the open segment that can be believed, in stream time."""
        words, _ = believed(hypothesis)
        (words,) = unpacked([range(request.start, request.start + len(request.pcm))], words)
        if is_phantom(words, self._hearing.segmenter.probability):
            return ()
        return not_before(self._hearing.segmenter.speech_start, words)

    # Answers → what is committed

    def _publish(self) -> None:
        """Commit settled segments from the front, and finish when nothing is left."""
        while (pending := self._settling.take()) is not None:
            self._commit(pending)
        for guard in self._settling.guarded:
            self._events.append(Guarded(stream=self.stream.stream, guard=guard))
        self._settling.guarded.clear()
        self._report()
        if self._heard_out and not self._settling and not self.finished:
            self.finished = True
            self._events.append(StreamFinished(stream=self.stream.stream, duration=self._duration))

    def _report(self) -> None:
        """Say how far it is, where others of the encounter may wait for that."""
        if not self.stream.reports:
            return
        segmenter = self._hearing.segmenter
        open_from = segmenter.start if segmenter.open or segmenter.starting else segmenter.position
        heard = Heard(
            stream=self.stream.stream, until=self._settling.unsettled_from(open_from), position=segmenter.position
        )
        if heard != self._reported:
            self._reported = heard
            self._events.append(heard)

    def _commit(self, pending: Pending) -> None:
        segment = pending.segment
        items = utterances(self.stream, self._role, segment.ordinal, pending.certain)
        if pending.error is not None:
            self._events.append(
                SegmentLost(stream=self.stream.stream, start=segment.start, end=segment.end, error=pending.error)
            )
        shown = item_id(self.stream, segment.ordinal)
        if shown in self._shown:
            self._shown.discard(shown)
            if not items:
                self._events.append(PartialWithdrawn(id=shown, stream=self.stream.stream))
        self._listening_to.pop(segment.ordinal, None)
        self._emit(items, segment.resume, pending)

    def _emit(self, items: Sequence[Utterance], resume: Checkpoint, pending: Pending | None = None) -> None:
        self._context = " ".join([self._context, *(item.text for item in items)])[-CONTEXT_CHARACTERS:].strip()
        self._checkpointed = resume.position
        checkpoint = replace(resume, context=self._context, language=self._language)
        committed = Committed(stream=self.stream.stream, utterances=tuple(items), checkpoint=checkpoint)
        self._events.append(committed if pending is None else _with_sound(committed, pending))

    def _maybe_checkpoint(self) -> None:
        """In a long silence nothing is committed, so say now and then that there is nothing to hear again."""
        segmenter = self._hearing.segmenter
        quiet = not segmenter.open and not segmenter.starting and not self._settling
        if quiet and segmenter.position - self._checkpointed >= IDLE_CHECKPOINT:
            self._emit((), self._hearing.resume())


def _with_sound(committed: Committed, pending: Pending) -> Committed:
    """Together with what the segment sounds like."""
    segment = pending.segment
    windows = segment.pcm[: len(segment.pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return replace(
        committed,
        segment=segment.ordinal,
        start=segment.start,
        voices=None if pending.voices is None else pending.voices.prints,
        energy=np.square(windows).mean(axis=1),
    )
