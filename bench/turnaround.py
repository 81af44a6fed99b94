"""`auscult-bench turnaround`: how soon an idle server has a note: of a text as it is streamed, a session, a file."""

import time
from collections.abc import Iterable, Mapping

import anyio
import httpx
import msgspec
import numpy as np
from websockets.asyncio.client import connect

from bench.recordings import Recording
from bench.score import Spread
from bench.server import RunningServer, running_server
from bench.webm import recorded
from pipeline.types import SAMPLE_RATE, Pcm

FIRST_TEXT_MS = 300.0  # the median of it
SHARE = 0.2  # of the recording's duration until its note is there
WORDS = (500, 2_000, 5_000)  # of talk: minutes, an ordinary visit, an hour
TRIES = 10
LIVE_TRIES = 3
POLL_S = 0.05
SLICE_MS = 1000  # of what a browser would hand over
SPECIALTY = "physician"
CONSULTATIONS = ("headache", "cough")


class Streamed(msgspec.Struct, frozen=True, kw_only=True):
    """The note of a text, by Server-Sent Events. Milliseconds from the request."""

    words: int
    first_text_ms: Spread
    done_ms: Spread


class Uploaded(msgspec.Struct, frozen=True, kw_only=True):
    """The note of a recording, by upload and polls."""

    audio_s: float
    taken_s: float  # until the upload was answered
    note_s: float  # until the note was there
    words: int  # of its transcript

    @property
    def share(self) -> float:
        """Of the recording's duration."""
        return self.note_s / self.audio_s


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The note of a live session. Milliseconds from the last final."""

    first_section_ms: Spread
    note_ms: Spread


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    recogniser: str
    streamed: list[Streamed]
    live: Live | None  # None: the recogniser's made-up words make no note
    uploaded: Uploaded
    share: float

    @property
    def held(self) -> bool:
        """Whether it is as it is to be."""
        first = [each.first_text_ms for each in self.streamed]
        if self.live is not None:
            first.append(self.live.first_section_ms)
        return self.share < SHARE and all(each.median < FIRST_TEXT_MS for each in first)


async def measure(*, recogniser: str, model: str, minutes: float, environment: Mapping[str, str]) -> Report:
    """One after the other, on a server of its own. Raises `ServerFailed`, `httpx.HTTPError`."""
    async with (
        running_server(recogniser=recogniser, model=model, environment=environment) as server,
        client(server) as http,
    ):
        streamed = [await _streamed(http, words) for words in WORDS]
        live = await _live(server)
        uploaded = await _uploaded(http, minutes)
    return Report(
        recogniser=recogniser, streamed=streamed, live=live, uploaded=uploaded, share=round(uploaded.share, 3)
    )


def client(server: RunningServer) -> httpx.AsyncClient:
    """Of a customer."""
    headers = {"Authorization": f"Bearer {server.key}"}
    return httpx.AsyncClient(base_url=server.base_url, headers=headers, trust_env=False, timeout=600)


async def _streamed(http: httpx.AsyncClient, words: int) -> Streamed:
    asked = {"specialty": SPECIALTY, "transcript": talk(words)}
    first, done = [], []
    for _ in range(TRIES):
        began = time.monotonic()
        at: float | None = None
        async with http.stream("POST", "/v1/stream/note", json=asked) as answer:
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                if at is None and '"content"' in line:
                    at = time.monotonic()
        if at is None:
            raise httpx.RemoteProtocolError("The stream ended without text.")
        first.append((at - began) * 1000)
        done.append((time.monotonic() - began) * 1000)
    first_ms, done_ms = Spread.of(first), Spread.of(done)
    assert first_ms is not None
    assert done_ms is not None
    return Streamed(words=words, first_text_ms=first_ms, done_ms=done_ms)


async def _live(server: RunningServer) -> Live | None:
    """Sessions of a whole consultation each, as fast as it can be heard."""
    chunks = list(recorded(Recording.load(CONSULTATIONS[0]).mono(), SLICE_MS))
    first, note = [], []
    for _ in range(LIVE_TRIES):
        at = await _session(server, chunks)
        if "note" not in at:
            return None
        first.append((at["section"] - at["final"]) * 1000)
        note.append((at["note"] - at["final"]) * 1000)
    first_ms, note_ms = Spread.of(first), Spread.of(note)
    assert first_ms is not None
    assert note_ms is not None
    return Live(first_section_ms=first_ms, note_ms=note_ms)


async def _session(server: RunningServer, chunks: Iterable[bytes]) -> dict[str, float]:
    """When the last final came, the first section of the note behind it, and the note."""
    at: dict[str, float] = {}
    url = f"{server.base_url.replace('http', 'ws', 1)}/api/live"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with connect(url, additional_headers=headers, proxy=None) as socket:
        await socket.send(msgspec.json.encode({"type": "hello", "drafts": True}).decode())
        for chunk in chunks:
            await socket.send(chunk)
        await socket.send(msgspec.json.encode({"type": "end"}).decode())
        async for message in socket:
            kind = msgspec.json.decode(message)["type"]
            if kind == "final":
                at = {"final": time.monotonic()}
            elif kind in ("note_draft", "note"):
                at.setdefault("section", time.monotonic())
                at["note"] = time.monotonic()
    return at


async def _uploaded(http: httpx.AsyncClient, minutes: float) -> Uploaded:
    pcm = visit(round(minutes * 60 * SAMPLE_RATE))
    files = {
        "audio": ("visit.webm", b"".join(recorded(pcm, SLICE_MS))),
        "metadata": (None, msgspec.json.encode({"specialty": SPECIALTY})),
    }
    began = time.monotonic()
    taken = (await http.put("/v1/note/audio", files=files)).raise_for_status()
    taken_s = time.monotonic() - began
    while True:
        shown = (await http.get(taken.json()["status_url"])).raise_for_status().json()
        if shown["status"] != "processing":
            break
        await anyio.sleep(POLL_S)
    note_s = time.monotonic() - began
    if shown["status"] != "completed":
        raise httpx.RemoteProtocolError("The recording failed.")
    return Uploaded(
        audio_s=len(pcm) / SAMPLE_RATE,
        taken_s=round(taken_s, 3),
        note_s=round(note_s, 3),
        words=len(shown["note"]["transcript"].split()),
    )


def talk(words: int) -> str:
    """Our consultations as lines of text, over and over, up to so many words."""
    items = [item for name in CONSULTATIONS for item in Recording.load(name).items]
    lines = [f"{item.speaker.capitalize()}: {item.text}" for item in items]
    said: list[str] = []
    count = 0
    while count < words:
        line = lines[len(said) % len(lines)]
        said.append(line)
        count += len(line.split()) - 1
    return "\n".join(said)


def visit(samples: int) -> Pcm:
    """Our consultations, over and over, so long."""
    pcm = np.concatenate([Recording.load(name).mono() for name in CONSULTATIONS])
    return np.resize(pcm, samples)
