"""Requests for an encounter that another process holds: sent on to that one, whole, and its answer back.

A load balancer cannot see which encounter a request is for. So a use-case that finds its encounter held elsewhere
raises `HeldElsewhere` before anything was answered; what came in up to then is sent again to the holder, with the
client's own credentials. A holder that does not answer counts as dead: the request is taken up once more here, and
then this process takes the encounter over.
"""

import ssl
from collections import deque
from contextlib import suppress

import anyio
import httpx
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from pipeline.errors import first
from server.executors import Executors, HeldElsewhere
from server.metrics import Metrics
from server.store.executors import Executor

log = structlog.get_logger()

HOPS = b"x-auscult-hops"  # how often a request was forwarded: holders may change while it is on its way
MAX_HOPS = 3
MAX_KEPT_BYTES = 16 << 20  # of a request that is not answered yet; a longer one is not forwarded
CONNECT_S = 2.0  # a holder that does not even take a connection in this time is gone
BACK_S = 600.0  # between two pieces of an answer
RETRY_AFTER = [(b"retry-after", b"1"), (b"content-type", b"application/problem+json")]
RETRY = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"code":"epoch_lost","detail":'
    b'"The session is being moved to another server process: send the same request again."}'
)
HOP_BY_HOP = frozenset(  # RFC 9110 §7.6.1; lengths and the handshake are made anew
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host"
    b" content-length sec-websocket-key sec-websocket-version sec-websocket-extensions sec-websocket-protocol".split()
)
SERVICE_RESTART = 1012  # IANA's WebSocket close codes
NOT_SENT = frozenset({1005, 1006, 1015})  # RFC 6455 §7.4.1: they only say what was not received


class Unforwardable(Exception):
    """The request was answered in part, was too long to be kept, or was sent around too often."""


class Forwarding:
    """The middleware. See the module."""

    def __init__(
        self, app: ASGIApp, *, executors: Executors, metrics: Metrics, tls: ssl.SSLContext | None = None
    ) -> None:
        self._app = app
        self._executors = executors
        self._metrics = metrics
        self._tls = tls
        timeout = httpx.Timeout(BACK_S, connect=CONNECT_S)
        self._http = httpx.AsyncClient(trust_env=False, timeout=timeout, verify=tls if tls is not None else True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request here, or have its encounter's holder serve it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        kept = _Kept(receive, send)
        for _ in range(MAX_HOPS):
            try:
                await self._app(scope, kept.receive, kept.send)
                return
            except HeldElsewhere as exc:
                executor = exc.executor
            except BaseExceptionGroup as group:
                found, others = group.split(HeldElsewhere)
                if found is None or others is not None:
                    raise
                executor = first(found).executor
            try:
                await self._forward(scope, kept, executor)
                return
            except (httpx.ConnectError, httpx.ConnectTimeout, OSError, TimeoutError, InvalidHandshake):
                log.warning("forwarding.no_answer", executor=executor.id)
                self._executors.gone(executor.id)
                kept.rewind()
            except httpx.TransportError as exc:  # it died with the request: the client has to repeat it
                log.warning("forwarding.broke_off", executor=executor.id, type=type(exc).__name__)
                self._executors.gone(executor.id)
                break
            except Unforwardable:
                break
        await _come_again(scope, kept)

    async def _forward(self, scope: Scope, kept: "_Kept", executor: Executor) -> None:
        if kept.settled or _hops(scope) >= MAX_HOPS:
            raise Unforwardable
        self._metrics.forwarded.labels(kind=scope["type"]).inc()
        if scope["type"] == "http":
            await self._forward_http(scope, kept, executor)
        else:
            await self._forward_socket(scope, kept, executor)

    async def _forward_http(self, scope: Scope, kept: "_Kept", executor: Executor) -> None:
        body = await kept.rest()
        request = self._http.build_request(
            scope["method"], executor.address + _target(scope), headers=_headers(scope), content=body
        )
        answer = await self._http.send(request, stream=True)
        try:
            headers = [(name.lower(), value) for name, value in answer.headers.raw if name.lower() not in HOP_BY_HOP]
            if length := answer.headers.get("content-length"):
                headers.append((b"content-length", length.encode()))
            await kept.pass_on({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_when_gone, kept, tasks.cancel_scope)
                async for piece in answer.aiter_raw():
                    await kept.pass_on({"type": "http.response.body", "body": piece, "more_body": True})
                await kept.pass_on({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()
        except httpx.TransportError as exc:  # too late to try elsewhere: whoever reads sees it break off
            log.warning("forwarding.broke_off", executor=executor.id, type=type(exc).__name__)
        finally:
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    async def _forward_socket(self, scope: Scope, kept: "_Kept", executor: Executor) -> None:
        offered = [Subprotocol(name) for name in scope.get("subprotocols", [])]
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in _headers(scope)]
        with anyio.fail_after(CONNECT_S):
            upstream = await connect(
                executor.address.replace("http", "ws", 1) + _target(scope),
                additional_headers=headers,
                subprotocols=offered or None,
                ssl=self._tls,
                compression=None,
                max_size=None,
                ping_interval=None,
                open_timeout=None,
                proxy=None,
            )
        async with upstream:
            kept.rewind()
            if not kept.accepted:
                await kept.pass_on({"type": "websocket.accept", "subprotocol": upstream.subprotocol, "headers": []})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_client_to_holder, kept, upstream, tasks.cancel_scope)
                await _holder_to_client(kept, upstream)
                tasks.cancel_scope.cancel()


class _Kept:
    """What a request has brought so far, kept until the first word of an answer."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.accepted = False
        self.settled = False
        self._receive = receive
        self._send = send
        self._messages: list[Message] | None = []
        self._again: deque[Message] = deque()
        self._size = 0

    async def receive(self) -> Message:
        """What the application gets."""
        if self._again:
            return self._again.popleft()
        message = await self._receive()
        if self._messages is not None:
            self._size += len(message.get("body") or message.get("bytes") or message.get("text") or b"")
            self._messages.append(message)
            if self._size > MAX_KEPT_BYTES:
                self._settle()
        return message

    async def send(self, message: Message) -> None:
        """What the application says."""
        if message["type"] == "websocket.accept":
            if self.accepted:
                return  # it was said when the request was taken up for the first time
            self.accepted = True
        else:
            self._settle()
        await self._send(message)

    async def pass_on(self, message: Message) -> None:
        """What the holder says."""
        self._settle()
        await self._send(message)

    async def rest(self) -> bytes:
        """The whole body of an HTTP request."""
        while not self._whole():
            await self.receive()
            if self.settled:
                raise Unforwardable
        assert self._messages is not None
        return b"".join(message.get("body", b"") for message in self._messages)

    async def next(self) -> Message:
        """What a socket sends, behind a `rewind` from its first message on."""
        return self._again.popleft() if self._again else await self._receive()

    async def until_gone(self) -> None:
        """Until an HTTP client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def rewind(self) -> None:
        """Everything is to be got once more."""
        self._again = deque(self._messages or [])

    def _whole(self) -> bool:
        last = self._messages[-1] if self._messages else {"more_body": True}
        if last.get("type") == "http.disconnect":
            raise Unforwardable
        return not last.get("more_body", False)

    def _settle(self) -> None:
        self.settled = True
        self._messages = None


async def _client_to_holder(kept: _Kept, upstream: ClientConnection, scope: anyio.CancelScope) -> None:
    with suppress(ConnectionClosed):
        while True:
            message = await kept.next()
            if message["type"] == "websocket.disconnect":
                await upstream.close(_sendable(message.get("code", 1000)))
                scope.cancel()
                return
            if message["type"] == "websocket.receive":
                text = message.get("text")
                await upstream.send(text if text is not None else message["bytes"])


async def _holder_to_client(kept: _Kept, upstream: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            said = await upstream.recv()
            kind = "text" if isinstance(said, str) else "bytes"
            await kept.pass_on({"type": "websocket.send", kind: said})
    code = upstream.close_code or SERVICE_RESTART
    with suppress(RuntimeError, OSError):
        await kept.pass_on({"type": "websocket.close", "code": SERVICE_RESTART if code in NOT_SENT else code})


async def _cancel_when_gone(kept: _Kept, scope: anyio.CancelScope) -> None:
    await kept.until_gone()
    scope.cancel()


async def _come_again(scope: Scope, kept: _Kept) -> None:
    with suppress(RuntimeError, OSError):
        if scope["type"] == "http":
            await kept.pass_on({"type": "http.response.start", "status": 503, "headers": RETRY_AFTER})
            await kept.pass_on({"type": "http.response.body", "body": RETRY})
        else:
            await kept.pass_on({"type": "websocket.close", "code": SERVICE_RESTART})


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in scope["headers"] if name not in HOP_BY_HOP and name != HOPS]
    return [*kept, (HOPS, str(_hops(scope) + 1).encode())]


def _hops(scope: Scope) -> int:
    said = dict(scope["headers"]).get(HOPS, b"0")
    return int(said) if said.isdigit() and len(said) < 3 else MAX_HOPS


def _target(scope: Scope) -> str:
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    return (path + (b"?" + query if query else b"")).decode("latin-1")


def _sendable(code: int) -> int:
    return 1000 if code in NOT_SENT else code
