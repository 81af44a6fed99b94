"""What followers of one session cost the server, and how soon they know: Server-Sent Events, read by plain sockets.

One recorder plays at real time, first alone, then with all followers; what they cost is the difference.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from bench.clients import Pace, to_s16le
from bench.recordings import Recording
from bench.resources import Meter
from bench.score import Spread
from bench.server import RunningServer, running_server
from bench.tables import spread
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE

CHUNK_MS = 100
SETTLE_S = 3.0


class FollowerFailed(AuscultError):
    """A follower was not let in, or was cut off."""

    code = "follower_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerOptions:
    """How many, for how long."""

    followers: int = 200
    seconds: float = 30.0
    recording: str = "cough"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    followers: int
    seconds: float  # of each of both halves
    cpu_alone: float  # of the server, in cores
    cpu_followed: float
    events_per_s: float  # to all followers together
    told_after_ms: Spread | None  # the recorder is told → a follower is told
    missing_finals: int  # of all followers together
    rss_kb_per_follower: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Recorder:
    """Plays, and notes when it was told what."""

    told_at: dict[str, float] = field(default_factory=dict)  # by event
    finals: int = 0

    async def play(self, socket: ClientConnection, audio: bytes) -> None:
        pace = Pace(CHUNK_MS / 1000)
        size = SAMPLE_RATE * CHUNK_MS // 1000 * 2
        at = 0
        while True:
            await pace.step()
            await socket.send(audio[at : at + size])
            at = (at + size) % (len(audio) // size * size)

    async def hear(self, socket: ClientConnection) -> None:
        async for message in socket:
            event: dict[str, Any] = json.loads(message)
            if event["type"] in ("partial", "final"):
                self.told_at.setdefault(str(message), time.monotonic())
                self.finals += event["type"] == "final"


@dataclass(slots=True, kw_only=True, eq=False)
class _Follower:
    """Reads lines and notes when each came."""

    events: int = 0
    finals: int = 0
    came: list[tuple[str, float]] = field(default_factory=list)

    async def follow(self, server: RunningServer, encounter: str, inside: anyio.Semaphore) -> None:
        host, _, port = server.base_url.rpartition("//")[2].partition(":")
        incoming, outgoing = await asyncio.open_connection(host, int(port))
        try:
            request = f"GET /api/encounters/{encounter}/events HTTP/1.1\r\nHost: {host}\r\n"
            outgoing.write(f"{request}Authorization: Bearer {server.key}\r\n\r\n".encode())
            if b" 200 " not in await incoming.readline():
                raise FollowerFailed
            inside.release()
            while line := await incoming.readline():
                if line.startswith(b"data: "):
                    self.events += 1
                    self.finals += b'"type":"final"' in line
                    self.came.append((line[6:-1].decode(), time.monotonic()))
        finally:
            outgoing.close()


async def run(options: FollowerOptions, console: Console) -> Report:
    """Start a server, play, follow, measure. Raises `ServerFailed`, `FollowerFailed`, `OSError`, `TimeoutError`."""
    audio = to_s16le(Recording.load(options.recording).mono())
    recorder, followers = _Recorder(), [_Follower() for _ in range(options.followers)]
    async with running_server(recogniser="scripted") as server:
        url = server.base_url.replace("http", "ws", 1) + "/api/live"
        async with (
            connect(url, additional_headers={"Authorization": f"Bearer {server.key}"}) as socket,
            anyio.create_task_group() as tasks,
        ):
            hello = {"type": "hello", "encoding": "pcm_s16le", "sample_rate": SAMPLE_RATE, "note": False}
            await socket.send(json.dumps(hello))
            encounter = json.loads(await socket.recv())["encounter_id"]
            tasks.start_soon(recorder.hear, socket)
            tasks.start_soon(recorder.play, socket, audio)
            with console.status("alone"):
                await anyio.sleep(SETTLE_S)
                alone, resident = await _measured(server, options.seconds)
            with console.status(f"{options.followers} followers"):
                inside = anyio.Semaphore(0)
                for follower in followers:
                    tasks.start_soon(follower.follow, server, encounter, inside)
                with anyio.fail_after(60):
                    for _ in followers:
                        await inside.acquire()
                await anyio.sleep(SETTLE_S)
                before = sum(follower.events for follower in followers)
                followed, grown = await _measured(server, options.seconds)
                events = sum(follower.events for follower in followers) - before
            tasks.cancel_scope.cancel()
    late = [
        1000 * (at - recorder.told_at[event])
        for follower in followers
        for event, at in follower.came
        if event in recorder.told_at and at > recorder.told_at[event] - 1 and '"final"' not in event
    ]
    return Report(
        followers=options.followers,
        seconds=options.seconds,
        cpu_alone=round(alone, 4),
        cpu_followed=round(followed, 4),
        events_per_s=round(events / options.seconds, 1),
        told_after_ms=Spread.of([each for each in late if np.isfinite(each)]),
        missing_finals=sum(max(0, recorder.finals - follower.finals) for follower in followers),
        rss_kb_per_follower=round((grown - resident) / 1e3 / options.followers, 1),
    )


async def _measured(server: RunningServer, seconds: float) -> tuple[float, int]:
    """Cores that the server uses meanwhile, and its memory at the end, in bytes."""
    meter = Meter(server)
    begun = time.monotonic()
    await anyio.sleep(seconds)
    meter.sample()
    return meter.cpu_s / (time.monotonic() - begun), meter.trace[-1][1]


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    console.print(f"{report.followers} followers of one session, {report.seconds:g} s", style="bold")
    table = Table("", "median", "p95", "p99", "max", box=None, pad_edge=False)
    table.add_row("server alone, % of a core", f"{report.cpu_alone:.1%}")
    table.add_row("server with followers, % of a core", f"{report.cpu_followed:.1%}")
    table.add_row("of it for followers, % of a core", f"{report.cpu_followed - report.cpu_alone:.1%}")
    table.add_row("memory of each follower, kB", f"{report.rss_kb_per_follower:.0f}")
    table.add_row("events a second, all followers", f"{report.events_per_s:.0f}")
    table.add_row("recorder is told → follower is told, ms", *spread(report.told_after_ms, 1))
    table.add_row("finals that were missing", str(report.missing_finals))
    console.print(table)
