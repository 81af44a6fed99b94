"""Server-Sent Events over a real connection: whoever reads slowly, not at all, or leaves."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import anyio
import anyio.lowlevel
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.events import Partial
from pipeline.types import Role, Utterance
from server.errors import BadRequest, TokenExpired
from server.facades.auscult import convert
from server.facades.auscult.events import EventStream, frame, last_event_id
from server.facades.auscult.telling import Told, told
from server.following import Finished, LiveTranscript
from server.notes import Draft
from server.serving import Announced

PATIENCE_S = 30
MANY_WORDS = "word " * 4000  # 20 KB, so that few events fill what the system buffers


@dataclass
class Stage:
    """A server that tells one transcript to everybody."""

    transcript: LiveTranscript = field(default_factory=lambda: LiveTranscript([]))
    send_timeout_s: float = PATIENCE_S
    ended: anyio.Event = field(default_factory=anyio.Event)  # one telling is over
    expired: anyio.Event = field(default_factory=anyio.Event)
    port: int = 0

    async def answer(self, request: Request) -> Response:
        return EventStream(self._tell(), send_timeout_s=self.send_timeout_s, endings=[self._expiry])

    async def _tell(self) -> AsyncGenerator[Told]:
        finals = 0
        try:
            async with aclosing(self.transcript.follow()) as updates:
                async for update in updates:
                    if not isinstance(update, Finished | Draft):
                        finals += isinstance(update, Utterance)
                        yield told(convert.event(update), finals)
        finally:
            self.ended.set()

    async def _expiry(self) -> None:
        await self.expired.wait()
        raise TokenExpired


@asynccontextmanager
async def served(stage: Stage) -> AsyncIterator[Stage]:
    """The server while the block lasts; then it ends, and with it every connection."""
    listening = anyio.Event()

    def announce(url: str) -> None:
        stage.port = int(url.rpartition(":")[2])
        listening.set()

    app = Starlette(routes=[Route("/", stage.answer)])
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False)
    server = Announced(
        config, announce=announce, stopping=anyio.lowlevel.checkpoint, send_timeout_s=stage.send_timeout_s
    )
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve())
        await listening.wait()
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield stage
        finally:
            server.should_exit = True  # it waits for its connections to end
            async with asyncio.timeout(PATIENCE_S):
                await serving


async def ask(stage: Stage, connection: socket.socket) -> None:
    """The request of a client that buffers next to nothing."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", stage.port))
    await loop.sock_sendall(connection, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")


async def reader(stage: Stage) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = socket.socket()
    await ask(stage, connection)
    return await asyncio.open_connection(sock=connection, limit=4096)


def final(number: int) -> Utterance:
    return Utterance(id=f"f{number}", stream="stream0", role=Role.DOCTOR, start=0, end=16_000, text=f"{number}")


async def flood(transcript: LiveTranscript, rounds: int = 800) -> None:
    """Partials of one segment after the other, each ending in a final."""
    for number in range(rounds):
        partial = Partial(id=f"f{number}", stream="stream0", role=Role.DOCTOR, start=0, end=16_000, text=MANY_WORDS)
        transcript.show(partial)
        await asyncio.sleep(0)
        transcript.add([final(number)])
        await asyncio.sleep(0)


def kinds(octets: bytes) -> list[dict[str, object]]:
    lines = octets.decode(errors="replace").splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def test_a_slow_reader_loses_partials_and_is_told_how_many_but_never_a_final() -> None:
    async with served(Stage()) as stage:
        incoming, outgoing = await reader(stage)
        await incoming.readuntil(b"\r\n\r\n")
        await flood(stage.transcript)
        stage.transcript.end(complete=True)
        events = kinds(await incoming.read())
        outgoing.close()
    finals = [event["text"] for event in events if event["type"] == "final"]
    partials = sum(event["type"] == "partial" for event in events)
    lagging = [event["skipped_partials"] for event in events if event["type"] == "lagging"]
    assert finals == [str(number) for number in range(800)]
    assert lagging
    assert partials + sum(int(str(skipped)) for skipped in lagging) == 800


async def test_a_reader_that_does_not_read_is_dropped() -> None:
    with socket.socket() as deaf:
        async with served(Stage(send_timeout_s=0.5)) as stage:
            await ask(stage, deaf)
            await flood(stage.transcript)
            await stage.ended.wait()
        # The server ended only when the connection was gone, which had much to be read: closing it was not enough.


async def test_a_reader_that_leaves_ends_its_telling() -> None:
    async with served(Stage()) as stage:
        incoming, outgoing = await reader(stage)
        await incoming.readuntil(b"\r\n\r\n")
        outgoing.close()
        await stage.ended.wait()


async def test_an_expired_token_is_the_last_event() -> None:
    async with served(Stage()) as stage:
        incoming, outgoing = await reader(stage)
        await incoming.readuntil(b"\r\n\r\n")
        stage.expired.set()
        (event,) = kinds(await incoming.read())
        outgoing.close()
    assert event["code"] == "token_expired"


def test_an_event_is_four_lines_and_the_last_ones_id_says_that_all_was_told() -> None:
    withdrawn = Told(kind="withdrawn", json=b'{"type":"withdrawn","id":"a"}', finals=3)
    assert frame(withdrawn) == b'event: withdrawn\nid: 3\ndata: {"type":"withdrawn","id":"a"}\n\n'
    done = Told(kind="done", json=b"{}", finals=3)
    assert last_event_id(frame(done).decode().split("\n")[1].removeprefix("id: ")) is None


@pytest.mark.parametrize(("text", "finals"), [("", 0), ("0", 0), ("17", 17)])
def test_the_id_of_an_event_says_how_many_finals_came_before(text: str, finals: int) -> None:
    assert last_event_id(text) == finals


@pytest.mark.parametrize("text", ["-1", "one", "1.5", "9" * 30, "²"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        last_event_id(text)
