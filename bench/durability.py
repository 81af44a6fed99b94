"""`auscult-bench durability`: what durable work costs whom, beside each other on one machine.

The recogniser is the scripted one, so that what is measured is all but recognition.
"""

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import anyio
import anyio.to_thread
import httpx
import msgspec
import numpy as np

from bench.chaos import set_webhook
from bench.haidy import chunk
from bench.postgresql import running_cluster
from bench.processes import processes, shared
from bench.recordings import Recording
from bench.resources import Meter
from bench.score import Spread
from bench.server import RunningServer
from bench.sink import WebhookSink, webhook_sink

ROLES = {"sqlite": ("all",), "postgresql": ("web", "web", "jobs")}
POLLS_PER_S = 200
IDLE_S = 20.0
PIECE = 1 << 20
CHUNK_S = 0.5
ROUNDS = 100


class Report(msgspec.Struct, kw_only=True):
    """What was measured."""

    database: str
    processes: int
    idle_cpu: float  # of a core, all processes together
    upload_mb: float
    upload_mb_per_s: float
    disk_mb_per_s: float  # the same bytes written to a file and flushed, in the same run
    upload_memory_mb: float  # more than before, at the most
    poll_ms: Spread | None  # status polls while it was uploaded
    polls_per_s: float
    webhook_ms: (
        Spread | None
    )  # from the moment a poll (every 10 ms) sees the end to the webhook's arrival; 0: it was sooner
    alone_s: float  # one recording of a tenant, while nobody else has any
    beside_s: float  # … while another tenant has so many in line
    takeover_ms: Spread | None = None  # the first chunk behind the kill of its holder, answered
    chunk_ms: Spread | None = None  # sent to the holder
    forwarded_ms: Spread | None = None  # sent to another process


async def measure(database: Literal["sqlite", "postgresql"], *, minutes: float, queued: int) -> Report:
    """Everything, one after the other. Raises `ServerFailed`, `PostgresqlMissing`."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="auscult-bench-", ignore_cleanup_errors=True)))
        url = ""
        if database == "postgresql":
            url = stack.enter_context(stack.enter_context(running_cluster(flushes=True)).database())
        sink = await stack.enter_async_context(webhook_sink())
        servers = await stack.enter_async_context(processes(folder, _environment(folder, url), ROLES[database]))
        await anyio.to_thread.run_sync(set_webhook, folder, url, sink.url)
        http = await stack.enter_async_context(_client(servers[0], servers[0].key))
        idle = await _idle(servers)
        file = Recording.load("headache").mono_path.read_bytes()
        webhook = [await _webhook(http, sink, file) for _ in range(10)]
        long = await _long_upload(servers[0], http, minutes)
        other = await stack.enter_async_context(_client(servers[0], _key(servers[0], "other", url)))
        alone = await _recorded(other, file)
        for _ in range(queued):
            (await http.post("/api/recordings", files={"audio": ("a", file)})).raise_for_status()
        beside = await _recorded(other, file)
        report = Report(
            database=database,
            processes=len(servers),
            idle_cpu=idle,
            webhook_ms=Spread.of(webhook),
            alone_s=alone,
            beside_s=beside,
            **long,
        )
        if database == "postgresql":
            await _between(servers, report)
        return report


async def _idle(servers: list[RunningServer]) -> float:
    meters = [Meter(server) for server in servers]
    began = time.monotonic()
    await anyio.sleep(IDLE_S)
    for meter in meters:
        meter.sample()
    return sum(meter.cpu_s for meter in meters) / (time.monotonic() - began)


async def _webhook(http: httpx.AsyncClient, sink: WebhookSink, file: bytes) -> float:
    encounter = await _upload(http, file)
    await _over(http, encounter)
    done = anyio.current_time()
    await sink.until({encounter})
    at = next(hook.at for hook in sink.got if hook.encounter == encounter)
    return max(0.0, (at - done) * 1000)


async def _long_upload(server: RunningServer, http: httpx.AsyncClient, minutes: float) -> dict[str, Any]:
    """An hour, say, in one upload, while others ask how far theirs are."""
    polled = await _upload(http, Recording.load("headache").mono_path.read_bytes())
    await anyio.sleep(1)
    size = int(minutes * 60 * 32_000)
    disk = await anyio.to_thread.run_sync(_written, server.data_dir, size)
    meter = Meter(server)
    before = meter.peak_rss
    took: list[float] = []
    latencies: list[float] = []
    sending = threading.Thread(target=_send_long, args=(server, size, took))

    async def poll(number: int) -> None:
        begun = time.perf_counter()
        (await http.get(f"/api/encounters/{polled}")).raise_for_status()
        latencies.append((time.perf_counter() - begun) * 1000)

    sending.start()
    began = time.monotonic()
    async with anyio.create_task_group() as polls:
        number = 0
        while sending.is_alive():
            while number < (time.monotonic() - began) * POLLS_PER_S:
                polls.start_soon(poll, number)
                number += 1
            meter.sample()
            await anyio.sleep(0.005)
    seconds = time.monotonic() - began
    return {
        "upload_mb": size / 1e6,
        "upload_mb_per_s": size / 1e6 / took[0],
        "disk_mb_per_s": disk,
        "upload_memory_mb": (meter.peak_rss - before) / 1e6,
        "poll_ms": Spread.of(latencies),
        "polls_per_s": number / seconds,
    }


def _send_long(server: RunningServer, size: int, took: list[float]) -> None:
    """In a process of its own, so that it does not slow the polls' client down."""
    command = [sys.executable, "-m", "bench.long_upload", server.base_url, server.key, str(size)]
    took.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def wav_pieces(size: int) -> Iterator[bytes]:
    """A WAV file of so many bytes of quiet noise."""
    yield (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    )
    yield b"data" + struct.pack("<I", size)
    noise = np.random.default_rng(0).integers(-300, 300, PIECE // 2).astype("<i2").tobytes()
    for at in range(0, size, PIECE):
        yield noise[: min(PIECE, size - at)]


def _written(folder: Path, size: int) -> float:
    """Megabytes a second that the disk takes and flushes."""
    path, piece = folder / "disk-probe", os.urandom(PIECE)
    began = time.perf_counter()
    with path.open("wb") as file:
        for at in range(0, size, PIECE):
            file.write(piece[: min(PIECE, size - at)])
        file.flush()
        os.fsync(file.fileno())
    took = time.perf_counter() - began
    path.unlink()
    return size / 1e6 / took


async def _recorded(http: httpx.AsyncClient, file: bytes) -> float:
    """Seconds from an upload to its end."""
    began = time.monotonic()
    encounter = await _upload(http, file)
    await _over(http, encounter)
    return time.monotonic() - began


async def _over(http: httpx.AsyncClient, encounter: str) -> None:
    """Until a poll sees the end."""
    while True:
        shown = (await http.get(f"/api/encounters/{encounter}")).raise_for_status().json()
        if shown["status"] == "done":
            return
        await anyio.sleep(0.01)  # as a client polls


async def _between(servers: list[RunningServer], report: Report) -> None:
    """Chunks at their holder, at another process, and behind the holder's death."""
    async with _client(servers[0], servers[0].key) as first, _client(servers[1], servers[0].key) as second:
        audio = bytes(int(CHUNK_S * 32_000))
        task = await _chunk(first, audio, "NEW")
        await _chunk(second, audio, task)
        direct: list[float] = []
        forwarded: list[float] = []
        for _ in range(ROUNDS):
            direct.append(await _timed(first, audio, task))
            forwarded.append(await _timed(second, audio, task))
        takeovers: list[float] = []
        for _ in range(5):
            task = await _chunk(first, audio, "NEW")
            for _ in range(20):
                await _chunk(first, audio, task)
            await servers[0].kill()
            takeovers.append(await _timed(second, audio, task))
            await servers[0].start()
    report.chunk_ms, report.forwarded_ms = Spread.of(direct), Spread.of(forwarded)
    report.takeover_ms = Spread.of(takeovers)


async def _timed(http: httpx.AsyncClient, audio: bytes, task: str) -> float:
    begun = time.perf_counter()
    await _chunk(http, audio, task)
    return (time.perf_counter() - begun) * 1000


async def _chunk(http: httpx.AsyncClient, audio: bytes, task: str) -> str:
    answer = (await http.post("/v2/audio/audio_chunk", json=chunk(audio, task))).raise_for_status()
    return str(answer.json()["task_id"])


async def _upload(http: httpx.AsyncClient, file: bytes) -> str:
    answer = (await http.post("/api/recordings", files={"audio": ("a", file)})).raise_for_status()
    return str(answer.json()["encounter_id"])


def _key(server: RunningServer, tenant: str, url: str) -> str:
    command = [sys.executable, "-m", "server.cli", "keys", "create", "--tenant", tenant]
    command += ["--data-dir", str(server.data_dir)]
    environment = {**os.environ, **server.environment, "AUSCULT_STORE_URL": url}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@asynccontextmanager
async def _client(server: RunningServer, key: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(
        base_url=server.base_url, headers=headers, timeout=120, trust_env=False, limits=limits
    ) as http:
        yield http


def _environment(folder: Path, url: str) -> dict[str, str]:
    return shared(folder, url) | {
        "AUSCULT_LIMITS_MAX_STREAMS": "1000",
        "AUSCULT_OUTGOING_ALLOW_HOSTS": "127.0.0.1",
        "AUSCULT_RECOGNISER_SCRIPTED_DELAY_MS": "200",
    }
