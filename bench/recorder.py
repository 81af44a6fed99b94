"""What a browser's recorder meets at `/api/live`: acknowledgements, first words, and coming back after a cut.

The recordings are webm, sent as they are recorded, in real time. Each session begins a little before another sentence,
so that first words are many. Then one session is played twice, the second time with cuts, and must say the same.
"""

import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.clients import Pace
from bench.recordings import Recording
from bench.score import Spread
from bench.server import RunningServer, running_server
from bench.tables import spread
from bench.webm import recorded
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Pcm

LEAD_MS = 500  # of silence before the first sentence of a session
PATIENCE_S = 120.0
NORMAL = 1000

Event = dict[str, Any]


class SessionBroken(AuscultError):
    """A session did not end as it should."""

    code = "session_broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """What to record, and how often the connection is cut."""

    recording: str = "cough"
    recogniser: str = "sphinx"
    model: str = ""
    sessions: int = 10  # one after the other, each of `seconds`
    seconds: float = 8.0
    slice_ms: int = 100
    cuts: int = 5
    cut_seconds: float = 40.0  # length of the session that is cut


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    recogniser: str
    slice_ms: int
    sessions: int
    chunk_to_ack_ms: Spread | None  # a chunk is sent → it is on the disk
    speech_to_partial_ms: Spread | None  # somebody begins to speak → first words at the client
    cuts: int
    back_to_session_ms: Spread | None  # the new socket is open → the server says from which chunk on
    words: int  # of the session that was not cut
    lost_words: int  # that are missing where it was cut
    repeated_words: int  # that are there too often
    lateness_ms: Spread | None  # of the chunks themselves


@dataclass(slots=True, kw_only=True, eq=False)
class _Session:
    """One session, over as many connections as it takes."""

    server: RunningServer
    chunks: Sequence[bytes]
    slice_ms: int
    begun: float = 0.0
    token: str | None = None
    next: int = 0
    sent_at: dict[int, float] = field(default_factory=dict)
    acknowledged: int = 0
    ack_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    partials: list[tuple[float, Event]] = field(default_factory=list)
    finals: list[Event] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    done: bool = False

    async def play(self, cuts: Sequence[int] = ()) -> None:
        """Record at real time; before each chunk in `cuts` the connection breaks. Raises `SessionBroken`."""
        self.begun = time.monotonic()
        pace = Pace(self.slice_ms / 1000, self.begun)
        self.lateness = pace.lateness
        ends = [*cuts, len(self.chunks)]
        for end in ends:
            async with self._connected() as socket, anyio.create_task_group() as tasks:
                tasks.start_soon(self._hear, socket)
                while self.next < end:
                    if self.next >= len(self.sent_at):
                        await pace.step()
                    self.sent_at.setdefault(self.next, time.monotonic())
                    await socket.send(self.chunks[self.next])
                    self.next += 1
                if end == len(self.chunks):
                    await socket.send(json.dumps({"type": "end"}))
                else:
                    socket.transport.abort()
        if not self.done:
            raise SessionBroken("The server ended a session before it was done.")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        async with connect(
            self.server.base_url.replace("http", "ws", 1) + "/api/live",
            additional_headers={"Authorization": f"Bearer {self.server.key}"},
            subprotocols=["auscult-live"],  # type: ignore[list-item]  # a NewType of str
            max_size=None,
            compression=None,
        ) as socket:
            opened = time.monotonic()
            hello: Event = {"type": "hello", "note": False, "after": len(self.finals)}
            await socket.send(json.dumps(hello | ({"resume_token": self.token} if self.token else {})))
            session = json.loads(await socket.recv())
            if session["type"] != "session":
                raise SessionBroken(f"The server says: {session.get('message', '')}")
            if self.token:
                self.back_s.append(time.monotonic() - opened)
            self.token, self.next = session["resume_token"], session["chunks"]
            yield socket

    async def _hear(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                self._take(json.loads(message), time.monotonic())
        except ConnectionClosed:
            return

    def _take(self, event: Event, at: float) -> None:
        match event["type"]:
            case "ack":
                self.ack_s += [at - self.sent_at[chunk] for chunk in range(self.acknowledged, event["chunks"])]
                self.acknowledged = max(self.acknowledged, event["chunks"])
            case "partial":
                self.partials.append((at - self.begun, event))
            case "final":
                self.finals.append(event)
            case "error":
                raise SessionBroken(f"The server says: {event['message']}")
            case "done":
                self.done = True

    @property
    def words(self) -> list[str]:
        return [word for final in self.finals for word in final["text"].split()]


async def run(options: RecorderOptions, console: Console) -> Report:
    """Start a server, record, cut, measure. Raises `ServerFailed`, `SessionBroken`, `OSError`, `TimeoutError`."""
    recording = Recording.load(options.recording)
    pcm = recording.mono()
    async with running_server(recogniser=options.recogniser, model=options.model) as server:
        starts = _starts(recording, options)
        played: list[_Session] = []
        first_words: list[float] = []
        with console.status("recording"), anyio.fail_after(PATIENCE_S + options.sessions * options.seconds * 2):
            for start_ms in starts:
                session = _session(server, _from(pcm, start_ms - LEAD_MS, options.seconds), options)
                await session.play()
                played.append(session)
                first_words += [at - LEAD_MS / 1000 for at, _ in session.partials[:1]]
        with console.status("cutting"), anyio.fail_after(PATIENCE_S + 4 * options.cut_seconds):
            whole, cut = (_session(server, _from(pcm, 0, options.cut_seconds), options) for _ in range(2))
            await whole.play()
            chunks = len(cut.chunks)
            await cut.play([chunks * (each + 1) // (options.cuts + 1) for each in range(options.cuts)])
        name = server.recogniser.name if server.recogniser else options.recogniser
    lost, repeated = differences(whole.finals, cut.finals)
    return Report(
        recogniser=name,
        slice_ms=options.slice_ms,
        sessions=len(played),
        chunk_to_ack_ms=Spread.of([1000 * each for session in [*played, whole] for each in session.ack_s]),
        speech_to_partial_ms=Spread.of([1000 * each for each in first_words]),
        cuts=options.cuts,
        back_to_session_ms=Spread.of([1000 * each for each in cut.back_s]),
        words=len(whole.words),
        lost_words=lost,
        repeated_words=repeated,
        lateness_ms=Spread.of([1000 * each for session in [*played, whole, cut] for each in session.lateness]),
    )


def _session(server: RunningServer, pcm: Pcm, options: RecorderOptions) -> _Session:
    return _Session(server=server, chunks=recorded(pcm, options.slice_ms), slice_ms=options.slice_ms)


def _starts(recording: Recording, options: RecorderOptions) -> list[int]:
    """Where sentences begin behind a pause that is as long as the silence before a session's first one."""
    items = sorted(recording.items, key=lambda item: item.start_ms)
    ends, starts = 0, []
    for item in items:
        if item.start_ms - ends > LEAD_MS:
            starts.append(item.start_ms)
        ends = max(ends, item.end_ms)
    return (starts * options.sessions)[: options.sessions]


def _from(pcm: Pcm, start_ms: int, seconds: float) -> Pcm:
    begin = max(0, start_ms) * SAMPLE_RATE // 1000
    return pcm[begin : begin + round(seconds * SAMPLE_RATE)]


def differences(whole: Sequence[Event], cut: Sequence[Event]) -> tuple[int, int]:
    """Words of finals that are in only one of two runs: lost, and repeated or made up. Finals are named by their times.

    The same bytes make the same segments, whatever happened to the connection.
    """
    named = [
        {(final["start_ms"], final["end_ms"], final["text"]): len(final["text"].split()) for final in finals}
        for finals in (whole, cut)
    ]
    twice = sum(len(final["text"].split()) for final in cut) - sum(named[1].values())
    lost = sum(words for name, words in named[0].items() if name not in named[1])
    return lost, twice + sum(words for name, words in named[1].items() if name not in named[0])


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    console.print(f"{report.recogniser}, webm in chunks of {report.slice_ms} ms", style="bold", soft_wrap=True)
    table = Table("", "median", "p95", "p99", "max", box=None, pad_edge=False)
    table.add_row("chunk → acknowledgement, ms", *spread(report.chunk_to_ack_ms, 1))
    table.add_row(f"speech → first words, ms ({report.sessions} sessions)", *spread(report.speech_to_partial_ms))
    table.add_row(f"back → session, ms ({report.cuts} cuts)", *spread(report.back_to_session_ms, 1))
    table.add_row("words; lost, repeated", f"{report.words}; {report.lost_words}, {report.repeated_words}")
    table.add_row("chunks' own lateness, ms", *spread(report.lateness_ms, 1))
    console.print(table)
