"""`/api/live`: a browser's MediaRecorder, or whoever else records, over a WebSocket; events back over the same one."""

from contextlib import aclosing, suppress
from typing import TypeAlias

import anyio
import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from pipeline.errors import AuscultError
from server.auth import Authenticator, bearer
from server.connections import Connections
from server.domain import Caller
from server.encounters import Encounters
from server.endpoints import Socket as SocketEntry
from server.errors import FULL, AlreadyFinal, BadRequest, RateLimited, TokenExpired, TooLarge
from server.facades.auscult import convert, schema
from server.facades.auscult.answers import problem
from server.facades.auscult.feeding import Feeding
from server.facades.auscult.seating import Seat, Seating
from server.facades.auscult.telling import Telling
from server.ingest.websocket import (
    INTERNAL_ERROR,
    NORMAL,
    POLICY_VIOLATION,
    TOO_BIG,
    TRY_AGAIN,
    ClientGone,
    Socket,
    SocketError,
    StreamSilent,
    first_error,
)
from server.metrics import Metrics

Connection: TypeAlias = Socket[schema.ClientMessage]


class NoHello(SocketError):
    """No hello came in time: send it as the first message."""

    code = "hello_timeout"


class LiveLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket may do."""

    max_chunk_bytes: int
    hello_timeout_s: float
    stream_silence_timeout_s: float
    send_timeout_s: float


class LiveRoutes:
    """See the module."""

    def __init__(
        self,
        encounters: Encounters,
        connections: Connections,
        telling: Telling,
        authenticator: Authenticator,
        metrics: Metrics,
        limits: LiveLimits,
    ) -> None:
        self._connections = connections
        self._seating = Seating(encounters, connections)
        self._telling = telling
        self._authenticator = authenticator
        self._metrics = metrics
        self._limits = limits

    def routes(self) -> list[WebSocketRoute]:
        return [WebSocketRoute("/api/live", self.serve)]

    def sockets(self) -> list[SocketEntry]:
        """Its messages; and those of WHIP's data channel, which are the same but for what answers audio."""
        about = "A recorder: hello, chunks of audio as binary messages, end; what is said comes back."
        told = "WHIP's data channel: whatever its client opens, as text messages; what it sends is ignored."
        return [
            SocketEntry(
                name="Auscult live",
                about=about,
                paths=["/api/live"],
                sub_protocol=convert.SUB_PROTOCOL,
                receives=schema.ClientMessage,
                sends=schema.Event,
            ),
            SocketEntry(name="WHIP data channel", about=told, paths=["/whip"], sends=schema.Event),
        ]

    async def serve(self, websocket: WebSocket) -> None:
        """One connection: hello, chunks, end; events, and the server closes."""
        protocols = websocket.scope.get("subprotocols", [])
        try:
            caller = await self._authenticator.caller(bearer(websocket.headers) or convert.token_of(protocols))
        except (TokenExpired, RateLimited) as exc:  # a browser cannot read the body of a refused handshake
            await self._refuse(await self._accepted(websocket), exc)
            return
        except AuscultError as exc:
            self._metrics.rejected.labels(code=exc.code).inc()
            await websocket.send_denial_response(problem(exc))
            return
        connection = await self._accepted(websocket)
        try:
            async with first_error():
                code = await self._hold(connection, caller)
        except ClientGone:
            return
        except AuscultError as exc:
            await self._refuse(connection, exc)
            return
        await connection.close(code)

    async def _accepted(self, websocket: WebSocket) -> Connection:
        offered = convert.SUB_PROTOCOL in websocket.scope.get("subprotocols", [])
        await websocket.accept(convert.SUB_PROTOCOL if offered else None)
        return Socket(
            websocket,
            schema.ClientMessage,
            max_bytes=self._limits.max_chunk_bytes,
            send_timeout_s=self._limits.send_timeout_s,
        )

    async def _refuse(self, connection: Connection, exc: AuscultError) -> None:
        """Say what was wrong, and close."""
        self._metrics.rejected.labels(code=exc.code).inc()
        with suppress(SocketError):
            await connection.send(convert.problem(exc))
        await connection.close(_close_code(exc))

    # A connection

    async def _hold(self, connection: Connection, caller: Caller) -> int:
        """From hello to done; returns the close code."""
        hello = await self._hello(connection)
        seat = await self._seating.take(caller, hello)
        if seat.live is None:
            return await self._only_tell(connection, caller, seat, hello)
        feeding = Feeding(
            connection,
            caller,
            seat,
            self._connections,
            self._metrics,
            numbered=hello.chunk_numbers,
            silence_timeout_s=self._limits.stream_silence_timeout_s,
        )
        with feeding.attend():
            await self._greet(connection, seat)
            try:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(feeding.until_displaced)
                    tasks.start_soon(feeding.acknowledgements.run)
                    tasks.start_soon(self._listen, connection, caller, feeding)
                    await self._tell(connection, caller, seat, hello)
                    tasks.cancel_scope.cancel()
            finally:
                await feeding.leave()
        return POLICY_VIOLATION if feeding.silent else NORMAL

    async def _hello(self, connection: Connection) -> schema.Hello:
        with anyio.move_on_after(self._limits.hello_timeout_s):
            message = await connection.receive_any()
            if not isinstance(message, schema.Hello):
                raise BadRequest("The first message must be hello.")
            return message
        raise NoHello

    async def _greet(self, connection: Connection, seat: Seat) -> None:
        await connection.send(
            schema.Session(
                encounter_id=seat.encounter,
                resume_token=seat.resume_token,
                chunks=seat.chunks,
                heard_ms=seat.heard_ms,
                warnings=list(seat.live.row.warnings) if seat.live is not None else [],
            )
        )

    async def _listen(self, connection: Connection, caller: Caller, feeding: Feeding) -> None:
        """Take audio while there is any. Behind its end no token expires: the client only reads."""
        try:
            async with first_error(), anyio.create_task_group() as hearing:
                hearing.start_soon(feeding.silence.watch)
                hearing.start_soon(self._authenticator.until_expiry, caller)
                await feeding.hear()
                hearing.cancel_scope.cancel()
        except StreamSilent as exc:
            feeding.silent = True
            await connection.send(convert.problem(exc))
        await feeding.finish()
        while True:  # audio after the end is ignored, and a client that leaves is noticed
            with suppress(BadRequest):
                await connection.receive_any()

    async def _tell(self, connection: Connection, caller: Caller, seat: Seat, hello: schema.Hello) -> None:
        telling = self._telling.tell(caller, seat.encounter, hello.after, drafts=hello.drafts)
        async with aclosing(telling):
            async for told in telling:
                await connection.send_encoded(told.json)

    async def _only_tell(self, connection: Connection, caller: Caller, seat: Seat, hello: schema.Hello) -> int:
        """A session that has ended takes no audio any more; the rest of it is told."""

        async def listen() -> None:
            refused = False
            while True:
                with suppress(BadRequest):
                    if isinstance(await connection.receive_any(), bytes) and not refused:
                        refused = True
                        await connection.send(convert.problem(AlreadyFinal()))

        await self._greet(connection, seat)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await self._tell(connection, caller, seat, hello)
            tasks.cancel_scope.cancel()
        return NORMAL


def _close_code(exc: AuscultError) -> int:
    if isinstance(exc, FULL):
        return TRY_AGAIN
    if isinstance(exc, TooLarge):
        return TOO_BIG
    if isinstance(exc, SocketError):
        return exc.close_code
    return INTERNAL_ERROR if exc.retryable else POLICY_VIOLATION
