"""Real clients of the live APIs: they share no code with the server, and keep pace by the clock, not by counting.

Times are seconds of the monotonic clock. Audio of a chunk exists when its last sample was spoken, so a chunk is sent
when its whole length has passed.
"""

import time
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio
import httpx
import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from bench.recordings import Recording
from bench.wires import (
    AudioChunk,
    AudioChunkAck,
    ChunkRequest,
    End,
    ListenConfig,
    Message,
    Parameters,
    Stream,
    Task,
)
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Pcm, Role

_MESSAGES: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)

SUB_PROTOCOL = Subprotocol("copilot-listen-protocol")
LISTEN = "/v1/copilot-api/server/listen-ws"
SAMPLE_BYTES = 2
CHUNK_MS = 100  # as the vendor's client and comment have it
TIMESLICE_MS = 1000  # what pages pass to MediaRecorder.start
POLL_S = 0.5
ANSWER_S = 60.0  # for one request over HTTP


class Refused(AuscultError):
    """The server did not accept a request."""

    code = "refused"

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"HTTP {status}: {answer}")
        self.status = status
        self.answer = answer


class Pace:
    """Steps at fixed times after a beginning; being late once does not move the others."""

    def __init__(self, step_s: float, begun: float | None = None) -> None:
        self.begun = time.monotonic() if begun is None else begun
        self.lateness: list[float] = []  # seconds by which each step came too late
        self._step_s = step_s

    async def step(self) -> None:
        """Wait for the end of the next step."""
        due = self.begun + (len(self.lateness) + 1) * self._step_s
        await anyio.sleep(max(0.0, due - time.monotonic()))
        self.lateness.append(max(0.0, time.monotonic() - due))


# Nabla


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message and when it came."""

    at: float
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Voice:
    """One stream and everything it says: raw s16le audio in the configured rate."""

    stream: str
    role: Role
    audio: bytes | memoryview


def voices_of(recording: Recording) -> tuple[Voice, Voice]:
    """The doctor's channel and the patient's, each as a stream of its own."""
    doctor, patient = recording.channels()
    return (
        Voice(stream="doctor", role=Role.DOCTOR, audio=to_s16le(doctor)),
        Voice(stream="patient", role=Role.PATIENT, audio=to_s16le(patient)),
    )


def streams_of(voices: Sequence[Voice]) -> tuple[Stream, ...]:
    """The voices as they are declared."""
    return tuple(Stream(id=voice.stream, speaker_type=voice.role) for voice in voices)


def to_s16le(pcm: Pcm) -> bytes:
    """Samples as the wire wants them."""
    return np.round(np.clip(pcm, -1, 32767 / 32768) * 32768).astype("<i2").tobytes()


@dataclass(slots=True, kw_only=True, eq=False)
class NablaClient:
    """One consultation over Nabla's socket. Made by `connect_nabla`."""

    socket: ClientConnection
    config: ListenConfig
    received: list[Received] = field(default_factory=list)
    begun: float = 0.0  # when the first sample was spoken; set by `play`
    lateness: list[float] = field(default_factory=list)  # of the chunks that `play` sent
    sent: int = 0  # chunks
    acknowledgement_s: list[float] = field(default_factory=list)  # of each acknowledged chunk, from its sending
    unacknowledged: deque[tuple[int, float]] = field(default_factory=deque)  # number and time of sending

    @property
    def close_code(self) -> int | None:
        """What the server closed with; None while the socket is open."""
        return self.socket.close_code

    async def send_audio(self, stream: str, audio: bytes | memoryview) -> None:
        """Send a chunk. Raises `websockets.ConnectionClosed`."""
        number = self.sent if self.config.enable_audio_chunk_ack else None
        chunk = AudioChunk(payload=b64encode(audio).decode(), stream_id=stream, seq_id=number)
        if number is not None:
            self.unacknowledged.append((number, time.monotonic()))
        self.sent += 1
        await self.socket.send(msgspec.json.encode(chunk), text=True)

    async def end(self) -> None:
        """Say that there is no more audio; the server goes on until it has told everything."""
        await self.socket.send(msgspec.json.encode(End()), text=True)

    async def play(self, voices: Sequence[Voice], *, speed: float = 1.0, chunk_ms: int = CHUNK_MS) -> None:
        """Send all voices at `speed` times real time, chunk by chunk, then say that this was the end.

        The shorter voices are silent until the longest ends. Stops where the server closes.
        """
        size = self.config.sample_rate * chunk_ms // 1000 * SAMPLE_BYTES
        pace = Pace(chunk_ms / 1000 / speed)
        self.begun, self.lateness = pace.begun, pace.lateness
        try:
            longest = max(len(voice.audio) for voice in voices)
            for at in range(0, longest, size):
                await pace.step()
                for voice in voices:
                    chunk = bytes(voice.audio[at : at + size])
                    await self.send_audio(voice.stream, chunk.ljust(min(size, longest - at), b"\0"))
            await self.end()
        except ConnectionClosed:
            return  # `close_code` says why

    async def messages(self) -> AsyncIterator[Received]:
        """What the server sends, until it closes. Everything is also kept in `received`."""
        try:
            while True:
                text = await self.socket.recv(decode=False)
                received = Received(at=time.monotonic(), message=_MESSAGES.decode(text))
                if isinstance(received.message, AudioChunkAck):
                    self._acknowledge(received.message.ack_id, received.at)
                self.received.append(received)
                yield received
        except ConnectionClosed:
            return

    def _acknowledge(self, number: int, at: float) -> None:
        while self.unacknowledged and self.unacknowledged[0][0] <= number:
            _, sent_at = self.unacknowledged.popleft()
            self.acknowledgement_s.append(at - sent_at)


@asynccontextmanager
async def connect_nabla(
    base_url: str, key: str, config: ListenConfig, *, as_browser: bool = False
) -> AsyncIterator[NablaClient]:
    """A configured socket. A browser cannot set headers: it offers its key as a second sub-protocol.

    Raises: `Refused`, `OSError`.
    """
    protocols = [SUB_PROTOCOL, Subprotocol(f"jwt-{key}")] if as_browser else [SUB_PROTOCOL]
    headers = None if as_browser else {"Authorization": f"Bearer {key}"}
    url = base_url.replace("http", "ws", 1) + LISTEN
    opening = connect(url, subprotocols=protocols, additional_headers=headers, compression=None, proxy=None)
    try:
        socket = await opening
    except InvalidStatus as exc:
        raise Refused(exc.response.status_code, (exc.response.body or b"").decode(errors="replace")) from exc
    async with socket:
        with suppress(ConnectionClosed):  # `messages` and `close_code` tell why
            await socket.send(msgspec.json.encode(config), text=True)
        yield NablaClient(socket=socket, config=config)


async def converse(
    base_url: str,
    key: str,
    config: ListenConfig,
    voices: Sequence[Voice],
    *,
    speed: float = 1.0,
    on_message: Callable[[Received], None] | None = None,
) -> NablaClient:
    """Play a whole consultation and listen to everything the server says, until it closes.

    Raises: `Refused`, `OSError`.
    """
    async with connect_nabla(base_url, key, config) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: client.play(voices, speed=speed))
        async for received in client.messages():
            if on_message is not None:
                on_message(received)
        tasks.cancel_scope.cancel()
    return client


# Haidy


class HaidyClient:
    """One live session over HTTP: `async with HaidyClient(url, key, file_format="webm") as client`."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        file_format: str,
        sample_rate: int = SAMPLE_RATE,
        parameters: Parameters | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.task_id = "NEW"  # until the first answer
        self.lateness: list[float] = []  # of the chunks that `play` sent
        self._format = file_format
        self._rate = sample_rate
        self._parameters = parameters or Parameters()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._http = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=ANSWER_S, trust_env=False, transport=transport
        )

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    async def send(self, audio: bytes, *, final: bool = False, index: int | None = None) -> Task:
        """Send a chunk, numbered where it may have to be sent again. Raises `Refused`, `httpx.TransportError`."""
        chunk = ChunkRequest(
            task_id=self.task_id,
            final=final,
            audio_base64=b64encode(audio).decode(),
            sample_rate=self._rate,
            file_format=self._format,
            parameters=self._parameters,
            chunk_index=index,
        )
        task = await self._post("/v2/audio/audio_chunk", msgspec.json.encode(chunk))
        self.task_id = task.task_id
        return task

    async def poll(self) -> Task:
        """Ask how far it is. Raises `Refused`, `httpx.TransportError`."""
        return await self._post("/v2/tasks", msgspec.json.encode({"task_id": self.task_id}))

    async def finished(self) -> Task:
        """Poll until the task is done or failed. Raises `Refused`, `httpx.TransportError`."""
        while True:
            task = await self.poll()
            if task.status in ("DONE", "FAILED"):
                return task
            await anyio.sleep(POLL_S)  # this API has nothing to wait on

    async def play(self, audio: bytes, *, seconds: float, speed: float = 1.0, chunk_ms: int = TIMESLICE_MS) -> None:
        """Send `audio`, which lasts `seconds`, in even pieces at `speed` times real time; the last one is final."""
        count = max(1, round(seconds * 1000 / chunk_ms))
        size = -(-len(audio) // count)
        pace = Pace(chunk_ms / 1000 / speed)
        self.lateness = pace.lateness
        for number, at in enumerate(starts := range(0, len(audio), size)):
            await pace.step()
            await self.send(audio[at : at + size], final=at == starts[-1], index=number)

    async def _post(self, path: str, body: bytes) -> Task:
        answer = await self._http.post(path, content=body)
        if answer.status_code != httpx.codes.OK:
            raise Refused(answer.status_code, answer.text)
        return msgspec.json.decode(answer.content, type=Task)
