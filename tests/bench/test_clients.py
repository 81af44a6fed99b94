"""The clients, against small servers of their protocols that run in the test."""

import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import httpx
import msgspec
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request as Handshake
from websockets.http11 import Response as Denial

from bench.clients import (
    SUB_PROTOCOL,
    HaidyClient,
    Pace,
    Refused,
    Voice,
    connect_nabla,
    converse,
    streams_of,
    to_s16le,
    voices_of,
)
from bench.recordings import Recording
from bench.wires import AudioChunk, AudioChunkAck, End, ErrorMessage, ListenConfig, TranscriptItem
from pipeline.types import Role

FAST = 100.0  # times real time
KEY = "test-key"
CHUNK = 3200  # bytes of 100 ms


class Configured(msgspec.Struct, tag_field="object", tag="listen_config"):
    enable_audio_chunk_ack: bool


DOCTOR = Voice(stream="d", role=Role.DOCTOR, audio=bytes(range(250)) * 40)  # 10,000 bytes: the last chunk is short
PATIENT = Voice(stream="p", role=Role.PATIENT, audio=b"\1\2" * 1700)
CONFIG = ListenConfig(streams=streams_of([DOCTOR, PATIENT]))


@asynccontextmanager
async def nabla(handler: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """A server that knows one key."""

    def check(connection: ServerConnection, request: Handshake) -> Denial | None:
        given = {request.headers.get("Authorization"), *request.headers.get_all("Sec-WebSocket-Protocol")}
        if given & {f"Bearer {KEY}", f"{SUB_PROTOCOL}, jwt-{KEY}"}:
            return None
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no such key")

    async with serve(handler, "127.0.0.1", 0, subprotocols=[SUB_PROTOCOL], process_request=check) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def messages(socket: ServerConnection) -> AsyncIterator[Configured | AudioChunk | End]:
    async for text in socket:
        yield msgspec.json.decode(text, type=Configured | AudioChunk | End)


async def test_every_sample_is_sent_and_the_shorter_voice_is_silent_to_the_end() -> None:
    heard = {"d": b"", "p": b""}
    order: list[str] = []

    async def listen(socket: ServerConnection) -> None:
        async for message in messages(socket):
            order.append(type(message).__name__)
            if isinstance(message, AudioChunk):
                assert message.seq_id is None
                heard[message.stream_id] += b64decode(message.payload)
            if isinstance(message, End):
                return

    async with nabla(listen) as url:
        client = await converse(url, KEY, CONFIG, [DOCTOR, PATIENT], speed=FAST)

    assert heard["d"] == DOCTOR.audio
    assert heard["p"] == bytes(PATIENT.audio) + bytes(len(DOCTOR.audio) - len(PATIENT.audio))
    assert order == ["Configured", *["AudioChunk"] * 8, "End"]
    assert client.close_code == 1000
    assert client.sent == 8


async def test_an_acknowledgement_counts_for_all_chunks_before_it() -> None:
    async def listen(socket: ServerConnection) -> None:
        numbers: list[int | None] = []
        async for message in messages(socket):
            if isinstance(message, AudioChunk):
                numbers.append(message.seq_id)
            if isinstance(message, End):
                assert numbers == list(range(8))
                await socket.send(msgspec.json.encode(AudioChunkAck(ack_id=5)), text=True)
                return

    config = msgspec.structs.replace(CONFIG, enable_audio_chunk_ack=True)
    async with nabla(listen) as url:
        client = await converse(url, KEY, config, [DOCTOR, PATIENT], speed=FAST)

    assert len(client.acknowledgement_s) == 6
    assert [number for number, _ in client.unacknowledged] == [6, 7]
    assert all(delay > 0 for delay in client.acknowledgement_s)


async def test_messages_come_with_their_time_and_the_servers_close_ends_the_playing() -> None:
    said = TranscriptItem(id="1", text="hello", speaker=Role.DOCTOR, start_offset_ms=0, end_offset_ms=90, is_final=True)

    async def refuse(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send(msgspec.json.encode(said), text=True)
        await socket.send('{"object": "error_message", "message": "no", "code": 7, "new": []}')
        await socket.close(1008)

    before = time.monotonic()
    async with nabla(refuse) as url:
        client = await converse(url, KEY, CONFIG, [DOCTOR], speed=0.01)

    assert [each.message for each in client.received] == [said, ErrorMessage(message="no", code=7)]
    assert before < client.received[0].at <= client.received[1].at < time.monotonic()
    assert client.close_code == 1008


@pytest.mark.parametrize("as_browser", [False, True])
async def test_the_key_is_offered_in_both_ways(as_browser: bool) -> None:
    async def end(socket: ServerConnection) -> None:
        assert socket.subprotocol == SUB_PROTOCOL

    async with nabla(end) as url:
        async with connect_nabla(url, KEY, CONFIG, as_browser=as_browser) as client:
            assert [each async for each in client.messages()] == []
            assert client.close_code == 1000
        with pytest.raises(Refused, match="HTTP 401: no such key"):
            async with connect_nabla(url, "wrong", CONFIG, as_browser=as_browser):
                pass


async def test_being_late_once_does_not_move_the_next_steps() -> None:
    pace = Pace(0.1, begun=time.monotonic() - 0.35)  # three steps are overdue
    for _ in range(4):
        await pace.step()
    assert pace.lateness[:3] == pytest.approx([0.25, 0.15, 0.05], abs=0.04)
    assert pace.lateness[3] < 0.04
    assert time.monotonic() >= pace.begun + 0.4


def test_the_two_channels_of_a_recording_are_two_declared_streams() -> None:
    voices = voices_of(Recording.load("headache"))
    assert [stream.speaker_type for stream in streams_of(voices)] == [Role.DOCTOR, Role.PATIENT]
    assert len(voices[0].audio) == len(voices[1].audio)
    assert any(bytes(voices[0].audio))
    assert any(bytes(voices[1].audio))


def test_samples_are_rounded_and_never_wrap_round() -> None:
    pcm = np.array([0, 1, -1, 1.5, -1.5, 0.6 / 32768], np.float32)
    assert np.frombuffer(to_s16le(pcm), "<i2").tolist() == [0, 32767, -32768, 32767, -32768, 1]


class FakeHaidy:
    """Joins the chunks of one task."""

    def __init__(self) -> None:
        self.audio = b""
        self.finals: list[bool] = []
        self.polls = 0
        self.app = Starlette(
            routes=[
                Route("/v2/audio/audio_chunk", self.chunk, methods=["POST"]),
                Route("/v2/tasks", self.tasks, methods=["POST"]),
            ]
        )

    async def chunk(self, request: Request) -> Response:
        body = await request.json()
        if request.headers["authorization"] != f"Bearer {KEY}":
            return JSONResponse("Unauthorized", 401)
        assert body["task_id"] == ("7" if self.finals else "NEW")
        assert body["chunk_index"] == len(self.finals)
        assert body["parameters"] == {"template": "SOAP", "language": "en", "glossary": []}
        self.audio += b64decode(body["audio_base64"])
        self.finals.append(body["final"])
        return JSONResponse(task("CREATED"))

    async def tasks(self, request: Request) -> Response:
        assert await request.json() == {"task_id": "7"}
        self.polls += 1
        return JSONResponse(task("DONE" if self.polls > 1 else "STARTED"))


def task(status: str) -> dict[str, object]:
    bubble = {"text": "hello", "start": 0.5, "end": 1.0, "extra": None}
    return {
        "task_id": "7",
        "status": status,
        "percentage": 0,
        "started_at": "",
        "status_changes_at": {},
        "result": {"bubbles": [bubble]} if status == "DONE" else None,
    }


async def test_a_file_goes_to_haidy_in_pieces_and_the_last_is_final() -> None:
    server = FakeHaidy()
    transport = httpx.ASGITransport(server.app)
    audio = bytes(range(256)) * 4
    async with HaidyClient("http://haidy", KEY, file_format="webm", transport=transport) as client:
        await client.play(audio, seconds=3.0, speed=FAST)
        done = await client.finished()
    assert server.audio == audio
    assert server.finals == [False, False, True]
    assert done.status == "DONE"
    assert done.result is not None
    assert done.result.bubbles[0].text == "hello"


async def test_haidys_refusal_is_an_error_with_its_words() -> None:
    transport = httpx.ASGITransport(FakeHaidy().app)
    async with HaidyClient("http://haidy", "wrong", file_format="webm", transport=transport) as client:
        with pytest.raises(Refused, match='HTTP 401: "Unauthorized"'):
            await client.send(b"x")
