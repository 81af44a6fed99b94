"""A call to a real socket: real time, silence behind it, and what becomes of calls that are refused or broken."""

import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.calls import TOLD_S, Call, Endpoint, Heard, connected
from bench.excerpts import BYTES_PER_MS, Excerpt
from bench.nabla_wire import NablaWire
from bench.wires import AudioChunk, End, ListenConfig, TranscriptItem
from pipeline.types import Role

SPEECH_MS = 300
EXCERPT = Excerpt(audio=bytes(SPEECH_MS * BYTES_PER_MS), items=())
QUIET_S = 0.3


async def called(answer: Callable[[ServerConnection], Awaitable[None]], *, told_s: float = TOLD_S) -> Heard:
    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connected(Endpoint(url=f"ws://127.0.0.1:{port}")) as socket:
            call = Call(wire=NablaWire(), socket=socket, excerpt=EXCERPT, quiet_s=QUIET_S, closing_s=0.0, told_s=told_s)
            assert await call.open()
            await call.talk(time.monotonic())
            return call.heard(7)


def message(id: str, text: str, *, final: bool) -> bytes:
    return msgspec.json.encode(
        TranscriptItem(id=id, text=text, speaker=Role.PATIENT, start_offset_ms=0, end_offset_ms=200, is_final=final)
    )


async def test_a_call_hears_partials_and_finals_and_ends_when_all_is_told() -> None:
    chunks = 0

    async def answer(socket: ServerConnection) -> None:
        nonlocal chunks
        msgspec.json.decode(await socket.recv(), type=ListenConfig)
        async for frame in socket:
            said = msgspec.json.decode(frame, type=AudioChunk | End)
            if isinstance(said, End):
                return
            chunks += 1
            if chunks == 2:
                await socket.send(message("a", "so", final=False), text=True)
            if chunks == 3:
                await socket.send(message("a", "so it is", final=True), text=True)

    heard = await called(answer)
    assert [(each.text, each.settled) for each in heard.shown] == [("so", ""), ("so it is", "so it is")]
    assert [final.text for final in heard.finals] == ["so it is"]
    assert (heard.caller, heard.refused, heard.error) == (7, False, "")
    assert chunks > SPEECH_MS / 100  # and silence behind the speech
    assert len(heard.lateness_ms) == chunks


@pytest.mark.parametrize(("code", "refused", "error"), [(1013, True, ""), (1011, False, "the server closed with 1011")])
async def test_a_server_that_hangs_up_refused_or_broke_the_call(code: int, refused: bool, error: str) -> None:
    async def answer(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(code)

    heard = await called(answer)
    assert (heard.refused, heard.error) == (refused, error)
    assert heard.shown == ()


async def test_a_server_that_still_has_something_to_tell_behind_the_goodbye_is_heard_to_its_end() -> None:
    async def answer(socket: ServerConnection) -> None:
        async for frame in socket:
            if isinstance(msgspec.json.decode(frame, type=ListenConfig | AudioChunk | End), End):
                await (await socket.ping())  # until the caller has had its turn, more than once
                await socket.send(message("a", "so it is", final=True), text=True)
                return

    heard = await called(answer)
    assert [final.text for final in heard.finals] == ["so it is"]
    assert heard.error == ""


async def test_a_server_that_fails_behind_the_goodbye_broke_the_call() -> None:
    async def answer(socket: ServerConnection) -> None:
        async for frame in socket:
            if isinstance(msgspec.json.decode(frame, type=ListenConfig | AudioChunk | End), End):
                await socket.close(1011)

    assert (await called(answer)).error == "the server closed with 1011"


async def test_a_server_that_never_says_that_all_is_told_broke_the_call() -> None:
    async def answer(socket: ServerConnection) -> None:
        async for _ in socket:
            pass

    assert "had not told everything 0 s after the goodbye" in (await called(answer, told_s=0.0)).error
