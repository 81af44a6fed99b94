"""One consultation while it happens: its chunk log, its running streams, and those who follow it.

A live encounter is held by one process, which names its epoch in every write. Audio is logged before it is
acknowledged; a final is stored together with the checkpoint behind it before anybody is told. So whatever dies, the
next owner goes on behind the last stored final and makes the same finals under the same ids.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Protocol, TypeAlias

import anyio
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy import Connection

from pipeline.batching import Batcher
from pipeline.containers import Container, sniff
from pipeline.errors import AuscultError
from pipeline.events import Committed, Event, Partial, PartialWithdrawn, SegmentLost, StreamFailed
from pipeline.ports import AudioDecoder, VoiceActivityModel
from pipeline.runner import Stream, open_stream
from pipeline.session import Session, SessionOptions
from pipeline.types import AudioFormat, RestartPoint, StreamOptions, Utterance, to_ms
from server.domain import EncounterRow, Failure, Stage, StoredChunk, StreamSpec, StreamState
from server.errors import AlreadyFinal, TooLarge
from server.metrics import Metrics
from server.store import encounters as sql
from server.store.database import Reader
from server.store.seal import Seal
from server.store.writer import Writer

log = structlog.get_logger()

SNIFFED = 4096  # bytes from which a container is recognised
TIMED = frozenset({Container.WEBM, Container.MP4, Container.OGG})  # containers whose audio carries times
FEED_AHEAD = 16  # chunks that may be stored but not yet decoded; beyond it the client waits


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Every final of the encounter is stored and was told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something of the encounter went wrong; what was stored stays."""

    error: AuscultError


Update: TypeAlias = Utterance | Partial | PartialWithdrawn | Problem | Finished


@dataclass(slots=True, kw_only=True, eq=False)
class _Channel:
    """One stream of the encounter: the end of its log, and what is on its way to the decoder."""

    ordinal: int
    spec: StreamSpec
    state: StreamState  # stored progress
    seq: int = 0  # of the next chunk
    offset: int = 0  # of the next byte
    last_digest: bytes = b""  # of the last chunk, to recognise an exact repeat
    container: Container | None = None
    gathered: bytearray = field(default_factory=bytearray)  # heard, but not yet logged (sockets without acks)
    stream: Stream | None = None
    to_feed: MemoryObjectSendStream[bytes] = field(init=False)  # logged, on its way to the decoder
    from_log: MemoryObjectReceiveStream[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.to_feed, self.from_log = anyio.create_memory_object_stream[bytes](FEED_AHEAD)


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
        states: Sequence[StreamState],
        ends: dict[int, tuple[int, int]],
        items: Sequence[Utterance],
        listens: bool,
    ) -> None:
        self.id = row.id
        self.row = row
        self.epoch = epoch
        self.items = list(items)  # stored finals, in the order in which they were told
        self.transcribed = anyio.Event()  # every final is stored
        self.gone = anyio.Event()  # this process no longer holds the encounter
        self._studio = studio
        self._seal = seal
        self._glossary = glossary
        self._listens = listens  # whether the recogniser knows the language
        self._lock = anyio.Lock()  # chunks of one encounter are taken one at a time, by arrival
        self._ended = False
        self._changed = anyio.Event()
        self._version = 0
        self._partials: dict[str, tuple[int, Partial]] = {}
        self._told: list[PartialWithdrawn | Problem] = []
        self._outbox: list[tuple[_Channel, Event]] = []
        self._stamps: dict[Stage, float] = {}
        self._stamped = set(row.stages)
        self._mail = anyio.Event()  # there is something to store
        self._gathering = anyio.Event()  # there is audio to log within `gather_ms`
        self.active = anyio.Event()  # audio came; replaced by whoever waits for it
        self._channels = [
            _Channel(
                ordinal=ordinal,
                spec=spec,
                state=states[ordinal],
                seq=ends.get(ordinal, (0, 0))[0],
                offset=ends.get(ordinal, (0, 0))[1],
            )
            for ordinal, spec in enumerate(row.options.streams)
        ]

    # Audio in

    async def append(self, stream: int, body: bytes, *, client_key: str | None = None, final: bool = False) -> None:
        """Log a chunk, then hand it to the decoder; returns after the commit. An empty final chunk only ends.

        A repeat (the same `client_key`, or the same bytes twice in a row in a container that carries times) is
        taken silently. Raises `AlreadyFinal`, `TooLarge`, `EpochLost`, `StoreUnavailable`.
        """
        channel = self._channels[stream]
        async with self._lock:
            digest = sha256(body).digest()
            repeat = client_key is None and self._is_repeat(channel, body, digest)
            if self._ended:
                if repeat or await self._known(client_key):
                    return
                raise AlreadyFinal
            self._check_length(channel)
            chunks = [] if repeat or not body else [(channel, body, client_key)]
            try:
                await self._store(chunks, final=final)
            except sql.DuplicateChunk:
                return
            self.active.set()
            if chunks:
                channel.last_digest = digest
                await channel.to_feed.send(body)
            if final:
                self._end()

    async def hear(self, stream: int, body: bytes) -> None:
        """Decode at once, log within `gather_ms`: for sockets that acknowledge nothing."""
        channel = self._channels[stream]
        if self._ended:
            return
        self._check_length(channel)
        channel.gathered += body
        self._gathering.set()
        self.active.set()
        await channel.to_feed.send(body)

    async def close(self) -> None:
        """End the audio without a last chunk. Nothing happens the second time."""
        async with self._lock:
            if not self._ended:
                await self._store(self._gathered(), final=True)
                self._end()

    def resume_closing(self) -> None:
        """The end was already stored by a former owner."""
        self._end()

    @property
    def ended(self) -> bool:
        """Whether the last chunk was received."""
        return self._ended

    def _check_length(self, channel: _Channel) -> None:
        if channel.stream and to_ms(channel.stream.duration) > self._studio.max_session_ms:
            minutes = self._studio.max_session_ms // 60_000
            raise TooLarge(f"The session is longer than {minutes} minutes: end it and start a new one.")

    @staticmethod
    def _is_repeat(channel: _Channel, body: bytes, digest: bytes) -> bool:
        """Only containers that carry times: the same bytes twice in PCM or WAV may be a muted microphone."""
        if channel.container is None and channel.spec.encoding == "container":
            channel.container = sniff(body)
        return bool(body) and channel.container in TIMED and digest == channel.last_digest

    async def _known(self, client_key: str | None) -> bool:
        if client_key is None:
            return False
        return await self._studio.reader.read(lambda c: sql.has_chunk(c, self.id, client_key))

    def _end(self) -> None:
        self._ended = True
        for channel in self._channels:
            channel.to_feed.close()

    # The log

    def _gathered(self) -> list[tuple[_Channel, bytes, str | None]]:
        """What `hear` has gathered since the last call."""
        taken: list[tuple[_Channel, bytes, str | None]] = []
        for channel in self._channels:
            if channel.gathered:
                taken.append((channel, bytes(channel.gathered), None))
                channel.gathered = bytearray()
        return taken

    async def _store(self, chunks: list[tuple[_Channel, bytes, str | None]], *, final: bool = False) -> None:
        """Log chunks in one operation, and the end with them."""
        if not chunks and not final:
            return
        entries = []
        for channel, body, client_key in chunks:
            chunk = StoredChunk(seq=channel.seq, offset=channel.offset, body=body)
            sealed = self._seal.seal(f"chunk/{channel.ordinal}/{chunk.seq}", body)
            entries.append((channel, chunk, client_key, sealed))

        def operation(connection: Connection) -> None:
            for channel, chunk, client_key, sealed in entries:
                sql.append_chunk(
                    connection, self.id, self.epoch, channel.ordinal, chunk, client_key=client_key, sealed=sealed
                )
            if final:
                sql.close(connection, self.id, self.epoch, self._studio.now())

        await self._studio.writer.write(operation)
        for channel, chunk, _, _ in entries:
            channel.seq += 1
            channel.offset += len(chunk.body)

    async def _log_gathered(self) -> None:
        """Log what `hear` gathers, at most `gather_ms` after it came."""
        while True:
            await self._gathering.wait()
            await anyio.sleep(self._studio.gather_ms / 1000)  # the promised bound, not a poll
            self._gathering = anyio.Event()
            async with self._lock:
                await self._store(self._gathered())

    # The work

    async def run(self) -> None:
        """Listen until every stream is finished and everything it said is stored."""
        try:
            async with anyio.create_task_group() as owner:
                owner.start_soon(self._keep_storing)
                if self.row.options.resumable is False:
                    owner.start_soon(self._log_gathered)
                async with anyio.create_task_group() as streams:
                    for channel in self._channels:
                        streams.start_soon(self._listen if self._listens else self._only_log, channel)
                self._stamp(Stage.TRANSCRIBING)
                self._stamp(Stage.TRANSCRIBED)
                await self._store_outbox()
                owner.cancel_scope.cancel()
            self.transcribed.set()
        finally:
            self.gone.set()
            self._tell()

    async def _listen(self, channel: _Channel) -> None:
        options = StreamOptions(
            encounter=self.id,
            stream=channel.spec.name,
            role=channel.spec.role,
            language=self.row.options.base_language,
            glossary=self._glossary,
            split_by_sentence=self.row.options.split_by_sentence,
        )
        studio, state = self._studio, channel.state
        session = Session(options, studio.session, studio.voice_activity, state.checkpoint)
        decoder = studio.open_decoder(channel.spec.format, restart=state.restart if channel.seq else None)
        self._stamp(Stage.STARTED)
        async with open_stream(session, decoder, studio.batcher, partial(self._sink, channel)) as stream:
            channel.stream = stream
            await self._replay(channel, stream)
            async for body in channel.from_log:
                self._stamp(Stage.DECODING)
                await stream.feed(body)
                if stream.duration:
                    self._stamp(Stage.TRANSCRIBING)
            stream.end()
        studio.metrics.nonfinite_samples.inc(stream.nonfinite)

    @staticmethod
    async def _only_log(channel: _Channel) -> None:
        """No recogniser here knows the language: audio is kept, and the encounter fails when it ends."""
        async for _ in channel.from_log:
            pass

    async def _replay(self, channel: _Channel, stream: Stream) -> None:
        """Feed what a former owner logged: the container's header, then everything from the restart point."""
        restart, end = channel.state.restart, channel.offset
        if end and channel.spec.encoding == "container":
            channel.container = sniff(b"".join(chunk.body for chunk in await self._logged(channel, 0, SNIFFED)))
        await self._feed_logged(channel, stream, *restart.header)
        await self._feed_logged(channel, stream, restart.offset, end)

    async def _feed_logged(self, channel: _Channel, stream: Stream, begin: int, end: int) -> None:
        while begin < end:
            for chunk in await self._logged(channel, begin, end):
                await stream.feed(chunk.body[max(0, begin - chunk.offset) : end - chunk.offset])
                begin = min(end, chunk.offset + len(chunk.body))
                channel.last_digest = sha256(chunk.body).digest()

    async def _logged(self, channel: _Channel, begin: int, end: int) -> list[StoredChunk]:
        return await self._studio.reader.read(
            partial(sql.read_log, seal=self._seal, encounter=self.id, stream=channel.ordinal, begin=begin, end=end)
        )

    # Events out

    def _sink(self, channel: _Channel, event: Event) -> None:
        if isinstance(event, Partial):
            self._version += 1
            self._partials[event.id] = (self._version, event)
            self._tell()
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
        outbox, self._outbox = self._outbox, []
        stamps, self._stamps = self._stamps, {}
        if not outbox and not stamps:
            return
        if any(channel.gathered for channel in self._channels):  # a final never rests on audio that is not logged
            async with self._lock:
                await self._store(self._gathered())
        commits = self._commits(outbox)
        warnings = [self._warning(event) for _, event in outbox if isinstance(event, SegmentLost | StreamFailed)]
        failures = [Failure(code=e.error.code, message=str(e.error)) for _, e in outbox if isinstance(e, StreamFailed)]

        def operation(connection: Connection) -> None:
            sql.own(connection, self.id, self.epoch)
            for channel, state, items in commits:
                sql.commit(connection, self._seal, self.id, self.epoch, channel.ordinal, state, items)
            for warning in warnings:
                sql.add_warning(connection, self.id, warning)
            for failure in failures:
                sql.set_failure(connection, self.id, failure)
            if stamps:
                sql.set_stages(connection, self.id, stamps, self._studio.now())

        await self._studio.writer.write(operation)
        for channel, state, _ in commits:
            channel.state = state
        for _, event in outbox:
            self._publish(event)
        self._tell()

    def _commits(
        self, outbox: list[tuple[_Channel, Event]]
    ) -> list[tuple[_Channel, StreamState, list[tuple[int, Utterance]]]]:
        """For each channel in the outbox: its newest state, and its new items with their ordinals."""
        states: dict[int, tuple[_Channel, StreamState, list[tuple[int, Utterance]]]] = {}
        ordinal = len(self.items)
        for channel, event in outbox:
            if not isinstance(event, Committed) or channel.stream is None:
                continue
            restart = channel.stream.restart_point(event.checkpoint.audio_from)
            _, _, items = states.get(channel.ordinal, (channel, channel.state, []))
            items.extend((ordinal + index, item) for index, item in enumerate(event.utterances))
            ordinal += len(event.utterances)
            states[channel.ordinal] = (channel, StreamState(checkpoint=event.checkpoint, restart=restart), items)
        return list(states.values())

    @staticmethod
    def _warning(event: SegmentLost | StreamFailed) -> str:
        if isinstance(event, StreamFailed):
            return f"The audio of stream {event.stream} ended early. {event.error}"
        return f"{to_ms(event.start)}–{to_ms(event.end)} ms of stream {event.stream} could not be recognised."

    def _publish(self, event: Event) -> None:
        if isinstance(event, Committed):
            for item in event.utterances:
                self._partials.pop(item.id, None)
                self.items.append(item)
        elif isinstance(event, PartialWithdrawn):
            self._partials.pop(event.id, None)
            self._told.append(event)
        elif isinstance(event, StreamFailed):
            self._told.append(Problem(error=event.error))
        elif isinstance(event, SegmentLost):
            log.warning("segment.lost", encounter=self.id, code=event.error.code)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def follow(self) -> AsyncIterator[Update]:
        """Everything from the beginning, then live: finals in order and complete, of partials only the newest.

        Each follower reads the shared lists at its own pace, so a slow one misses partials and never a final. Ends
        with `Finished`, or without it when this process loses the encounter.
        """
        told_items = told_others = told_version = 0
        while True:
            changed = self._changed
            finished = self.transcribed.is_set()
            while told_items < len(self.items):
                told_items += 1
                yield self.items[told_items - 1]
            while told_others < len(self._told):
                told_others += 1
                yield self._told[told_others - 1]
            fresh = [newest for version, newest in self._partials.values() if version > told_version]
            told_version = self._version
            for newest in fresh:
                if newest.id in self._partials:  # it may have become final while the follower was slow
                    yield newest
            if finished:
                yield Finished()
                return
            if self.gone.is_set():
                return
            await changed.wait()
