"""One audio stream of one channel or two, as one session or two. Sans-I/O, with the surface of a `Session`.

A stream with one channel is a session at once, and nothing is done to it. Of two channels `channels` says what they
are, before anything is shown; until then their audio is held. One room is one session, which hears the mean of the
channels (or half of their difference, where one is inverted). Two people are two sessions, which hear a channel each
and have names of their own: NAME.left and NAME.right.

That decision stands, whatever comes later. If another file is joined on that has one channel after two people were
heard, the left session hears it and the right one hears silence: every word is there once, and times stay together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.channels import ChannelJudge, Verdict
from pipeline.errors import AuscultError
from pipeline.events import ChannelsSplit, Committed, Event, StreamFailed, StreamFinished
from pipeline.pcm import mixed
from pipeline.ports import VoiceActivityModel
from pipeline.session import IDLE_CHECKPOINT, Session, SessionOptions
from pipeline.types import (
    Audio,
    Checkpoint,
    Ear,
    Hypothesis,
    Pcm,
    RecognitionRequest,
    Role,
    StreamOptions,
    VoiceprintRequest,
    Voiceprints,
    side_name,
)

EARS = {Verdict.ONE: (Ear.BOTH,), Verdict.OPPOSITE: (Ear.OPPOSED,), Verdict.TWO: (Ear.LEFT, Ear.RIGHT)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """A session, and what it hears of the stream."""

    ear: Ear
    session: Session


class StereoSession:
    """See the module. Made from the checkpoints of its sessions, it goes on where they were taken."""

    def __init__(
        self,
        stream: StreamOptions,
        options: SessionOptions,
        voice_activity: VoiceActivityModel,
        checkpoints: Sequence[Checkpoint] = (),
        hints: Sequence[Role] = (),
    ) -> None:
        """`hints`: who is heard on the channels. Two: left and right are these; one: they are one room; none: listen.

        A role that was declared for the stream says that one person speaks, whose channels are one room.
        """
        first = checkpoints[0] if checkpoints else Checkpoint()
        self.stream = stream
        self.hears_from = min((each.audio_from for each in checkpoints), default=0)  # first sample to be given
        self._options = options
        self._voice_activity = voice_activity
        self._hints = tuple(hints) if len(hints) == 2 else ()
        self._one_room = len(hints) == 1 or stream.role is not Role.UNSPECIFIED
        self._first = first
        self._judge: ChannelJudge | None = None  # of two channels, until they are decided on
        self._parts: tuple[_Part, ...] = ()  # none: it is not known yet what is heard
        self._duration = self.hears_from
        self._checkpointed = self.hears_from  # where the last checkpoint was that was told without a session
        self._told_finished = False
        self._ended = False  # no more audio will come
        self._events: list[Event] = []
        if len(checkpoints) == 2:
            self._open((Ear.LEFT, Ear.RIGHT), checkpoints)
        elif first.ear is not Ear.UNDECIDED or first.segment:  # undecided: of a version that always heard the mean
            self._open((Ear.OPPOSED if first.ear is Ear.OPPOSED else Ear.BOTH,), (first,))

    # What goes in

    def receive_audio(self, audio: Audio) -> None:
        """Take the next samples. Shape `(n,)` or `(n, 2)` float32 in [-1, 1], at 16 kHz, contiguous."""
        if self._ended or not len(audio):
            return
        begin, self._duration = self._duration, self._duration + len(audio)
        if not self._parts and audio.ndim == 2:
            self._decide(audio)
            return
        if not self._parts:
            self._decide_without_more()
        self._give(audio, begin)

    def receive_end(self) -> None:
        """See `Session.receive_end`."""
        if self._ended:
            return
        self._ended = True
        if not self._parts:
            self._decide_without_more()
        for part in self._parts:
            part.session.receive_end()

    def receive_hypothesis(self, request: RecognitionRequest, hypothesis: Hypothesis) -> None:
        """See `Session.receive_hypothesis`."""
        self._asker(request.stream_id).receive_hypothesis(request, hypothesis)

    def receive_failure(self, request: RecognitionRequest, error: AuscultError) -> None:
        """See `Session.receive_failure`."""
        self._asker(request.stream_id).receive_failure(request, error)

    def receive_voiceprints(self, request: VoiceprintRequest, prints: Voiceprints | None) -> None:
        """See `Session.receive_voiceprints`."""
        self._asker(request.stream_id).receive_voiceprints(request, prints)

    def fail(self, error: AuscultError) -> None:
        """See `Session.fail`."""
        if not self._ended:
            self._events.append(StreamFailed(stream=self.stream.stream, error=error))
            self.receive_end()

    # What comes out

    def recognition_requests(self) -> list[RecognitionRequest]:
        """See `Session.recognition_requests`."""
        return [request for part in self._parts for request in part.session.recognition_requests()]

    def voiceprint_requests(self) -> list[VoiceprintRequest]:
        """See `Session.voiceprint_requests`."""
        return [request for part in self._parts for request in part.session.voiceprint_requests()]

    def events(self) -> list[Event]:
        """Events since the last call, in order. What two people say comes under the names of their own streams."""
        events, self._events = self._events, []
        for part in self._parts:
            for event in part.session.events():
                if isinstance(event, Committed):
                    event = replace(event, checkpoint=replace(event.checkpoint, ear=part.ear))
                if not isinstance(event, StreamFinished):
                    events.append(event)
        if self.finished and not self._told_finished:
            self._told_finished = True
            events.append(StreamFinished(stream=self.stream.stream, duration=self._duration))
        return events

    @property
    def finished(self) -> bool:
        """Whether nothing more will come out."""
        return bool(self._parts) and all(part.session.finished for part in self._parts)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of its requests."""
        return tuple(part.session.id for part in self._parts)

    @property
    def backlog(self) -> int:
        """See `Session.backlog`."""
        return sum(part.session.backlog for part in self._parts)

    @property
    def behind(self) -> bool:
        """See `Session.behind`."""
        return any(part.session.behind for part in self._parts)

    @property
    def duration(self) -> int:
        """Samples received since the start of the stream."""
        return self._duration

    # One or two

    def _decide(self, audio: Audio) -> None:
        """Hear what two channels are; when that is known, sessions hear everything that was held."""
        if self._hints:
            begin = self._duration - len(audio)
            self._begin((Ear.LEFT, Ear.RIGHT), begin)
            self._give(audio, begin)
            return
        judge = self._judge = self._judge or ChannelJudge(
            self._voice_activity, one_room=self._one_room, position=self.hears_from
        )
        judge.receive(audio)
        if judge.verdict is not None:
            self._begin_with(judge, judge.verdict)
        elif judge.begin - self._checkpointed >= IDLE_CHECKPOINT:
            self._checkpointed = judge.begin
            self._commit(self.stream, _at(judge.begin))

    def _decide_without_more(self) -> None:
        """There are no two channels, or no more of them: what was held of them decides."""
        if self._judge is None:
            self._open((Ear.BOTH,), (self._first,))
            return
        self._judge.receive_end()
        self._begin_with(self._judge, self._judge.verdict or Verdict.ONE)

    def _begin_with(self, judge: ChannelJudge, verdict: Verdict) -> None:
        self._begin(EARS[verdict], judge.begin)
        self._give(judge.held(), judge.begin)
        self._judge = None

    def _begin(self, ears: tuple[Ear, ...], position: int) -> None:
        """Sessions for what was decided, which is told, so that whoever takes over hears the same."""
        self._open(ears, [_at(position)] * len(ears))
        for part in self._parts:
            self._commit(part.session.stream, replace(_at(position), ear=part.ear))

    def _open(self, ears: tuple[Ear, ...], checkpoints: Sequence[Checkpoint]) -> None:
        streams = [self.stream]
        if len(ears) == 2:
            roles = self._hints or (Role.UNSPECIFIED, Role.UNSPECIFIED)
            left, right = streams = [
                replace(
                    self.stream,
                    stream=side_name(self.stream.stream, ear),
                    role=role,
                    voices=self.stream.voices and role is Role.UNSPECIFIED,
                )
                for ear, role in zip(ears, roles, strict=True)
            ]
            self._events.append(ChannelsSplit(stream=self.stream.stream, streams=(left, right)))
        self._parts = tuple(
            _Part(ear=ear, session=Session(stream, self._options, self._voice_activity, checkpoint))
            for ear, stream, checkpoint in zip(ears, streams, checkpoints, strict=True)
        )

    def _commit(self, stream: StreamOptions, checkpoint: Checkpoint) -> None:
        """Nothing was said, but from here on it goes on."""
        self._events.append(Committed(stream=stream.stream, utterances=(), checkpoint=checkpoint))

    def _give(self, audio: Audio, begin: int) -> None:
        """Each session hears its channel, from where it needs to."""
        for part in self._parts:
            unheard = audio[max(0, part.session.hears_from - begin) :]
            if len(unheard):
                part.session.receive_audio(_heard_by(part.ear, unheard))

    def _asker(self, stream_id: str) -> Session:
        return next(part.session for part in self._parts if part.session.id == stream_id)


def _at(position: int) -> Checkpoint:
    return Checkpoint(audio_from=position, position=position)


def _heard_by(ear: Ear, audio: Audio) -> Pcm:
    """Shapes: `(n,)` or `(n, 2)` in, `(n,)` out."""
    if audio.ndim == 1:
        return np.zeros_like(audio) if ear is Ear.RIGHT else audio
    match ear:
        case Ear.LEFT:
            return audio[:, 0]
        case Ear.RIGHT:
            return audio[:, 1]
        case Ear.OPPOSED:
            return (audio[:, 0] - audio[:, 1]) * np.float32(0.5)
        case _:
            return mixed(audio)
