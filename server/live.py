"""One consultation while it happens: its audio into the log and to the recogniser, its finals into the store.

A live encounter is held by one process, which names its epoch in every write. Audio is logged before it is
acknowledged; a final is stored together with the checkpoint behind it before anybody is told. So whatever dies, the
next owner goes on behind the last stored final and makes the same finals under the same ids.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from typing import Any, Protocol

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup
from sqlalchemy import Connection

from pipeline.batching import Batcher
from pipeline.conversation import Conversation, ConversationOptions
from pipeline.errors import AuscultError, UndecodableAudio, first
from pipeline.events import BleedDropped, Event, Guarded, Partial, RoleDoubted, SegmentLost, SpeakerRenamed
from pipeline.ports import AudioDecoder, VoiceActivityModel
from pipeline.runner import Stream, open_stream
from pipeline.session import SessionOptions
from pipeline.stereo import StereoSession
from pipeline.types import (
    SAMPLE_RATE,
    WINDOW,
    AudioFormat,
    Checkpoint,
    RestartPoint,
    Role,
    StreamOptions,
    Utterance,
    split_side,
    to_ms,
    to_samples,
)
from pipeline.voicing import Voicing
from server.attendance import Attendance, Attendances
from server.chunk_log import Channel, ChunkLog, NewChunk
from server.domain import EncounterRow, Stage, StreamSpec, StreamState
from server.errors import AlreadyFinal, EpochLost, Erased, SessionTooLong
from server.following import LiveTranscript, doubt
from server.languages import knows
from server.metrics import Metrics
from server.outbox import Outbox
from server.parts import Parts, Probe
from server.reviewing import NOT_REVIEWED, Recorded, Reviewer, worth_it
from server.store import encounters as sql
from server.store.database import Reader
from server.store.seal import Seal
from server.store.writer import Writer

log = structlog.get_logger()

MAX_GATHERED_BYTES = 4 << 20  # of a stream that wait for the log; beyond it the client waits for the log
MAX_BYTES_PER_S = 400_000  # of the longest session, in each stream: 48 kHz, stereo, as 32-bit floats
MAX_SKIPPED_BYTES = 16 << 20  # of a stream that make no sense; with more of them it takes no further audio
MIN_SKIPPED_BYTES = 4096  # of which the client is told; a few damaged packets are less


class DecoderFactory(Protocol):
    """How a stream's bytes become audio (`pipeline.engines.pyav.open_decoder`)."""

    def __call__(
        self,
        format: AudioFormat,
        *,
        restart: RestartPoint | None = None,
        whole: Callable[[int], RawIOBase] | None = None,
    ) -> AudioDecoder: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Studio:
    """What every live encounter of this process works with."""

    batcher: Batcher
    voicing: Voicing
    voice_activity: VoiceActivityModel
    open_decoder: DecoderFactory
    probe: Probe
    live_options: Callable[[], SessionOptions]  # to be asked once the recogniser is met (`Batcher.meet`)
    file_options: Callable[[], SessionOptions]  # of recordings, for which nobody waits
    writer: Writer
    reader: Reader
    metrics: Metrics
    now: Callable[[], float]  # seconds since 1970
    steady: Callable[[], float]  # seconds of a clock that never goes back
    gather_ms: int
    max_session_ms: int
    max_recording_ms: int
    expected_speakers: int = 2  # in the room, where the client does not say
    reviewer: Reviewer | None = None  # looks at the labels once more at the end

    @property
    def session(self) -> SessionOptions:
        """How live streams are cut and recognised."""
        return self.live_options()

    @property
    def recording(self) -> SessionOptions:
        """As `session`, of recordings."""
        return self.file_options()


class LiveEncounter:
    """See the module. Made by `server.encounters`, which also runs it in a task of its own."""

    def __init__(
        self,
        row: EncounterRow,
        seal: Seal,
        studio: Studio,
        *,
        epoch: int,
        glossary: tuple[str, ...],
        channels: Sequence[Channel],
        items: Sequence[Utterance],
        conversation: bytes,
        parts: Parts | None = None,
    ) -> None:
        self.id = row.id
        self.row = row
        self.transcript = LiveTranscript(items)
        self.transcribed = anyio.Event()  # every final is stored
        self.correcting = anyio.Lock()  # of whoever looks at labels and then changes them
        self.gone = anyio.Event()  # this process no longer holds the encounter
        self.fault: Exception | None = None  # what broke it, where it is gone
        self.erased = False  # which is why it is gone
        self.active = anyio.Event()  # audio came; replaced by whoever waits for it
        self.scope = anyio.CancelScope()  # whoever runs it runs it in here
        self._studio = studio
        self._seal = seal
        self._epoch = epoch
        self._glossary = glossary
        self._listens = False  # whether the recogniser knows the language
        self._parts = parts  # of a recording, which has no log
        self._fed = 0  # bytes of it
        self._advanced = anyio.Event()  # more of a recording was heard; replaced when it was
        self._channels = list(channels)
        self._attendances = Attendances()
        self._began: float | None = None  # of the steady clock: the other one may jump in the middle of a talk
        if any(channel.offset for channel in channels):
            self._began = studio.steady() - max(0.0, studio.now() - row.created_at)
        self._ended = anyio.Event()  # the last chunk was received
        self._streams: TaskGroup | None = None  # they listen in it, once this runs
        self._log = ChunkLog(
            encounter=row.id, epoch=epoch, seal=seal, writer=studio.writer, reader=studio.reader, now=studio.now
        )
        self._conversation = Conversation(self._conversation_options(), conversation, items)
        self._taking = anyio.Lock()  # chunks of one encounter are taken one at a time, by arrival
        self._gathering = anyio.Event()  # there is audio to log within `gather_ms`
        self._outbox = Outbox(
            row,
            seal,
            epoch=epoch,
            transcript=self.transcript,
            writer=studio.writer,
            now=studio.now,
            before=self._log_all,
            conversation=self._conversation.state,
            progress=self._progress,
        )

    # Audio in

    async def append(self, stream: int, body: bytes, *, client_key: str | None = None, final: bool = False) -> None:
        """Log a chunk, then hand it to the decoder; returns after the commit. An empty final chunk only ends.

        A repeat (the same `client_key`, or the same bytes twice in a row in a container that carries times) is
        taken silently. Raises `AlreadyFinal`, `SessionTooLong`, `UndecodableAudio`, `EpochLost`, `StoreUnavailable`.
        """
        channel = self._channels[stream]
        async with self._taking:
            repeat = client_key is None and channel.is_repeat(body)
            if self.ended:
                if repeat or await self._log.has(client_key):
                    return
                raise AlreadyFinal
            if self.gone.is_set():
                raise self._lost()
            if body:
                self._check_length(channel)
            new = [] if repeat or not body else [NewChunk(channel=channel, body=body, client_key=client_key)]
            try:
                await self._log.append(new, final=final, last_key=client_key)
            except sql.DuplicateChunk:
                return
            self.active.set()
            if new:
                channel.heard += len(body)
                await channel.hand_over(body)
            if final:
                self.end()

    async def hear(
        self, stream: int, body: bytes, number: int | None = None, *, taken: Callable[[], None] = lambda: None
    ) -> None:
        """Decode at once, log within `gather_ms`, or with the next `log_heard`: for connections.

        Chunks that are counted (`number`, from 0 in each stream) are heard once; a known number is taken silently.
        `taken` is called when the next `log_heard` will log it, while its decoder may still be behind.
        Raises `EpochLost`, `SessionTooLong`, `UndecodableAudio`, `StoreUnavailable`.
        """
        channel = self._channels[stream]
        if self.ended or channel.ended or (number is not None and number < channel.next_number):
            taken()
            return
        if self.gone.is_set():
            raise self._lost()
        self._check_length(channel)
        if self._began is None:
            self._began = self._studio.steady()
        channel.gather(body, number)
        self._began -= max(0.0, channel.reached / SAMPLE_RATE - self.elapsed_s())
        self._gathering.set()
        self.active.set()
        taken()
        await channel.hand_over(body)
        if channel.heard - channel.offset > MAX_GATHERED_BYTES:
            await self.log_heard()

    def next_number(self, stream: int) -> int:
        """Of the chunk that a connection is expected to send next; all before it were heard."""
        return self._channels[stream].next_number

    def heard_bytes(self, stream: int) -> int:
        """Bytes of a stream that were heard so far."""
        return self._channels[stream].heard

    def duration(self, stream: int) -> int:
        """Samples of a stream that were decoded so far."""
        listening = self._channels[stream].stream
        return 0 if listening is None else listening.duration

    def reached_by(self, stream: int) -> int:
        """How far a stream was heard: see `Channel.reached`. Units: samples of the encounter's time line."""
        return self._channels[stream].reached

    def elapsed_s(self) -> float:
        """Seconds of its time line so far: since its first audio was heard (after a takeover: since it was opened).

        0 before. Where a client sends what it had recorded before, it is at least as long as that.
        """
        return 0.0 if self._began is None else self._studio.steady() - self._began

    async def log_heard(self) -> None:
        """Log what `hear` took so far; returns after the commit. What comes meanwhile is for the next call.

        Raises `EpochLost`, `StoreUnavailable`; then this process lets go of the encounter, because what it heard is
        not what the log holds.
        """
        try:
            async with self._taking:
                await self._log_gathered()
        except AuscultError as exc:
            self.erased |= isinstance(exc, Erased)
            self.scope.cancel()
            raise

    async def close(self) -> None:
        """End the audio without a last chunk. Nothing happens the second time."""
        async with self._taking:
            if not self.ended:
                await self._log_gathered(final=True)
                self.end()

    async def end_stream(self, stream: int) -> None:
        """No more audio of one stream: what it said is finished, while others go on."""
        async with self._taking:
            await self._log_gathered()
            self._channels[stream].ended = True
            self._channels[stream].to_decode.close()

    def end(self) -> None:
        """No more audio will come, and that is stored."""
        self._ended.set()
        for channel in self._channels:
            channel.ended = True
            channel.to_decode.close()

    @property
    def ended(self) -> bool:
        """Whether the last chunk was received."""
        return self._ended.is_set()

    @property
    def all_streams_ended(self) -> bool:
        return all(channel.ended for channel in self._channels)

    def stream_ended(self, stream: int) -> bool:
        """Whether no more audio of this stream will come."""
        return self._channels[stream].ended

    def stream_failed(self, stream: int) -> bool:
        """Whether its decoder gave up: what still comes is only logged. A stream more can go on in its place."""
        return self._channels[stream].failed

    # Connections

    @contextmanager
    def attend(self, *streams: int) -> Iterator[Attendance]:
        """A connection feeds these streams while the block lasts; one that did so before is displaced."""
        try:
            with self._attendances.attend(*streams) as attendance:
                yield attendance
        finally:
            self.active.set()  # the time in which another connection may come begins

    @property
    def attended(self) -> bool:
        """Whether a connection feeds it."""
        return bool(self._attendances)

    async def add(self, spec: StreamSpec, *, position: int, check: Callable[[Connection], None]) -> int:
        """A stream more; returns its ordinal. Its first sample is the one at `position`.

        Raises `AlreadyFinal`, `EpochLost`, `StoreUnavailable`, and what `check` raises before it is stored.
        """
        position -= position % WINDOW
        state = StreamState(
            checkpoint=Checkpoint(audio_from=position, position=position),
            restart=RestartPoint(position=position),
            begin=position,
        )
        async with self._taking:
            if self.ended:
                raise AlreadyFinal
            if self.gone.is_set():
                raise self._lost()
            options = msgspec.structs.replace(self.row.options, streams=(*self.row.options.streams, spec))

            def store(connection: Connection) -> None:
                check(connection)
                sql.add_stream(connection, self._seal, self.id, self._epoch, options, state)

            await self._studio.writer.write(store)
            channel = Channel(ordinal=len(self._channels), spec=spec, state=state)
            self.row = msgspec.structs.replace(self.row, options=options)
            self._channels.append(channel)
            if self._streams is not None:
                self._streams.start_soon(self._hears, channel)
        return channel.ordinal

    def _lost(self) -> EpochLost:
        """Why nothing can be done with it here."""
        return Erased() if self.erased else EpochLost()

    def _check_length(self, channel: Channel) -> None:
        """Raises `SessionTooLong`, and `UndecodableAudio` for a stream that is mostly junk."""
        minutes, stream = self._studio.max_session_ms // 60_000, channel.stream
        if stream is not None and to_ms(stream.duration) > self._studio.max_session_ms:
            raise SessionTooLong(f"The session is longer than {minutes} minutes: end it and start a new one.")
        if channel.heard > minutes * 60 * MAX_BYTES_PER_S:
            raise SessionTooLong(f"The session is larger than {minutes} minutes of audio: end it and start a new one.")
        if stream is not None and stream.skipped > MAX_SKIPPED_BYTES:
            raise UndecodableAudio

    async def _log_gathered(self, *, final: bool = False) -> None:
        """Log what `hear` has gathered. The caller holds `_taking`."""
        with anyio.CancelScope(shield=True):  # what is taken out of the box must reach the log
            taken = [
                NewChunk(channel=channel, body=heard.body, client_key=heard.client_key)
                for channel in self._channels
                for heard in channel.take_gathered()
            ]
            await self._log.append(taken, final=final)

    async def _log_all(self) -> None:
        """What a final rests on is logged before the final is stored."""
        if any(channel.gathered for channel in self._channels):
            async with self._taking:
                await self._log_gathered()

    async def _keep_logging(self) -> None:
        """Log what `hear` gathers, at most `gather_ms` after it came."""
        while True:
            await self._gathering.wait()
            await anyio.sleep(self._studio.gather_ms / 1000)  # the promised bound, not a poll
            self._gathering = anyio.Event()
            await self.log_heard()

    # The work

    async def run(self) -> None:
        """Listen until every stream is finished and everything it said is stored."""
        try:
            async with anyio.create_task_group() as owner:
                owner.start_soon(self._outbox.keep_storing)
                if self.row.options.attended:
                    owner.start_soon(self._keep_logging)
                await self._studio.batcher.meet()  # what comes meanwhile is logged
                self._listens = knows(self._studio.batcher.recogniser, self.row.options.language)
                async with anyio.create_task_group() as streams:
                    self._streams = streams
                    for channel in self._channels:
                        streams.start_soon(self._hears, channel)
                    await self._ended.wait()  # until then a stream may be added
                if self._listens:
                    self._conversation.end()
                    self._deliver()
                    self._outbox.stamp(Stage.TRANSCRIBING)
                    await self._outbox.store()
                    if self._studio.reviewer is not None:
                        await self._review(self._studio.reviewer)
                    self._outbox.heard(sum(map(_uncounted_ms, self._channels)))
                    self._outbox.stamp(Stage.TRANSCRIBED)  # in the same commit as what the review found
                await self._outbox.store()
                owner.cancel_scope.cancel()
            self.transcribed.set()
        except* Exception as group:
            self.fault = first(group)
            self.erased |= group.subgroup(Erased) is not None  # before those who follow are let go
            raise
        finally:
            self.gone.set()
            self._advanced.set()
            for channel in self._channels:
                channel.logged.close()
            self.transcript.end(complete=self.transcribed.is_set())

    @property
    def _max_recording_ms(self) -> int:
        """What the operator takes, or the API that the recording came by, where that is less."""
        asked_ms = self.row.options.max_minutes * 60_000
        return min(asked_ms or self._studio.max_recording_ms, self._studio.max_recording_ms)

    @property
    def _hears(self) -> Callable[[Channel], Coroutine[Any, Any, None]]:
        return self._listen if self._listens else self._only_log

    async def _listen(self, channel: Channel) -> None:
        studio, state = self._studio, channel.state
        options = self._stream_options(channel)
        self._conversation.open(options)
        heard_as = studio.session if self._parts is None else studio.recording
        session = StereoSession(
            options, heard_as, studio.voice_activity, state.checkpoints, self.row.options.speaker_hints
        )
        whole = None if self._parts is None else self._parts.whole
        decoder = studio.open_decoder(channel.spec.format, restart=state.restart, whole=whole)
        self._outbox.stamp(Stage.STARTED)
        most = None if self._parts is None else to_samples(self._max_recording_ms)
        async with open_stream(
            session, decoder, studio.batcher, self._sink, studio.voicing, max_samples=most
        ) as stream:
            channel.stream = stream
            if self._parts is None:
                await self._feed_logged(channel, stream)
            else:
                await self._feed_parts(self._parts, channel, stream)
            stream.end()
        self._tell_skipped(channel, stream)
        studio.metrics.nonfinite_samples.inc(stream.nonfinite)

    async def _feed_logged(self, channel: Channel, stream: Stream) -> None:
        async for body in self._log.replay(channel):
            await stream.feed(body)
        async for body in channel.logged:
            self._outbox.stamp(Stage.DECODING)
            await stream.feed(body)
            if stream.duration:
                self._outbox.stamp(Stage.TRANSCRIBING)
            self._tell_skipped(channel, stream)

    async def _feed_parts(self, parts: Parts, channel: Channel, stream: Stream) -> None:
        self._outbox.stamp(Stage.DECODING)
        async for piece in parts.replay(channel.state.restart):
            await stream.feed(piece.body, new_file=piece.new_file and piece.offset > 0)
            self._fed = piece.offset + len(piece.body)

    def _progress(self) -> float:
        """The fraction of a recording that was heard: of its duration, or of its bytes where nothing says how long."""
        if self._parts is None:
            return 0.0
        if self._parts.samples is not None:
            return self.duration(0) / max(1, self._parts.samples)
        return self._fed / max(1, self._parts.size)

    async def relabel(self, roles: Mapping[str, Role]) -> None:
        """Speakers have other roles, as somebody says who knows; returns once that is stored and told.

        Raises `EpochLost`, `StoreUnavailable`.
        """
        if self.gone.is_set() and not self.transcribed.is_set():
            raise self._lost()
        self._conversation.correct(roles)
        self._deliver()
        await self._outbox.store()
        if any(roles.get(item.speaker, item.role) is not item.role for item in self.transcript.items):
            raise self._lost()  # what stored it for us has failed

    async def reached(self, samples: int) -> None:
        """Wait until so much of a recording was heard, or all of it, or this process no longer holds it."""
        while self.duration(0) < samples and not self.transcribed.is_set() and not self.gone.is_set():
            self._advanced = anyio.Event()
            await self._advanced.wait()

    async def _review(self, reviewer: Reviewer) -> None:
        """Correct the labels of streams that several people share. Told is only what all of the reviews found."""
        found: list[SpeakerRenamed] = []
        for channel in self._channels:
            name, stream = channel.spec.name, channel.stream
            items = [item for item in self.transcript.items if item.stream == name]  # none of a stream with two sides
            if channel.spec.role is not Role.UNSPECIFIED or stream is None or not worth_it(items):
                continue
            recorded = Recorded(
                encounter=self.id,
                decoder=self._studio.open_decoder(
                    channel.spec.format, whole=None if self._parts is None else self._parts.whole
                ),
                chunks=self._log.whole(channel) if self._parts is None else _bodies(self._parts),
                duration=stream.duration,
                items=items,
                expected_speakers=self.row.options.expected_speakers or None,
            )
            renames = await reviewer.renames(recorded)
            if renames is None:
                self._outbox.warn(NOT_REVIEWED)
            found += renames or ()
        for rename in found:
            self._studio.metrics.renamed.inc(len(rename.items))
            self._outbox.put(None, rename)

    def _tell_skipped(self, channel: Channel, stream: Stream) -> None:
        if stream.skipped >= MIN_SKIPPED_BYTES and not channel.told_skipped:
            channel.told_skipped = True
            self._outbox.warn(f"A part of {channel.spec.name} made no sense as audio and was skipped.")

    @staticmethod
    async def _only_log(channel: Channel) -> None:
        """No recogniser here knows the language: audio is kept, and the encounter fails when it ends."""
        async for _ in channel.logged:
            pass

    def _stream_options(self, channel: Channel) -> StreamOptions:
        options = self.row.options
        return StreamOptions(
            encounter=self.id,
            stream=channel.spec.name,
            role=channel.spec.role,
            language=options.base_language,
            glossary=self._glossary,
            split_by_sentence=options.split_by_sentence,
            tenant=self.row.tenant_id,
            voices=channel.spec.role is Role.UNSPECIFIED and self._studio.voicing.embedder is not None,
            reports=True,
            live=self._parts is None,
        )

    def _conversation_options(self) -> ConversationOptions:
        options = self.row.options
        expected = ConversationOptions(
            expected_speakers=options.expected_speakers or self._studio.expected_speakers,
            language=options.base_language,
        )
        return expected.heard_by(self._studio.voicing.embedder)

    # Events out

    def _sink(self, event: Event) -> None:
        if self._parts is not None:
            self._outbox.stamp(Stage.TRANSCRIBING)
            self._advanced.set()
        self._conversation.receive(event)
        self._deliver()

    def _deliver(self) -> None:
        """Hand on what the conversation made of the streams' events."""
        metrics = self._studio.metrics
        for event in self._conversation.events():
            match event:
                case Partial():
                    self.transcript.show(event)
                case Guarded():
                    metrics.guarded.labels(event.guard).inc()
                case BleedDropped():
                    metrics.bleed_dropped.inc(event.items)
                case RoleDoubted():
                    metrics.roles_doubted.inc()
                    log.warning("role.doubted", encounter=self.id, stream=event.stream, declared=event.declared)
                    self._outbox.warn(doubt(event))
                    self.transcript.doubt(event)
                case SpeakerRenamed():
                    metrics.renamed.inc(len(event.items))
                    self._outbox.put(None, event)
                case _:
                    if isinstance(event, SegmentLost):
                        metrics.segments_lost.inc()
                    self._outbox.put(self._channel(getattr(event, "stream", "")), event)

    def _channel(self, stream: str) -> Channel | None:
        """The channel that a stream, or one side of it, comes from."""
        name, _ = split_side(stream)
        return next((channel for channel in self._channels if channel.spec.name == name), None)


async def _bodies(parts: Parts) -> AsyncIterator[bytes]:
    async for piece in parts.replay(RestartPoint()):
        yield piece.body


def _uncounted_ms(channel: Channel) -> int:
    """What was heard of a stream behind its last checkpoint: `Outbox` counted what is before."""
    if channel.stream is None:
        return 0
    return to_ms(channel.stream.duration) - to_ms(channel.state.checkpoint.position)
