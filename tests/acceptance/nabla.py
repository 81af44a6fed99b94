"""A client of Nabla's listen-ws that does what the vendor's does."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.recordings import Recording
from bench.server import RunningServer

Message = dict[str, Any]

PATHS = ("/v1/copilot-api/server/listen-ws", "/v1/copilot-api/user/listen-ws", "/v1/server/copilot/listen")
CONFIG: Message = {
    "object": "listen_config",
    "output_objects": ["transcript_item"],
    "encoding": "pcm_s16le",
    "sample_rate": 16000,
    "language": "en-US",
    "streams": [{"id": "d", "speaker_type": "doctor"}, {"id": "p", "speaker_type": "patient"}],
}
END: Message = {"object": "end"}
CHUNK = 3072 * 2  # bytes: the vendor's own client sends 192 ms


@asynccontextmanager
async def dialled(
    server: RunningServer, path: str = PATHS[0], *, key: str = "", **more: Any
) -> AsyncIterator[ClientConnection]:
    options: dict[str, Any] = {
        "additional_headers": {"Authorization": f"Bearer {key or server.key}"},
        "subprotocols": ["copilot-listen-protocol"],
        "max_size": 2**24,
    } | more
    async with connect(server.base_url.replace("http", "ws", 1) + path, **options) as socket:
        yield socket


async def say(socket: ClientConnection, message: Message) -> None:
    await socket.send(json.dumps(message))


async def play(socket: ClientConnection, streams: dict[str, bytes], **more: Any) -> None:
    """Audio of every stream in turn, as fast as the server takes it."""
    longest = max(len(pcm) for pcm in streams.values())
    for at in range(0, longest, CHUNK):
        for name, pcm in streams.items():
            payload = base64.b64encode(pcm[at : at + CHUNK]).decode()
            await say(socket, {"object": "audio_chunk", "stream_id": name, "payload": payload} | more)


async def read(socket: ClientConnection, seconds: float = 60) -> list[Message]:
    """Everything until the server closes."""
    got: list[Message] = []
    async with asyncio.timeout(seconds):
        with suppress(ConnectionClosed):
            async for message in socket:
                got.append(json.loads(message))
    return got


def pcm(recording: Recording, seconds: float) -> dict[str, bytes]:
    doctor, patient = (
        (channel[: int(seconds * 16000)] * 32767).astype("<i2").tobytes() for channel in recording.channels()
    )
    return {"d": doctor, "p": patient}


def finals(messages: list[Message]) -> list[Message]:
    return [m for m in messages if m["object"] == "transcript_item" and m["is_final"]]
