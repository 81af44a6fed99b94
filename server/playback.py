"""The use-case of hearing an encounter again, while its audio is kept: decoded, mixed, cut, and encoded as Ogg Opus."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import RawIOBase
from typing import Protocol, TypeAlias

import anyio
import anyio.to_thread
import structlog
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy import Connection

from pipeline.errors import AuscultError, InvalidAudio
from pipeline.pcm import ENCODINGS, mixed
from pipeline.types import SAMPLE_RATE, WINDOW, Pcm, PcmBlock, RestartPoint, split_side, to_samples
from server.access import Action, record
from server.domain import Caller, EncounterRow, State, StreamSpec, StreamState
from server.encounters import Encounters
from server.errors import AudioGone, BadRequest, Conflict, NotFound, TooManyAtOnce
from server.live import Studio
from server.mixdown import Mixdown
from server.parts import Parts, survey
from server.store import encounters as sql
from server.store import recordings
from server.store.blobs import Blobs
from server.store.seal import Seal

log = structlog.get_logger()

PIECE_BYTES = 1 << 18  # read at a time
AHEAD = 4  # blocks of a stream, or pieces of the file, that wait for whoever takes them
ROUNDING = 16  # samples: containers' times are whole milliseconds
AT_ONCE = 4  # of these are made at the same time in a process; more wait
OF_A_TENANT = 3  # of these: whoever listens slowly holds up nobody else's tenant
PATIENCE_S = 5.0  # of who waits for a turn: how long others take is up to who listens
THREADS = 2  # that encode
MAX_LIVE_BYTES = 32 << 20  # read of a session that goes on: an hour and a half of a browser's recorder
BEHIND = SAMPLE_RATE  # samples read behind a part of raw audio: a resampler holds some back
GONE = "The audio of this encounter is no longer kept."


class Encoder(Protocol):
    """Writes a file as audio comes (`pipeline.engines.pyav_opus`). Its methods block."""

    def write(self, pcm: Pcm) -> bytes:
        """The bytes that are ready with more audio."""
        ...

    def finish(self) -> bytes:
        """The rest."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is to be heard."""

    from_ms: int = 0
    to_ms: int | None = None  # None: to the end
    stream: str = ""  # its name, or that of one side of it ("stream0.left"); empty: all streams at once


_Read: TypeAlias = Callable[[int, int | None], AsyncIterator[tuple[bytes, bool]]]
"""The bytes of a stream from one on, up to another (None: to the last), with whether another file begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One stream's bytes, and how they are heard."""

    spec: StreamSpec
    start: RestartPoint  # where `pieces` begin
    side: str  # left | right; empty: both
    pieces: Callable[[], AsyncIterator[tuple[bytes, bool]]]  # with whether another file begins
    parts: Parts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Audio that is still there."""

    sources: tuple[_Source, ...]
    span: Span
    tenant: str


class Playback:
    """See the module. One per process."""

    def __init__(
        self, encounters: Encounters, studio: Studio, blobs: Blobs, open_encoder: Callable[[], Encoder]
    ) -> None:
        self._encounters = encounters
        self._studio = studio
        self._blobs = blobs
        self._open_encoder = open_encoder
        self._turns = anyio.Semaphore(AT_ONCE)
        self._turns_of: dict[str, anyio.Semaphore] = {}  # of a tenant
        self._threads = anyio.CapacityLimiter(THREADS)

    async def find(self, caller: Caller, encounter: str, span: Span) -> Kept:
        """The audio of an encounter, which is recorded as given out.

        Raises `NotFound`, `AudioGone`, `BadRequest`, and `Conflict` for a long session that is not over.
        """
        row = await self._encounters.owned(caller, encounter)
        if not row.options.streams:
            raise NotFound("This encounter came as text: it has no audio.")
        chosen, side = _chosen(row, span.stream)
        seal = self._encounters.seal(row)
        if row.options.recording:
            sources: tuple[_Source, ...] = (await self._files(row, seal, side, span),)
        else:
            sources = await self._logged(row, seal, chosen, side, span)
        at = self._studio.now()
        await self._studio.writer.write(
            partial(record, caller=caller, action=Action.LISTEN, encounter=encounter, at=at)
        )
        return Kept(sources=sources, span=span, tenant=row.tenant_id)

    @asynccontextmanager
    async def playing(self, kept: Kept) -> AsyncIterator["Playing"]:
        """Make the file while the block lasts, and no further than it is read. Raises `TooManyAtOnce`."""
        sending, receiving = anyio.create_memory_object_stream[bytes](AHEAD)
        playing = Playing(receiving)
        with sending, receiving:
            async with self._turn(kept.tenant), anyio.create_task_group() as tasks:
                tasks.start_soon(self._play, kept, playing, sending)
                yield playing
                tasks.cancel_scope.cancel()

    @asynccontextmanager
    async def _turn(self, tenant: str) -> AsyncIterator[None]:
        theirs = self._turns_of.setdefault(tenant, anyio.Semaphore(OF_A_TENANT))
        async with AsyncExitStack() as turn:
            try:
                with anyio.fail_after(PATIENCE_S):
                    await turn.enter_async_context(theirs)
                    await turn.enter_async_context(self._turns)
            except TimeoutError:
                raise TooManyAtOnce("Others are listening: send the same request again in a moment.") from None
            yield

    # Where the bytes are

    async def _files(self, row: EncounterRow, seal: Seal, side: str, span: Span) -> _Source:
        parts = await self._studio.reader.read(partial(recordings.parts, seal=seal, encounter=row.id))
        states = await self._studio.reader.read(partial(sql.stream_states, seal=seal, encounter=row.id))
        files: list[Callable[[], RawIOBase]] = [
            partial(self._blobs.open, part.blob, seal) for part in parts if part.blob is not None
        ]
        if not files:
            raise AudioGone(GONE)
        surveyed = await anyio.to_thread.run_sync(survey, files, self._studio.probe)
        start = states[0].entry(to_samples(span.from_ms)) or RestartPoint()

        async def pieces() -> AsyncIterator[tuple[bytes, bool]]:
            async for piece in surveyed.replay(start):
                yield piece.body, piece.new_file and piece.offset > 0

        return _Source(spec=row.options.streams[0], start=start, side=side, pieces=pieces, parts=surveyed)

    async def _logged(self, row: EncounterRow, seal: Seal, chosen: range, side: str, span: Span) -> tuple[_Source, ...]:
        def query(connection: Connection) -> tuple[Mapping[int, str], Mapping[int, int], list[StreamState]]:
            ends = {stream: end.offset for stream, end in sql.log_ends(connection, row.id).items()}
            return sql.blobs_of(connection, row.id), ends, sql.stream_states(connection, seal, row.id)

        archived, ends, states = await self._studio.reader.read(query)
        sources, live_bytes = [], 0
        for stream in chosen:
            spec = row.options.streams[stream]
            start, stop = await self._section(spec, states[stream], span)
            read: _Read
            if stream in archived:
                end = stop
                read = partial(self._archive, archived[stream], seal, states[stream].files)
            elif stream in ends:
                end = ends[stream] if stop is None else min(ends[stream], stop)
                live_bytes += max(0, end - start.offset)
                read = partial(self._log, row.id, seal, stream)
            else:
                continue
            pieces = partial(_entered, read, start, end)
            sources.append(_Source(spec=spec, start=start, side=side, pieces=pieces))
        if live_bytes > MAX_LIVE_BYTES:
            raise Conflict("The session is long by now: hear a shorter part of it, or all of it when it is over.")
        if not sources:
            raise NotFound("No audio has come yet.") if row.state is State.LIVE else AudioGone(GONE)
        return tuple(sources)

    async def _section(self, spec: StreamSpec, state: StreamState, span: Span) -> tuple[RestartPoint, int | None]:
        """Where a stream is entered, and the byte up to which it is read (None: its last). Raw audio has entries
        everywhere.
        """
        first = RestartPoint(position=begins(spec, state))
        if spec.encoding == "container":
            return state.entry(to_samples(span.from_ms)) or first, None
        decoder = self._studio.open_decoder(spec.format, restart=first)
        start = decoder.restart_point(to_samples(span.from_ms))
        stop = None if span.to_ms is None else decoder.restart_point(to_samples(span.to_ms) + BEHIND).offset
        await decoder.aclose()
        return start, stop

    async def _archive(
        self, key: str, seal: Seal, files: Sequence[int], begin: int, end: int | None
    ) -> AsyncIterator[tuple[bytes, bool]]:
        with await anyio.to_thread.run_sync(self._blobs.open, key, seal) as file:
            at = await anyio.to_thread.run_sync(file.seek, begin)
            borders = files if end is None else [*files, end]
            while end is None or at < end:
                body = await anyio.to_thread.run_sync(file.read, up_to_the_next(borders, at))
                if not body:
                    return
                yield body, at in files
                at += len(body)

    async def _log(
        self, encounter: str, seal: Seal, stream: int, begin: int, end: int | None
    ) -> AsyncIterator[tuple[bytes, bool]]:
        assert end is not None
        read = partial(sql.read_log, seal=seal, encounter=encounter, stream=stream, end=end)

        def moved(connection: Connection) -> tuple[Mapping[int, str], list[tuple[int, ...]]]:
            states = sql.stream_states(connection, seal, encounter)
            return sql.blobs_of(connection, encounter), [state.files for state in states]

        while begin < end:
            chunks = await self._studio.reader.read(partial(read, begin=begin))
            if not chunks:  # the session is over, and its audio has moved meanwhile
                archived, files = await self._studio.reader.read(moved)
                if stream not in archived:
                    raise AudioGone(GONE)
                async for piece in self._archive(archived[stream], seal, files[stream], begin, end):
                    yield piece
                return
            for chunk in chunks:
                yield chunk.body[max(0, begin - chunk.offset) : end - chunk.offset], False
                begin = chunk.offset + len(chunk.body)

    # What is made of them

    async def _play(self, kept: Kept, playing: "Playing", into: MemoryObjectSendStream[bytes]) -> None:
        with into:
            try:
                await self._encode(kept, into)
            except AuscultError as exc:
                playing.error = exc

    async def _encode(self, kept: Kept, into: MemoryObjectSendStream[bytes]) -> None:
        encoder = await anyio.to_thread.run_sync(self._open_encoder, limiter=self._threads)
        heard = 0
        span = kept.span
        end = None if span.to_ms is None else to_samples(span.to_ms)
        mixdown = Mixdown(len(kept.sources), to_samples(span.from_ms), end)
        errors: list[AuscultError] = []
        with ExitStack() as streams:
            async with anyio.create_task_group() as decoding:
                blocks = []
                for source in kept.sources:
                    sending, receiving = anyio.create_memory_object_stream[PcmBlock](AHEAD)
                    blocks.append(streams.enter_context(receiving))
                    decoding.start_soon(self._decode, source, sending, errors)
                while not mixdown.complete:
                    await _next(mixdown, blocks)
                    while len(pcm := mixdown.take()):
                        heard += len(pcm)
                        if piece := await anyio.to_thread.run_sync(encoder.write, pcm, limiter=self._threads):
                            await into.send(piece)
                decoding.cancel_scope.cancel()
        for error in errors:
            if not (heard and isinstance(error, InvalidAudio)):
                raise error
        if not heard:
            raise BadRequest("from_ms lies behind the end of the audio.")
        await into.send(await anyio.to_thread.run_sync(encoder.finish, limiter=self._threads))

    async def _decode(
        self, source: _Source, into: MemoryObjectSendStream[PcmBlock], errors: list[AuscultError]
    ) -> None:
        """A stream that breaks is heard up to there, as it was when it was transcribed."""
        decoder = self._studio.open_decoder(
            source.spec.format,
            restart=source.start,
            whole=None if source.parts is None else source.parts.whole,
        )

        async def feed() -> None:
            try:
                async for body, new_file in source.pieces():
                    await decoder.feed(body, new_file=new_file)
            except AuscultError as exc:
                errors.append(exc)
            decoder.end()

        with into:
            try:
                async with anyio.create_task_group() as feeding:
                    feeding.start_soon(feed)
                    try:
                        async for block in decoder:
                            await into.send(block if not source.side else _side(block, source.side))
                    except AuscultError as exc:
                        errors.append(exc)
                    feeding.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await decoder.aclose()


class Playing:
    """A file while it is made."""

    def __init__(self, pieces: MemoryObjectReceiveStream[bytes]) -> None:
        self.error: AuscultError | None = None  # why no more came
        self._pieces = pieces

    async def next(self) -> bytes | None:
        """More of it; None at its end. Raises what went wrong."""
        try:
            return await self._pieces.receive()
        except anyio.EndOfStream:
            if self.error is not None:
                raise self.error from None
            return None


async def _entered(read: _Read, start: RestartPoint, end: int | None) -> AsyncIterator[tuple[bytes, bool]]:
    """What a decoder needs that begins there: the container's header, then everything from there on."""
    for begin, until in (start.header, (start.offset, end)):
        if begin != until:
            async for piece in read(begin, until):
                yield piece


def begins(spec: StreamSpec, state: StreamState) -> int:
    """The sample of the session at which a stream's first one lies; 0 where its container carries no times.

    Where that was not kept, a stream begins with a window, and its progress says the same, but for what an encoder put
    before the first sound, and for recorders that were started again.
    """
    if state.begin is not None:
        return state.begin
    restart = state.restart
    if not restart.offset:
        return restart.position
    if spec.encoding == "container":
        first = restart.origin
    else:
        frames = restart.offset // (ENCODINGS[spec.encoding].sample_bytes * spec.channels)
        first = restart.position - frames * SAMPLE_RATE / spec.sample_rate
    return max(0, int(first + ROUNDING) // WINDOW * WINDOW)


def up_to_the_next(files: Sequence[int], at: int) -> int:
    """How many bytes may be read at once from the byte `at` on, so that what begins a file begins a piece."""
    return min([PIECE_BYTES, *(file - at for file in files if file > at)])


def _chosen(row: EncounterRow, name: str) -> tuple[range, str]:
    """The streams of that name, and which side of them. Raises `BadRequest`."""
    count = len(row.options.streams)
    stream, side = split_side(name)
    if not name:
        return range(count), ""
    for number, spec in enumerate(row.options.streams):
        if spec.name == stream and side in ("", "left", "right"):
            return range(number, number + 1), side
    known = ", ".join(spec.name for spec in row.options.streams)
    raise BadRequest(f"stream must be one of this encounter's, or a side of it: {known}.")


def _side(block: PcmBlock, side: str) -> PcmBlock:
    if block.pcm.ndim == 1:
        return block
    return PcmBlock(start=block.start, pcm=block.pcm[:, 0 if side == "left" else 1])


async def _next(mixdown: Mixdown, blocks: list[MemoryObjectReceiveStream[PcmBlock]]) -> None:
    """Give it the block that it needs next."""
    source = mixdown.wanted()
    try:
        block = await blocks[source].receive()
    except anyio.EndOfStream:
        mixdown.end(source)
        blocks[source].close()
    else:
        mixdown.add(source, block.start, mixed(block.pcm))
