"""Forwarding to holders that die. What holders answer is tested with real processes (`test_processes.py`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
from anyio.abc import SocketStream
from starlette.types import Receive, Scope, Send

from server.executors import Alone, HeldElsewhere
from server.forwarding import Forwarding
from server.metrics import Metrics
from server.store.executors import Executor

ANSWERED_HERE = 204


class Others(Alone):
    """One other process, as long as nobody says that it is gone."""

    def __init__(self, address: str) -> None:
        super().__init__("me", lambda topic, about: None)
        self.holder: Executor | None = Executor(id="holder", number=1, role="web", address=address)

    def gone(self, executor: str) -> None:
        self.holder = None


@asynccontextmanager
async def dying_holder(*, reads: bool) -> AsyncIterator[str]:
    """Takes a connection, maybe a request, and says nothing more."""

    async def die(stream: SocketStream) -> None:
        async with stream:
            if reads:
                await stream.receive()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, die)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


def client(others: Others) -> httpx.AsyncClient:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if others.holder is not None:
            raise HeldElsewhere(others.holder)
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": ANSWERED_HERE, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    forwarding = Forwarding(app, executors=others, metrics=Metrics())
    return httpx.AsyncClient(transport=httpx.ASGITransport(forwarding), base_url="http://here")


async def test_a_holder_that_dies_with_a_request_in_its_hands_is_told_as_come_again_and_then_left_alone() -> None:
    async with dying_holder(reads=True) as address, client(Others(address)) as http:
        first = await http.post("/chunk", content=b"audio")
        assert first.status_code == 503
        assert first.headers["retry-after"] == "1"
        again = await http.post("/chunk", content=b"audio")
        assert again.status_code == ANSWERED_HERE


async def test_a_holder_that_takes_no_connection_costs_the_client_nothing() -> None:
    async with dying_holder(reads=False) as address:
        pass  # nobody listens there any more
    async with client(Others(address)) as http:
        assert (await http.post("/chunk", content=b"audio")).status_code == ANSWERED_HERE
