"""Nabla's endpoints: who calls, and a conversation with them."""

from contextlib import suppress
from functools import partial
from weakref import WeakKeyDictionary

import msgspec
from starlette.responses import Response
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from pipeline.errors import AuscultError
from server.auth import Authenticator, bearer
from server.encounters import Encounters
from server.endpoints import Socket as SocketEntry
from server.errors import RateLimited, TokenExpired
from server.facades.nabla import convert
from server.facades.nabla.conversation import Conversation
from server.facades.nabla.desk import Connection, Desk, SocketLimits
from server.facades.nabla.dialect import Dialect
from server.facades.nabla.generation_b import GenerationB
from server.facades.nabla.generation_c import GenerationC
from server.http import retry_after
from server.ingest.websocket import POLICY_VIOLATION, TRY_AGAIN, Socket, SocketError
from server.metrics import Metrics
from server.replays import Replays

B, C = GenerationB(), GenerationC()
PATHS: dict[str, Dialect] = {
    "/v1/copilot-api/server/listen-ws": B,
    "/v1/copilot-api/user/listen-ws": B,
    "/v1/server/copilot/listen": B,  # generation A: the same wire format
    "/v1/core/server/transcribe-ws": C,
    "/v1/core/user/transcribe-ws": C,
}


class Nabla:
    """`listen-ws` and its older name, `transcribe-ws`. What clients say of versions is not read."""

    def __init__(
        self,
        encounters: Encounters,
        replays: Replays,
        authenticator: Authenticator,
        metrics: Metrics,
        limits: SocketLimits,
    ) -> None:
        self._authenticator = authenticator
        self._desk = Desk(
            encounters=encounters, replays=replays, metrics=metrics, limits=limits, told=WeakKeyDictionary()
        )

    def routes(self) -> list[WebSocketRoute]:
        """The routes, as published by the vendor."""
        return [WebSocketRoute(path, partial(self.listen, dialect)) for path, dialect in PATHS.items()]

    def sockets(self) -> list[SocketEntry]:
        """Their messages."""
        about = "Audio of several streams, in base64; transcript items and acknowledgements come back"
        notes = {B: f"{about}, and a note where one is wanted.", C: f"{about}."}
        return [
            SocketEntry(
                name=f"Nabla generation {letter}",
                about=notes[dialect],
                paths=[path for path, spoken in PATHS.items() if spoken is dialect],
                sub_protocol=dialect.sub_protocol,
                receives=dialect.inbound,
                sends=dialect.outbound,
            )
            for letter, dialect in (("B", B), ("C", C))
        ]

    async def listen(self, dialect: Dialect, websocket: WebSocket) -> None:
        """One consultation: config, audio of each stream, end; items, note, and the server closes."""
        protocols = websocket.scope.get("subprotocols", [])
        rejected = self._desk.metrics.rejected
        try:
            caller = await self._authenticator.caller(bearer(websocket.headers) or convert.token(protocols))
        except (TokenExpired, RateLimited) as exc:  # a browser cannot read the body of a refused handshake
            rejected.labels(code=exc.code).inc()
            connection = await self._accepted(dialect, websocket)
            with suppress(SocketError):
                await connection.send(dialect.error(exc))
            await connection.close(TRY_AGAIN if isinstance(exc, RateLimited) else POLICY_VIOLATION)
            return
        except AuscultError as exc:
            rejected.labels(code=exc.code).inc()
            status, answer = convert.http_error(exc)
            body = msgspec.json.encode(answer)
            await websocket.send_denial_response(
                Response(body, status, retry_after(exc), media_type="application/json")
            )
            return
        connection = await self._accepted(dialect, websocket)
        expiry = partial(self._authenticator.until_expiry, caller)
        await connection.close(await Conversation(dialect, connection, caller, self._desk, expiry).hold())

    async def _accepted(self, dialect: Dialect, websocket: WebSocket) -> Connection:
        offered = dialect.sub_protocol in websocket.scope.get("subprotocols", [])
        await websocket.accept(dialect.sub_protocol if offered else None)
        limits = self._desk.limits
        return Socket(
            websocket, dialect.inbound, max_bytes=limits.max_message_bytes, send_timeout_s=limits.send_timeout_s
        )
