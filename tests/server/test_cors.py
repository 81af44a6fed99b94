"""What passes through the CORS layer is passed on as it comes."""

from collections.abc import Callable
from typing import Any, TypeAlias

import anyio
import pytest
from sqlalchemy import Engine
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.auth import Authenticator
from server.cors import Pages
from server.store.database import Reader
from server.tenants import Tenants
from server.tokens import Signing
from tests.clock import Clock

Layer: TypeAlias = Callable[[ASGIApp], ASGIApp]

PAGE = "https://app.example.org"


@pytest.fixture
def layer(engine: Engine) -> Layer:
    """What puts the layer around an application."""
    clock = Clock()
    authenticator = Authenticator(Reader(engine), Signing(bytes(32), clock), clock, steady=clock)
    return lambda app: Pages(app, [PAGE], Tenants(Reader(engine), clock), authenticator)


async def test_a_streaming_answer_is_passed_on_piece_by_piece(layer: Layer) -> None:
    told = anyio.Event()  # set by the reader of the first piece: only then is there a second

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await told.wait()
        await send({"type": "http.response.body", "body": b"last", "more_body": False})

    got: list[Message] = []

    async def send(message: Message) -> None:
        got.append(message)
        if message.get("body") == b"first":
            told.set()

    with anyio.fail_after(5):
        await call(layer(stream), send, type="http", method="GET", path="/", headers=[(b"origin", PAGE.encode())])
    assert [message.get("body") for message in got] == [None, b"first", b"last"]
    assert (b"access-control-allow-origin", PAGE.encode()) in got[0]["headers"]


async def test_sockets_and_the_lifespan_are_passed_on_untouched(layer: Layer) -> None:
    seen: list[tuple[Scope, Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, receive, send))

    async def send(message: Message) -> None:
        raise AssertionError("nothing is sent")

    for kind in ("websocket", "lifespan"):
        await call(layer(app), send, type=kind, headers=[(b"origin", b"https://evil.example")])
    assert [scope["type"] for scope, _, _ in seen] == ["websocket", "lifespan"]
    assert all(passed is send for _, _, passed in seen)


async def call(app: ASGIApp, send: Send, **scope: Any) -> None:
    async def receive() -> Message:
        raise AssertionError("nothing is asked for")

    await app(scope, receive, send)
