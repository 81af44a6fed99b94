"""One conversation over Nabla's socket. What the vendor's clients do is in the tests; OPEN points are in the README."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeAlias

import anyio
import msgspec

from pipeline.errors import AuscultError, Overloaded
from pipeline.events import Partial, PartialWithdrawn
from pipeline.types import Utterance
from server.domain import Caller
from server.encounters import Encounters
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.following import Finished, Problem
from server.ingest.websocket import (
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    TRY_AGAIN,
    ClientGone,
    NoConfig,
    Silence,
    Socket,
    SocketError,
    first_error,
)
from server.live import LiveEncounter
from server.metrics import Metrics

Connection: TypeAlias = Socket[schema.ClientMessage]
Expiry: TypeAlias = Callable[[], Coroutine[Any, Any, NoReturn]]  # raises when the caller's token expires


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket may do."""

    max_message_bytes: int
    max_streams: int
    config_timeout_s: float
    stream_silence_timeout_s: float
    send_timeout_s: float


class Conversation:
    """Config, audio of each stream, end; items and note. One per socket."""

    def __init__(
        self,
        connection: Connection,
        caller: Caller,
        encounters: Encounters,
        metrics: Metrics,
        limits: SocketLimits,
        expiry: Expiry,
    ) -> None:
        self._connection = connection
        self._caller = caller
        self._encounters = encounters
        self._metrics = metrics
        self._limits = limits
        self._expiry = expiry

    async def hold(self) -> int:
        """The whole conversation; returns the close code."""
        try:
            async with first_error():
                config = await self._config()
                async with self._opened(config) as live:
                    await _Session(self._connection, config, live, self._metrics).hold(
                        self._encounters, self._caller, self._limits.stream_silence_timeout_s, self._expiry
                    )
                if "note" in config.output_objects:
                    await self._send_note(live.id)
        except ClientGone:
            return NORMAL
        except AuscultError as exc:
            self._metrics.rejected.labels(code=exc.code).inc()
            return await self._refuse(exc)
        return NORMAL

    async def _config(self) -> schema.ListenConfig:
        with anyio.move_on_after(self._limits.config_timeout_s):
            message = await self._connection.receive()
            if not isinstance(message, schema.ListenConfig):
                raise BadRequest("The first message must be a listen_config.")
            return message
        raise NoConfig

    @asynccontextmanager
    async def _opened(self, config: schema.ListenConfig) -> AsyncIterator[LiveEncounter]:
        """The encounter, which is closed when the block ends, however it ends: what was said is kept and finished."""
        options = convert.options(config, self._limits.max_streams)
        self._encounters.check_language(options)
        if options.note:
            self._encounters.notes.require(options.template)
        encounter = await self._encounters.open(self._caller, options)
        live = self._encounters.live(encounter)
        try:
            with live.attend(*range(len(options.streams))):
                yield live
        finally:
            with anyio.CancelScope(shield=True):
                await self._encounters.close(encounter)

    async def _send_note(self, encounter: str) -> None:
        stored = (await self._encounters.outcome(self._caller, encounter)).note
        if stored is not None and stored.note is not None:
            await self._connection.send(convert.note(stored.note))
        elif stored is not None and stored.absence is not None:
            await self._connection.send(convert.error(stored.absence))

    async def _refuse(self, exc: AuscultError) -> int:
        """Say what was wrong; returns the close code."""
        try:
            await self._connection.send(convert.error(exc))
        except SocketError:
            return NORMAL
        if isinstance(exc, Overloaded):
            return TRY_AGAIN
        if isinstance(exc, SocketError):
            return exc.close_code
        return INTERNAL_ERROR if exc.retryable else POLICY_VIOLATION


class _Session:
    """The middle of a conversation: listening and telling at the same time."""

    def __init__(
        self, connection: Connection, config: schema.ListenConfig, live: LiveEncounter, metrics: Metrics
    ) -> None:
        self._connection = connection
        self._live = live
        self._metrics = metrics
        self._tells_items = "transcript_item" in config.output_objects
        self._ordinals = {stream.id: ordinal for ordinal, stream in enumerate(config.streams)}
        self._acknowledgements = _Acknowledgements(connection, live, metrics) if config.enable_audio_chunk_ack else None

    async def hold(self, encounters: Encounters, caller: Caller, silence_timeout_s: float, expiry: Expiry) -> None:
        """Listen and tell until everything said is told. Behind `end` no token expires: the client only reads."""
        silence = Silence(list(self._ordinals), silence_timeout_s)
        async with anyio.create_task_group() as tasks:
            listening = anyio.CancelScope()

            async def watch() -> None:
                with listening:
                    async with anyio.create_task_group() as watching:
                        watching.start_soon(silence.watch)
                        watching.start_soon(expiry)

            async def listen() -> None:
                await self._hear(silence)
                listening.cancel()
                if self._acknowledgements is not None:
                    await self._acknowledgements.settle()
                await encounters.close(self._live.id, caller)
                while True:  # audio after the end is ignored, and a client that leaves is noticed
                    await self._receive()

            tasks.start_soon(watch)
            tasks.start_soon(listen)
            if self._acknowledgements is not None:
                tasks.start_soon(self._acknowledgements.run)
            await self._tell(encounters, caller)
            tasks.cancel_scope.cancel()

    async def _hear(self, silence: Silence) -> None:
        """Take audio until `end`. A frame that cannot be used is answered and dropped; the session goes on."""
        while not isinstance(message := await self._receive(), schema.End):
            if isinstance(message, schema.AudioChunk):
                try:
                    await self._take(message, silence)
                except BadRequest as exc:
                    await self._connection.send(convert.error(exc))

    async def _take(self, message: schema.AudioChunk, silence: Silence) -> None:
        if message.stream_id not in self._ordinals:
            raise BadRequest("stream_id names no declared stream: this audio_chunk was dropped.")
        silence.heard(message.stream_id)
        body = convert.pcm(message.payload)
        self._metrics.audio_bytes.inc(len(body))
        with silence.paused():
            await self._live.hear(self._ordinals[message.stream_id], body)
        if self._acknowledgements is not None and message.seq_id is not None:
            self._acknowledgements.received(message.seq_id)

    async def _receive(self) -> schema.ClientMessage | None:
        """The next message; None for one that was answered with an error."""
        try:
            return await self._connection.receive()
        except BadRequest as exc:
            await self._connection.send(convert.error(exc))
            return None

    async def _tell(self, encounters: Encounters, caller: Caller) -> None:
        """Send everything that is said, as far as it was asked for, until all of it is final."""
        async for update in encounters.follow(caller, self._live.id):
            if isinstance(update, Finished):
                return
            if isinstance(update, Problem):
                await self._connection.send(convert.error(update.error))
            elif self._tells_items and isinstance(update, Utterance | Partial | PartialWithdrawn):
                await self._connection.send(convert.item(update))
        raise SocketError("The server cannot go on with this session: what was said so far is kept.")


class _Acknowledgements:
    """Cumulative acknowledgements of one socket: while one commit is flushed, chunks gather for the next."""

    def __init__(self, connection: Connection, live: LiveEncounter, metrics: Metrics) -> None:
        self._connection = connection
        self._live = live
        self._metrics = metrics
        self._newest: int | None = None  # highest number received
        self._told: int | None = None  # highest number acknowledged
        self._arrived = anyio.Event()
        self._settling = anyio.Lock()

    def received(self, seq_id: int) -> None:
        """The live encounter has heard this chunk."""
        self._newest = seq_id if self._newest is None else max(self._newest, seq_id)
        self._arrived.set()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            await self.settle()

    async def settle(self) -> None:
        """Log what was heard so far and acknowledge it."""
        async with self._settling:
            newest = self._newest
            if newest is None or newest == self._told:
                return
            with self._metrics.append_seconds.time():
                await self._live.log_heard()
            self._told = newest
            await self._connection.send(schema.AudioChunkAck(ack_id=newest))
