"""One consultation while it happens: its audio into the log and to the recogniser, its finals into the store.

A live encounter is held by one process, which names its epoch in every write. Audio is logged before it is
acknowledged; a final is stored together with the checkpoint behind it before anybody is told. So whatever dies, the
next owner goes on behind the last stored final and makes the same finals under the same ids.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import anyio
import structlog
from sqlalchemy import Connection

from pipeline.batching import Batcher
from pipeline.events import Committed, Event, Guarded, Partial, PartialWithdrawn, SegmentLost, StreamFailed
from pipeline.ports import AudioDecoder, VoiceActivityModel
from pipeline.runner import open_stream
from pipeline.session import Session, SessionOptions
from pipeline.types import AudioFormat, RestartPoint, StreamOptions, Utterance, to_ms
from server.chunk_log import Channel, ChunkLog, NewChunk
from server.domain import EncounterRow, Failure, Stage, StreamState
from server.errors import AlreadyFinal, EpochLost, SessionTooLong
from server.following import LiveTranscript
from server.metrics import Metrics
from server.store import encounters as sql
from server.store.database import Reader
from server.store.seal import Seal
from server.store.writer import Writer

log = structlog.get_logger()


class DecoderFactory(Protocol):
    """How a stream's bytes become audio (`pipeline.engines.pyav.open_decoder`)."""

    def __call__(self, format: AudioFormat, *, restart: RestartPoint | None = None) -> AudioDecoder: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Studio:
    """What every live encounter of this process works with."""

    batcher: Batcher
    voice_activity: VoiceActivityModel
    open_decoder: DecoderFactory
    session: SessionOptions
    writer: Writer
    reader: Reader
    metrics: Metrics
    now: Callable[[], float]
    gather_ms: int
    max_session_ms: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Commit:
    """New finals of one stream, with their ordinals, and the state behind them."""

    channel: Channel
    state: StreamState
    items: list[tuple[int, Utterance]]


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
        listens: bool,
    ) -> None:
        self.id = row.id
        self.row = row
        self.transcript = LiveTranscript(items)
        self.transcribed = anyio.Event()  # every final is stored
        self.gone = anyio.Event()  # this process no longer holds the encounter
        self.active = anyio.Event()  # audio came; replaced by whoever waits for it
        self.ended = False  # the last chunk was received
        self.attended = False  # a socket listens and speaks to it
        self.scope = anyio.CancelScope()  # whoever runs it runs it in here
        self._studio = studio
        self._seal = seal
        self._epoch = epoch
        self._glossary = glossary
        self._listens = listens  # whether the recogniser knows the language
        self._channels = channels
        self._log = ChunkLog(
            encounter=row.id, epoch=epoch, seal=seal, writer=studio.writer, reader=studio.reader, now=studio.now
        )
        self._taking = anyio.Lock()  # chunks of one encounter are taken one at a time, by arrival
        self._storing = anyio.Lock()  # finals are stored and told in order
        self._gathering = anyio.Event()  # there is audio to log within `gather_ms`
        self._outbox: list[tuple[Channel, Event]] = []
        self._stamps: dict[Stage, float] = {}
        self._stamped = set(row.stages)
        self._mail = anyio.Event()  # there is something to store

    # Audio in

    async def append(self, stream: int, body: bytes, *, client_key: str | None = None, final: bool = False) -> None:
        """Log a chunk, then hand it to the decoder; returns after the commit. An empty final chunk only ends.

        A repeat (the same `client_key`, or the same bytes twice in a row in a container that carries times) is
        taken silently. Raises `AlreadyFinal`, `SessionTooLong`, `EpochLost`, `StoreUnavailable`.
        """
        channel = self._channels[stream]
        async with self._taking:
            repeat = client_key is None and channel.is_repeat(body)
            if self.ended:
                if repeat or await self._log.has(client_key):
                    return
                raise AlreadyFinal
            if self.gone.is_set():
                raise EpochLost
            if body:
                self._check_length(channel)
            new = [] if repeat or not body else [NewChunk(channel=channel, body=body, client_key=client_key)]
            try:
                await self._log.append(new, final=final, last_key=client_key)
            except sql.DuplicateChunk:
                return
            self.active.set()
            if new:
                await channel.hand_over(body)
            if final:
                self.end()

    async def hear(self, stream: int, body: bytes) -> None:
        """Decode at once, log within `gather_ms`, or with the next `log_heard`: for sockets."""
        channel = self._channels[stream]
        if not self.ended:
            self._check_length(channel)
            channel.gathered += body
            self._gathering.set()
            self.active.set()
            await channel.hand_over(body)

    async def log_heard(self) -> None:
        """Log what `hear` took so far; returns after the commit. What comes meanwhile is for the next call."""
        async with self._taking:
            await self._log_gathered()

    async def close(self) -> None:
        """End the audio without a last chunk. Nothing happens the second time."""
        async with self._taking:
            if not self.ended:
                await self._log_gathered(final=True)
                self.end()

    def end(self) -> None:
        """No more audio will come, and that is stored."""
        self.ended = True
        for channel in self._channels:
            channel.to_decode.close()

    def _check_length(self, channel: Channel) -> None:
        if channel.stream and to_ms(channel.stream.duration) > self._studio.max_session_ms:
            minutes = self._studio.max_session_ms // 60_000
            raise SessionTooLong(f"The session is longer than {minutes} minutes: end it and start a new one.")

    async def _log_gathered(self, *, final: bool = False) -> None:
        """Log what `hear` has gathered. The caller holds `_taking`."""
        with anyio.CancelScope(shield=True):  # what is taken out of the box must reach the log
            taken = [NewChunk(channel=channel, body=channel.take_gathered()) for channel in self._channels]
            await self._log.append([new for new in taken if new.body], final=final)

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
                owner.start_soon(self._keep_storing)
                if not self.row.options.resumable:
                    owner.start_soon(self._keep_logging)
                async with anyio.create_task_group() as streams:
                    for channel in self._channels:
                        streams.start_soon(self._listen if self._listens else self._only_log, channel)
                if self._listens:
                    self._stamp(Stage.TRANSCRIBING)
                    self._stamp(Stage.TRANSCRIBED)
                await self._store_outbox()
                owner.cancel_scope.cancel()
            self.transcribed.set()
        finally:
            self.gone.set()
            for channel in self._channels:
                channel.logged.close()
            self.transcript.end(complete=self.transcribed.is_set())

    async def _listen(self, channel: Channel) -> None:
        studio, state = self._studio, channel.state
        session = Session(self._stream_options(channel), studio.session, studio.voice_activity, state.checkpoint)
        decoder = studio.open_decoder(channel.spec.format, restart=state.restart if channel.seq else None)
        self._stamp(Stage.STARTED)
        async with open_stream(session, decoder, studio.batcher, partial(self._sink, channel)) as stream:
            channel.stream = stream
            async for body in self._log.replay(channel):
                await stream.feed(body)
            async for body in channel.logged:
                self._stamp(Stage.DECODING)
                await stream.feed(body)
                if stream.duration:
                    self._stamp(Stage.TRANSCRIBING)
            stream.end()
        studio.metrics.nonfinite_samples.inc(stream.nonfinite)

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
        )

    # Events out

    def _sink(self, channel: Channel, event: Event) -> None:
        if isinstance(event, Partial):
            self.transcript.show(event)
        elif isinstance(event, Guarded):
            self._studio.metrics.guarded.labels(event.guard).inc()
        else:
            self._outbox.append((channel, event))
            self._mail.set()

    def _stamp(self, stage: Stage) -> None:
        if stage not in self._stamped:
            self._stamped.add(stage)
            self._stamps[stage] = self._studio.now()
            self._mail.set()

    async def _keep_storing(self) -> None:
        while True:
            await self._mail.wait()
            self._mail = anyio.Event()
            await self._store_outbox()

    async def _store_outbox(self) -> None:
        """Store what the streams emitted, in one operation, then tell it."""
        async with self._storing:
            outbox, self._outbox = self._outbox, []
            stamps, self._stamps = self._stamps, {}
            if not outbox and not stamps:
                return
            with anyio.CancelScope(shield=True):  # what was taken out of the box must reach the store
                if any(channel.gathered for channel in self._channels):
                    async with self._taking:
                        await self._log_gathered()  # a final never rests on audio that is not logged
                commits = self._commits(outbox)
                await self._studio.writer.write(self._storing_operation(outbox, commits, stamps))
            for commit in commits:
                commit.channel.state = commit.state
            for _, event in outbox:
                self._publish(event)

    def _storing_operation(
        self, outbox: Sequence[tuple[Channel, Event]], commits: Sequence[_Commit], stamps: dict[Stage, float]
    ) -> Callable[[Connection], None]:
        losses = [event for _, event in outbox if isinstance(event, SegmentLost | StreamFailed)]

        def operation(connection: Connection) -> None:
            sql.own(connection, self.id, self._epoch)
            for commit in commits:
                ordinal = commit.channel.ordinal
                sql.commit(connection, self._seal, self.id, self._epoch, ordinal, commit.state, commit.items)
            for loss in losses:
                sql.add_warning(connection, self.id, _warning(loss))
                if isinstance(loss, StreamFailed):
                    sql.set_failure(connection, self.id, Failure(code=loss.error.code, message=str(loss.error)))
            if stamps:
                sql.set_stages(connection, self.id, stamps, self._studio.now())

        return operation

    def _commits(self, outbox: Sequence[tuple[Channel, Event]]) -> list[_Commit]:
        """For each stream in the outbox: its newest state, and its new items."""
        commits: dict[int, _Commit] = {}
        ordinal = len(self.transcript.items)
        for channel, event in outbox:
            if not isinstance(event, Committed) or channel.stream is None:
                continue
            restart = channel.stream.restart_point(event.checkpoint.audio_from)
            earlier = commits[channel.ordinal].items if channel.ordinal in commits else []
            commits[channel.ordinal] = _Commit(
                channel=channel,
                state=StreamState(checkpoint=event.checkpoint, restart=restart),
                items=earlier + list(enumerate(event.utterances, ordinal)),
            )
            ordinal += len(event.utterances)
        return list(commits.values())

    def _publish(self, event: Event) -> None:
        if isinstance(event, Committed):
            self.transcript.add(event.utterances)
        elif isinstance(event, PartialWithdrawn):
            self.transcript.withdraw(event)
        elif isinstance(event, StreamFailed):
            self.transcript.report(event.error)
        elif isinstance(event, SegmentLost):
            log.warning("segment.lost", encounter=self.id, code=event.error.code)


def _warning(loss: SegmentLost | StreamFailed) -> str:
    if isinstance(loss, StreamFailed):
        return f"The audio of {loss.stream} ended early. {loss.error}"
    return f"{to_ms(loss.start)}–{to_ms(loss.end)} ms of {loss.stream} could not be recognised."
