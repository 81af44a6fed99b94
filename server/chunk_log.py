"""The durable log of an encounter's audio: chunks as the client sent them, in order, sealed."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from sqlalchemy import Connection

from pipeline.containers import Container, sniff
from pipeline.pcm import encoding_of
from pipeline.runner import Stream
from pipeline.types import SAMPLE_RATE
from server.domain import StoredChunk, StreamSpec, StreamState
from server.errors import ServerError
from server.store import encounters as sql
from server.store.database import Reader
from server.store.encounters import SealedChunk
from server.store.seal import Seal
from server.store.writer import Writer

SNIFFED = 4096  # bytes from which a container is recognised
TIMED = frozenset({Container.WEBM, Container.MP4, Container.OGG})  # containers whose audio carries times
FEED_AHEAD = 16  # chunks that may be logged but not yet decoded; beyond it the client waits
NUMBERED = "n:"  # client keys of chunks that a connection counts: "n:3-7" for numbers 3 to 7 of one stream


class LogBroken(ServerError):
    """A part of the stored audio is missing."""

    code = "log_broken"


def numbers_key(first: int, last: int) -> str:
    """The client key of a log entry that holds the chunks with these numbers."""
    return f"{NUMBERED}{first}-{last}"


def read_numbers(client_key: str | None) -> tuple[int, int] | None:
    """First and last number of the chunks in a log entry; None where they were not counted."""
    if client_key is None or not client_key.startswith(NUMBERED):
        return None
    first, _, last = client_key.removeprefix(NUMBERED).partition("-")
    return int(first), int(last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Bytes that were heard and are to be logged as one entry."""

    body: bytes
    numbers: tuple[int, int] | None = None  # of the first and the last chunk in it, where chunks are counted

    @property
    def client_key(self) -> str | None:
        return None if self.numbers is None else numbers_key(*self.numbers)


@dataclass(slots=True, kw_only=True, eq=False)
class Channel:
    """One stream of an encounter: the end of its log, and what is on its way to its decoder."""

    ordinal: int
    spec: StreamSpec
    state: StreamState  # stored progress
    seq: int = 0  # of the next chunk
    offset: int = 0  # of the next byte
    heard: int = 0  # bytes received, logged or not
    inherited: int = 0  # bytes that a former owner logged, and that are to be heard again
    container: Container | None = None
    last_digest: bytes = b""  # of the last chunk, to recognise an exact repeat
    gathered: list[Heard] = field(default_factory=list)  # not yet logged (connections)
    next_number: int = 0  # of the chunk that a connection sends next
    ended: bool = False  # no more of it will come
    failed: bool = False  # its decoder gave up: what still comes is only logged
    told_skipped: bool = False  # the client was told that a part of it made no sense
    stream: Stream | None = None
    to_decode: MemoryObjectSendStream[bytes] = field(init=False)
    logged: MemoryObjectReceiveStream[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.to_decode, self.logged = anyio.create_memory_object_stream[bytes](FEED_AHEAD)

    @property
    def reached(self) -> int:
        """How far the stream was heard, in samples of the encounter's time line.

        Of raw audio that is where the next byte belongs, whether or not the decoder and the log have come so far;
        only the bytes of a container do not tell, so there it is how far they were decoded.
        """
        restart, spec = self.state.restart, self.spec
        if spec.encoding == "container":
            return self.state.checkpoint.position if self.stream is None else self.stream.duration
        frames = (self.heard - restart.offset) // (encoding_of(spec.encoding).sample_bytes * spec.channels)
        return restart.position + frames * SAMPLE_RATE // spec.sample_rate

    def is_repeat(self, body: bytes) -> bool:
        """Whether a chunk is the last one again.

        Only in containers that carry times: the same bytes twice in PCM or WAV may be a muted microphone.
        """
        return bool(body) and self.container in TIMED and sha256(body).digest() == self.last_digest

    def remember(self, body: bytes) -> None:
        """This is the last chunk, for `is_repeat`."""
        if self.container in TIMED:
            self.last_digest = sha256(body).digest()

    def look_at(self, body: bytes) -> None:
        """The stream's first chunk says what its container is."""
        if self.container is None and self.spec.encoding == "container" and self.offset == len(body):
            self.container = sniff(body)

    async def hand_over(self, body: bytes) -> None:
        """Pass a chunk to the decoder, waiting while it is behind, whoever else is no longer waiting."""
        self.look_at(body)
        self.remember(body)
        try:
            with anyio.CancelScope(shield=True):
                await self.to_decode.send(body)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # this process let go of the encounter: its next owner finds the chunk in the log

    def gather(self, body: bytes, number: int | None) -> None:
        """Keep a chunk for the log. Raw audio is joined; containers keep the borders that their decoder may need."""
        numbers = None if number is None else (number, number)
        if number is not None:
            self.next_number = number + 1
        self.gathered.append(Heard(body=body, numbers=numbers))
        self.heard += len(body)

    def take_gathered(self) -> list[Heard]:
        """What was gathered since the last call."""
        taken, self.gathered = self.gathered, []
        if len(taken) < 2 or self.spec.encoding == "container":
            return taken
        counted = [heard.numbers for heard in taken if heard.numbers is not None]  # a peer before it does not count
        numbers = (counted[0][0], counted[-1][1]) if counted else None
        return [Heard(body=b"".join(heard.body for heard in taken), numbers=numbers)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewChunk:
    """A chunk to be logged."""

    channel: Channel
    body: bytes
    client_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChunkLog:
    """The log of one encounter, written at one epoch."""

    encounter: str
    epoch: int
    seal: Seal
    writer: Writer
    reader: Reader
    now: Callable[[], float]

    async def append(self, chunks: Sequence[NewChunk], *, final: bool = False, last_key: str | None = None) -> None:
        """Log chunks in one operation, and the end with them. Returns after the commit.

        Raises `EpochLost`, `DuplicateChunk`, `StoreUnavailable`; then nothing is logged.
        """
        sealed = list(self._sealed(chunks))

        def operation(connection: Connection) -> None:
            if sealed:
                sql.append_chunks(connection, self.encounter, self.epoch, sealed)
            if final:
                sql.close(connection, self.encounter, self.epoch, self.now(), last_key)

        if chunks or final:
            await self.writer.write(operation)
        for new in chunks:
            new.channel.seq += 1
            new.channel.offset += len(new.body)

    async def has(self, client_key: str | None) -> bool:
        """Whether a chunk with this key was logged."""
        if client_key is None:
            return False
        return await self.reader.read(partial(sql.has_chunk, encounter=self.encounter, key=client_key))

    async def replay(self, channel: Channel) -> AsyncIterator[bytes]:
        """What a former owner logged and a new decoder needs: the container's header, then all from the restart point.

        Pieces keep the borders of the chunks: one that begins with a file's header begins another file.
        """
        restart, end = channel.state.restart, channel.inherited
        if end and channel.spec.encoding == "container":
            head = [chunk.body async for chunk in self._read(channel, 0, min(end, SNIFFED))]
            channel.container = sniff(b"".join(head))
        for begin, until in (restart.header, (restart.offset, end)):
            async for chunk in self._read(channel, begin, until):
                yield chunk.body[max(0, begin - chunk.offset) : until - chunk.offset]
                channel.remember(chunk.body)

    async def whole(self, channel: Channel) -> AsyncIterator[bytes]:
        """All that is logged of a stream, from its first byte."""
        async for chunk in self._read(channel, 0, channel.offset):
            yield chunk.body

    async def _read(self, channel: Channel, begin: int, end: int) -> AsyncIterator[StoredChunk]:
        query = partial(sql.read_log, seal=self.seal, encounter=self.encounter, stream=channel.ordinal, end=end)
        while begin < end:
            chunks = await self.reader.read(partial(query, begin=begin))
            if not chunks:
                raise LogBroken
            for chunk in chunks:
                yield chunk
                begin = chunk.offset + len(chunk.body)

    def _sealed(self, chunks: Sequence[NewChunk]) -> Iterator[SealedChunk]:
        """Each behind what is logged of its stream, and behind the ones before it."""
        ends: dict[int, tuple[int, int]] = {}
        for new in chunks:
            stream, size = new.channel.ordinal, len(new.body)
            seq, offset = ends.get(stream, (new.channel.seq, new.channel.offset))
            ends[stream] = (seq + 1, offset + size)
            sealed = self.seal.seal(f"chunk/{stream}/{seq}", new.body)
            yield SealedChunk(
                stream=stream, seq=seq, offset=offset, size=size, client_key=new.client_key, sealed=sealed
            )
