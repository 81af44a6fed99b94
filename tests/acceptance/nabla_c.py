"""A client of Nabla's generation C that does what the vendor's does: what is not acknowledged is kept and repeated."""

import asyncio
import base64
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bench.server import RunningServer
from server.domain import EncounterRow
from server.store import encounters as sql
from server.store import tables as t
from server.store.database import open_engine
from tests.acceptance import nabla
from tests.acceptance.nabla import Message, say
from tests.acceptance.test_kill import stored_bytes

PATH = "/v1/core/user/transcribe-ws"
CONFIG: Message = {
    "type": "CONFIG",
    "encoding": "PCM_S16LE",
    "sample_rate": 16000,
    "speech_locales": ["ENGLISH_US", "FRENCH_FR"],
    "streams": [{"id": "d", "speaker_type": "DOCTOR"}, {"id": "p", "speaker_type": "PATIENT"}],
    "enable_audio_chunk_ack": True,
    "split_by_sentence": True,
}
END: Message = {"type": "END"}
CHUNK_MS = 100
CHUNK = CHUNK_MS * 32  # bytes
WINDOW = 90  # chunks that the vendor's client has on their way at most


def dialled(
    server: RunningServer, path: str = PATH, *, key: str = "", **more: Any
) -> AbstractAsyncContextManager[ClientConnection]:
    return nabla.dialled(server, path, key=key, **{"subprotocols": ["transcribe-protocol"]} | more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    stream: str
    number: int
    at_ms: int  # of its first sample
    body: bytes

    @property
    def message(self) -> Message:
        payload = base64.b64encode(self.body).decode()
        return {"type": "AUDIO_CHUNK", "stream_id": self.stream, "seq_id": self.number, "payload": payload}


def chunks(streams: dict[str, bytes], first: int = 0, *, by_stream: bool = False) -> list[Chunk]:
    """The streams in turn; numbers count over all of them, or each by itself."""
    longest = max(len(pcm) for pcm in streams.values())
    counter = itertools.count(first)
    return [
        Chunk(
            stream=name,
            number=first + at // CHUNK if by_stream else next(counter),
            at_ms=at // 32,
            body=pcm[at : at + CHUNK],
        )
        for at in range(0, longest, CHUNK)
        for name, pcm in streams.items()
        if pcm[at : at + CHUNK]
    ]


def finals(messages: Iterable[Message]) -> list[Message]:
    return [m for m in messages if m["type"] == "TRANSCRIPT_ITEM" and m["is_final"]]


@dataclass(slots=True, kw_only=True, eq=False)
class Client:
    """Plays chunks over as many sockets as it takes."""

    chunks: Sequence[Chunk]
    config: Message = field(default_factory=lambda: CONFIG)
    window: int = WINDOW
    acknowledged: int = -1
    acks: list[int] = field(default_factory=list)  # of the newest socket
    items: dict[str, Message] = field(default_factory=dict)  # finals by id, on the timeline of the recording
    told: list[tuple[str, str]] = field(default_factory=list)  # id and text of every final, however often it was told
    messages: list[Message] = field(default_factory=list)  # of the newest socket
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def unacknowledged(self) -> list[Chunk]:
        return [chunk for chunk in self.chunks if chunk.number > self.acknowledged]

    async def play(
        self, socket: ClientConnection, *, until: Callable[[], bool] = lambda: False, most: int | None = None
    ) -> None:
        """Send what is not acknowledged (at most so many chunks), then END; leave early when `until` says so."""
        self.acks, self.messages, self._moved = [], [], asyncio.Event()
        sought = self.unacknowledged
        start_ms = sought[0].at_ms if sought else 0
        await say(socket, self.config)
        sending = asyncio.create_task(self._send(socket, sought[:most], ends=most is None))
        try:
            async with asyncio.timeout(90):
                async for text in socket:
                    self._take(json.loads(text), start_ms)
                    if until():
                        return
        except ConnectionClosed:
            return
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send(self, socket: ClientConnection, wanted: Sequence[Chunk], *, ends: bool) -> None:
        for sent, chunk in enumerate(wanted):
            while sent - sum(known.number <= self.acknowledged for known in wanted[:sent]) >= self.window:
                self._moved.clear()
                await self._moved.wait()
            await say(socket, chunk.message)
        if ends:
            await say(socket, END)

    def _take(self, message: Message, start_ms: int) -> None:
        self.messages.append(message)
        if message["type"] == "AUDIO_CHUNK_ACK":
            self.acks.append(message["ack_id"])
            self.acknowledged = max(self.acknowledged, message["ack_id"])
            self._moved.set()
        elif message["type"] == "TRANSCRIPT_ITEM" and message["is_final"]:
            shifted = {name: message[name] + start_ms for name in ("start_offset_ms", "end_offset_ms")}
            self.items[message["id"]] = message | shifted
            self.told.append((message["id"], message["text"]))

    @property
    def transcript(self) -> list[tuple[int, int, str, str]]:
        """Start, end, speaker and words of every final."""
        return sorted(
            (item["start_offset_ms"], item["end_offset_ms"], item["speaker_type"], item["text"])
            for item in self.items.values()
        )


def sessions(data_dir: Path, api: str = "nabla-c") -> list[EncounterRow]:
    """Encounters of this API, oldest first."""
    engine = open_engine(f"sqlite:///{data_dir / 'auscult.db'}")
    try:
        with engine.connect() as connection:
            ids = connection.execute(select(t.encounters.c.id).order_by(t.encounters.c.created_at)).scalars()
            rows = [sql.get(connection, str(encounter)) for encounter in ids]
            return [row for row in rows if row.options.api == api]
    finally:
        engine.dispose()


async def archived(data_dir: Path, encounter: str) -> list[bytes]:
    """Wait until the audio of an encounter that is over lies in blobs; what was kept of each stream."""
    engine = open_engine(f"sqlite:///{data_dir / 'auscult.db'}")
    try:
        async with asyncio.timeout(30):
            while True:
                with engine.connect() as connection:
                    if sql.blob_keys(connection, encounter):
                        return stored_bytes(data_dir, encounter)
                await asyncio.sleep(0.05)  # another process: there is no event to wait for
    finally:
        engine.dispose()
