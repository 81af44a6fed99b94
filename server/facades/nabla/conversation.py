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
from server.facades.nabla.acknowledging import Acknowledgements
from server.facades.nabla.dialect import Dialect, Setup
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
    """Config, audio of each stream, end; items and note. One per socket, in the dialect of its path."""

    def __init__(
        self,
        dialect: Dialect,
        connection: Connection,
        caller: Caller,
        encounters: Encounters,
        metrics: Metrics,
        limits: SocketLimits,
        expiry: Expiry,
    ) -> None:
        self._dialect = dialect
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
                setup = await self._setup()
                async with self._opened(setup) as live:
                    await _Session(self._dialect, self._connection, setup, live, self._metrics).hold(
                        self._encounters, self._caller, self._limits.stream_silence_timeout_s, self._expiry
                    )
                if setup.options.note:
                    await self._send_note(live.id)
        except ClientGone:
            return NORMAL
        except AuscultError as exc:
            self._metrics.rejected.labels(code=exc.code).inc()
            return await self._refuse(exc)
        return NORMAL

    async def _setup(self) -> Setup:
        with anyio.move_on_after(self._limits.config_timeout_s):
            message = await self._connection.receive()
            return self._dialect.setup(message, self._limits.max_streams, self._encounters.recogniser.languages)
        raise NoConfig

    @asynccontextmanager
    async def _opened(self, setup: Setup) -> AsyncIterator[LiveEncounter]:
        """The encounter, which is closed when the block ends, however it ends: what was said is kept and finished."""
        options = setup.options
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
            if (note := self._dialect.note(stored.note)) is not None:
                await self._connection.send(note)
        elif stored is not None and stored.absence is not None:
            await self._connection.send(self._dialect.error(stored.absence))

    async def _refuse(self, exc: AuscultError) -> int:
        """Say what was wrong; returns the close code."""
        try:
            await self._connection.send(self._dialect.error(exc))
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
        self, dialect: Dialect, connection: Connection, setup: Setup, live: LiveEncounter, metrics: Metrics
    ) -> None:
        self._dialect = dialect
        self._connection = connection
        self._setup = setup
        self._live = live
        self._metrics = metrics
        self._ordinals = {name: ordinal for ordinal, name in enumerate(setup.streams)}
        self._acknowledgements: Acknowledgements | None = None
        if setup.acknowledges:
            self._acknowledgements = Acknowledgements(len(setup.streams), self._commit, self._acknowledge)

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
                    await self._acknowledgements.finish()
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
                    await self._connection.send(self._dialect.error(exc))

    async def _take(self, message: schema.AudioChunk, silence: Silence) -> None:
        if message.stream_id not in self._ordinals:
            raise BadRequest("stream_id names no declared stream: this audio chunk was dropped.")
        stream = self._ordinals[message.stream_id]
        silence.heard(message.stream_id)
        body = convert.pcm(message.payload)
        self._metrics.audio_bytes.inc(len(body))
        with silence.paused():
            await self._live.hear(stream, body)
        if self._acknowledgements is not None and message.seq_id is not None:
            self._acknowledgements.received(stream, message.seq_id)

    async def _receive(self) -> schema.ClientMessage | None:
        """The next message; None for one that was answered with an error."""
        try:
            return await self._connection.receive()
        except BadRequest as exc:
            await self._connection.send(self._dialect.error(exc))
            return None

    async def _tell(self, encounters: Encounters, caller: Caller) -> None:
        """Send everything that is said, as far as it was asked for, until all of it is final."""
        async for update in encounters.follow(caller, self._live.id):
            if isinstance(update, Finished):
                return
            if isinstance(update, Problem):
                await self._connection.send(self._dialect.error(update.error))
            elif self._setup.tells_items and isinstance(update, Utterance | Partial | PartialWithdrawn):
                await self._connection.send(self._dialect.item(update, self._setup))
        raise SocketError("The server cannot go on with this session: what was said so far is kept.")

    async def _commit(self) -> None:
        with self._metrics.append_seconds.time():
            await self._live.log_heard()

    async def _acknowledge(self, number: int) -> None:
        await self._connection.send(self._dialect.acknowledgement(number))
