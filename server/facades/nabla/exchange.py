"""The middle of a conversation: listening and telling at the same time."""

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import anyio

from pipeline.events import Partial, PartialWithdrawn, SpeakerRenamed
from pipeline.types import Utterance
from server.attendance import Attendance
from server.domain import Caller
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.facades.nabla.acknowledging import NumberedAcknowledgements
from server.facades.nabla.desk import Connection, Desk
from server.facades.nabla.dialect import Dialect, Setup
from server.facades.nabla.returning import proves, untold
from server.following import Finished, Problem
from server.ingest.websocket import INTERNAL_ERROR, Displaced, Silence, SocketError, first_error
from server.live import LiveEncounter

Expiry: TypeAlias = Callable[[], Coroutine[Any, Any, NoReturn]]  # raises when the caller's token expires


class SessionLost(SocketError):
    """The server cannot go on with this session at present: what was said so far is kept."""

    code = "session_lost"
    retryable = True
    close_code = INTERNAL_ERROR


class Exchange:
    """Audio in, items and acknowledgements out, over one socket, for one session."""

    def __init__(
        self,
        dialect: Dialect,
        connection: Connection,
        caller: Caller,
        setup: Setup,
        live: LiveEncounter,
        desk: Desk,
    ) -> None:
        self.live = live
        self.ended = False  # the client said so
        self._dialect = dialect
        self._connection = connection
        self._caller = caller
        self._setup = setup
        self._encounters = desk.encounters
        self._metrics = desk.metrics
        self._told = desk.told
        self._ordinals = {name: ordinal for ordinal, name in enumerate(setup.streams)}
        self._pending: deque[schema.ClientMessage] = deque()
        self._acknowledgements: NumberedAcknowledgements | None = None
        if setup.acknowledges:
            self._acknowledgements = NumberedAcknowledgements(
                len(setup.streams), self._commit, self._acknowledge, keeps_back=setup.options.resumable
            )

    async def hold(
        self,
        attendance: Attendance,
        pending: Sequence[schema.ClientMessage],
        silence_timeout_s: float,
        expiry: Expiry,
    ) -> None:
        """Listen and tell until everything said is told. Behind `end` no token expires: the client only reads.

        `pending` came over the socket before.
        """
        self._pending.extend(pending)
        silence = Silence(list(self._ordinals), silence_timeout_s)
        async with first_error(), anyio.create_task_group() as tasks:
            listening = anyio.CancelScope()

            async def watch() -> None:
                with listening:
                    async with anyio.create_task_group() as watching:
                        watching.start_soon(silence.watch)
                        watching.start_soon(expiry)
                        await attendance.displaced.wait()
                        raise Displaced

            async def listen() -> None:
                await self._hear(silence)
                self.ended = True
                listening.cancel()
                if self._acknowledgements is not None:
                    await self._acknowledgements.finish()
                await self._encounters.close(self.live.id, self._caller)
                while True:  # audio after the end is ignored, and a client that leaves is noticed
                    await self._receive()

            tasks.start_soon(watch)
            tasks.start_soon(listen)
            if self._acknowledgements is not None:
                tasks.start_soon(self._acknowledgements.run)
            await self._tell()
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
        stream, number = self._ordinals[message.stream_id], message.seq_id
        silence.heard(message.stream_id)
        body = convert.pcm(message.payload)
        self._metrics.audio_bytes.inc(len(body))

        def taken() -> None:
            if self._acknowledgements is not None and number is not None:
                self._acknowledgements.received(stream, number, proves=proves(body))

        with silence.paused():
            await self.live.hear(stream, body, number if self._setup.options.resumable else None, taken=taken)

    async def _receive(self) -> schema.ClientMessage | None:
        """The next message; None for one that was answered with an error."""
        if self._pending:
            return self._pending.popleft()
        try:
            return await self._connection.receive()
        except BadRequest as exc:
            await self._connection.send(self._dialect.error(exc))
            return None

    async def _tell(self) -> None:
        """Send everything that is said, as far as it was asked for, until all of it is final."""
        live, setup = self.live, self._setup
        told = self._told.get(live, live.transcript.inherited) if setup.resumes else 0
        finals = 0
        async with aclosing(self._encounters.follow(self._caller, live.id)) as updates:
            async for update in updates:
                if isinstance(update, Finished):
                    return
                if isinstance(update, Problem):
                    await self._connection.send(self._dialect.error(update.error))
                elif isinstance(update, Utterance):
                    if setup.tells_items and untold(finals, update, told, setup.zero):
                        await self._connection.send(self._dialect.item(update, setup))
                    finals += 1
                    self._told[live] = max(self._told.get(live, told), finals)
                elif isinstance(update, SpeakerRenamed) and setup.tells_items:
                    for item in live.transcript.named(update.items):
                        await self._connection.send(self._dialect.item(item, setup))
                elif isinstance(update, Partial | PartialWithdrawn) and setup.tells_items:
                    await self._connection.send(self._dialect.item(update, setup))
        raise SessionLost

    async def _commit(self) -> None:
        with self._metrics.append_seconds.time():
            await self.live.log_heard()

    async def _acknowledge(self, number: int) -> None:
        await self._connection.send(self._dialect.acknowledgement(number))
