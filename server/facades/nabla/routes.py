"""Nabla's socket. What the vendor's clients are seen to do is in the tests; OPEN points are decided in the README."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import structlog
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from pipeline.errors import AuscultError, Overloaded
from server.auth import Authenticator, bearer
from server.domain import Caller
from server.encounters import Encounters
from server.errors import BadRequest
from server.facades.nabla import convert, schema
from server.following import Finished, Problem, Update
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

log = structlog.get_logger()

PATHS = (
    "/v1/copilot-api/server/listen-ws",  # generation B
    "/v1/copilot-api/user/listen-ws",
    "/v1/server/copilot/listen",  # generation A: the same wire format
)
Connection = Socket[schema.ClientMessage]


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket may do."""

    max_message_bytes: int
    max_streams: int
    config_timeout_s: float
    stream_silence_timeout_s: float
    send_timeout_s: float


class Nabla:
    """`listen-ws` and its older name."""

    def __init__(
        self, encounters: Encounters, authenticator: Authenticator, metrics: Metrics, limits: SocketLimits
    ) -> None:
        self._encounters = encounters
        self._authenticator = authenticator
        self._metrics = metrics
        self._limits = limits

    def routes(self) -> list[WebSocketRoute]:
        """The routes, as published by the vendor."""
        return [WebSocketRoute(path, self.listen) for path in PATHS]

    async def listen(self, websocket: WebSocket) -> None:
        """One consultation: config, audio of each stream, end; items, note, and the server closes."""
        protocols = websocket.scope.get("subprotocols", [])
        try:
            caller = await self._authenticator.caller(bearer(websocket.headers) or convert.token(protocols))
        except AuscultError as exc:
            status, answer = convert.http_error(exc)
            self._metrics.rejected.labels(code=exc.code).inc()
            body = msgspec.json.encode(answer)
            await websocket.send_denial_response(Response(body, status, media_type="application/json"))
            return
        await websocket.accept(convert.SUB_PROTOCOL if convert.SUB_PROTOCOL in protocols else None)
        connection: Connection = Socket(
            websocket,
            schema.ClientMessage,
            max_bytes=self._limits.max_message_bytes,
            send_timeout_s=self._limits.send_timeout_s,
        )
        await connection.close(await self._converse(connection, caller))

    async def _converse(self, connection: Connection, caller: Caller) -> int:
        """The whole conversation; returns the close code."""
        try:
            async with first_error():
                config = await self._config(connection)
                async with self._opened(config, caller) as live:
                    await self._session(connection, config, live, caller)
                if "note" in config.output_objects:
                    await self._send_note(connection, live.id)
        except ClientGone:
            return NORMAL
        except AuscultError as exc:
            self._metrics.rejected.labels(code=exc.code).inc()
            return await self._refuse(connection, exc)
        return NORMAL

    async def _refuse(self, connection: Connection, exc: AuscultError) -> int:
        try:
            await connection.send(convert.error(exc))
        except SocketError:
            return NORMAL
        if isinstance(exc, Overloaded):
            return TRY_AGAIN
        if isinstance(exc, SocketError):
            return exc.close_code
        return INTERNAL_ERROR if exc.retryable else POLICY_VIOLATION

    async def _config(self, connection: Connection) -> schema.ListenConfig:
        with anyio.move_on_after(self._limits.config_timeout_s):
            message = await connection.receive()
            if not isinstance(message, schema.ListenConfig):
                raise BadRequest("The first message must be a listen_config.")
            return message
        raise NoConfig

    @asynccontextmanager
    async def _opened(self, config: schema.ListenConfig, caller: Caller) -> AsyncIterator[LiveEncounter]:
        """The encounter, which is closed when the block ends, however it ends: what was said is kept and finished."""
        options = convert.options(config, self._limits.max_streams)
        self._encounters.check_language(options)
        if options.note:
            self._encounters.notes.require(options.template)
        encounter = await self._encounters.open(caller, options)
        try:
            yield self._encounters.live(encounter)
        finally:
            with anyio.CancelScope(shield=True):
                await self._encounters.close(encounter)

    async def _session(
        self, connection: Connection, config: schema.ListenConfig, live: LiveEncounter, caller: Caller
    ) -> None:
        """Listen and tell at the same time, until everything said is told."""
        acknowledgements = Acknowledgements(connection, live, self._metrics, enabled=config.enable_audio_chunk_ack)
        silence = Silence([stream.id for stream in config.streams], self._limits.stream_silence_timeout_s)
        async with anyio.create_task_group() as tasks:
            watcher = anyio.CancelScope()

            async def watch() -> None:
                with watcher:
                    await silence.watch()

            async def listen() -> None:
                await self._hear(connection, config, live, silence, acknowledgements)
                watcher.cancel()
                await acknowledgements.settle()
                await self._encounters.close(live.id, caller)
                while True:  # audio after the end is ignored, and a client that leaves is noticed
                    await self._receive(connection)

            tasks.start_soon(watch)
            if config.enable_audio_chunk_ack:
                tasks.start_soon(acknowledgements.run)
            tasks.start_soon(listen)
            await self._tell(connection, config, self._encounters.follow(caller, live))
            tasks.cancel_scope.cancel()

    async def _hear(
        self,
        connection: Connection,
        config: schema.ListenConfig,
        live: LiveEncounter,
        silence: Silence,
        acknowledgements: "Acknowledgements",
    ) -> None:
        """Take audio until `end`. A frame that cannot be used is answered and dropped; the session goes on."""
        ordinals = {stream.id: ordinal for ordinal, stream in enumerate(config.streams)}
        while True:
            message = await self._receive(connection)
            if isinstance(message, schema.End):
                return
            if not isinstance(message, schema.AudioChunk):
                continue
            if message.stream_id not in ordinals:
                problem = BadRequest("stream_id names no declared stream: this audio_chunk was dropped.")
                await connection.send(convert.error(problem))
                continue
            silence.heard(message.stream_id)
            await self._take(connection, live, acknowledgements, ordinals[message.stream_id], message)

    async def _take(
        self,
        connection: Connection,
        live: LiveEncounter,
        acknowledgements: "Acknowledgements",
        stream: int,
        message: schema.AudioChunk,
    ) -> None:
        try:
            body = convert.pcm(message.payload)
        except BadRequest as exc:
            await connection.send(convert.error(exc))
            return
        self._metrics.audio_bytes.inc(len(body))
        await live.hear(stream, body)
        if message.seq_id is not None:
            acknowledgements.received(message.seq_id)

    async def _receive(self, connection: Connection) -> schema.ClientMessage | None:
        """The next message; None for one that was answered with an error."""
        try:
            return await connection.receive()
        except BadRequest as exc:
            await connection.send(convert.error(exc))
            return None

    async def _tell(self, connection: Connection, config: schema.ListenConfig, updates: AsyncIterator[Update]) -> None:
        """Send everything that is said, as far as it was asked for, until all of it is final."""
        wanted = "transcript_item" in config.output_objects
        async for update in updates:
            if isinstance(update, Finished):
                return
            if isinstance(update, Problem):
                await connection.send(convert.error(update.error))
            elif wanted:
                await connection.send(convert.item(update))
        raise SocketError("The server cannot go on with this session: what was said so far is kept.")

    async def _send_note(self, connection: Connection, encounter: str) -> None:
        view = await self._encounters.outcome(encounter)
        stored = view.note
        if stored is not None and stored.note is not None:
            await connection.send(convert.note(stored.note))
        elif stored is not None and stored.absence is not None:
            await connection.send(convert.error(stored.absence))


class Acknowledgements:
    """Cumulative acknowledgements of one socket: while one commit is flushed, chunks gather for the next."""

    def __init__(self, connection: Connection, live: LiveEncounter, metrics: Metrics, *, enabled: bool) -> None:
        self._connection = connection
        self._live = live
        self._metrics = metrics
        self._enabled = enabled
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
            if not self._enabled or newest is None or newest == self._told:
                return
            with self._metrics.append_seconds.time():
                await self._live.log_heard()
            self._told = newest
            await self._connection.send(schema.AudioChunkAck(ack_id=newest))
