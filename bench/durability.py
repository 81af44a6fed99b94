"""`auscult-bench durability`: what durable work costs whom, beside each other on one machine.

The recogniser is the scripted one, so that what is measured is all but recognition.
"""

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Literal

import anyio
import anyio.to_thread
import httpx
import msgspec

from bench.chaos import set_webhook
from bench.durability_report import Between, Queued, Report, Uploads
from bench.haidy import chunk
from bench.long_upload import Upload
from bench.polls import Poll, polling
from bench.postgresql import running_cluster
from bench.processes import processes, shared
from bench.recordings import Recording
from bench.resources import Meter
from bench.score import Spread
from bench.server import RunningServer
from bench.sink import WebhookSink, webhook_sink

ROLES = {"sqlite": ("all",), "postgresql": ("web", "web", "jobs")}
UPLOADS = 5  # one behind the other, so that there are enough polls beside them for a p99
POLLS_PER_S = 200
SETTLE_S = 3.0  # after the start, until it is idle
IDLE_S = 20.0
PIECE = 1 << 20
CHUNK_S = 0.5
ROUNDS = 100
PACE_S = 0.05  # between chunks: each meets a server that is done with the one before
RECORDINGS = 3  # of the tenant that has to wait for another one
KILLS = 5


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
        other = await stack.enter_async_context(_client(servers[0], _key(servers[0], "other", url)))
        file = Recording.load("headache").mono_path.read_bytes()
        idle = await _idle(servers)
        webhook = [await _webhook(http, sink, file) for _ in range(10)]
        return Report(
            database=database,
            idle_cpu=idle,
            webhook_ms=_spread(webhook),
            uploads=await _long_uploads(servers[0], await _upload(http, file), minutes),
            between=await _between(servers) if len(servers) > 1 else None,
            queued=await _queued(http, other, file, queued),
        )


async def _idle(servers: Sequence[RunningServer]) -> list[float]:
    await anyio.sleep(SETTLE_S)
    meters, began = [Meter(server) for server in servers], time.monotonic()
    await anyio.sleep(IDLE_S)
    for meter in meters:
        meter.sample()
    return [round(meter.cpu_s / (time.monotonic() - began), 4) for meter in meters]


async def _webhook(http: httpx.AsyncClient, sink: WebhookSink, file: bytes) -> float:
    encounter = await _upload(http, file)
    await _over(http, encounter)
    done = anyio.current_time()
    await sink.until({encounter})
    at = next(hook.at for hook in sink.got if hook.encounter == encounter)
    return max(0.0, (at - done) * 1000)


async def _long_uploads(server: RunningServer, polled: str, minutes: float) -> Uploads:
    """An hour, say, in one upload, while others ask how far theirs (`polled`) is."""
    size = int(minutes * 60 * 32_000)
    disk = await anyio.to_thread.run_sync(_written, server.data_dir, size)
    polls: list[Poll] = []
    meter = Meter(server)
    before = meter.peak_rss
    async with anyio.create_task_group() as beside:
        beside.start_soon(meter.watch)
        beside.start_soon(polling, server, f"/api/encounters/{polled}", POLLS_PER_S, polls)
        uploads = await _sent(server, size)
        beside.cancel_scope.cancel()
    seconds = [upload.ended - upload.began for upload in uploads]
    met = [poll for poll in polls if any(upload.began <= poll.due <= upload.ended for upload in uploads)]
    return Uploads(
        mb=size / 1e6,
        mb_per_s=round(size / 1e6 / median(seconds), 1),
        disk_mb_per_s=round(disk, 1),
        memory_mb=round((meter.peak_rss - before) / 1e6, 1),
        poll_ms=_spread([poll.ms for poll in met]),
        polls_per_s=round(len(met) / sum(seconds), 1),
    )


async def _sent(server: RunningServer, size: int) -> list[Upload]:
    """In a process of its own, so that it does not slow the polls' client down."""
    command = [sys.executable, "-m", "bench.long_upload", server.base_url, server.key, str(size), str(UPLOADS)]
    done = await anyio.run_process(command, stderr=None)
    return msgspec.json.decode(done.stdout, type=list[Upload])


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


async def _queued(http: httpx.AsyncClient, other: httpx.AsyncClient, file: bytes, count: int) -> Queued:
    alone = median([await _recorded(other, file) for _ in range(RECORDINGS)])
    line = [await _upload(http, file) for _ in range(count)]
    beside = median([await _recorded(other, file) for _ in range(RECORDINGS)])
    states = [await _status(http, encounter) for encounter in line]
    return Queued(alone_s=round(alone, 3), beside_s=round(beside, 3), waiting=states.count("queued"))


async def _recorded(http: httpx.AsyncClient, file: bytes) -> float:
    """Seconds from an upload to its end."""
    began = time.monotonic()
    await _over(http, await _upload(http, file))
    return time.monotonic() - began


async def _over(http: httpx.AsyncClient, encounter: str) -> None:
    """Until a poll sees the end."""
    while True:
        if await _status(http, encounter) == "done":
            return
        await anyio.sleep(0.01)  # as a client polls


async def _status(http: httpx.AsyncClient, encounter: str) -> str:
    return str((await http.get(f"/api/encounters/{encounter}")).raise_for_status().json()["status"])


async def _between(servers: Sequence[RunningServer]) -> Between:
    """Chunks at their holder, at another process, and behind the holder's death."""
    audio = bytes(int(CHUNK_S * 32_000))
    direct: list[float] = []
    forwarded: list[float] = []
    takeovers: list[float] = []
    async with _client(servers[0], servers[0].key) as first, _client(servers[1], servers[0].key) as second:
        task = await _chunk(first, audio, "NEW")
        await _chunk(second, audio, task)
        for _ in range(ROUNDS):
            direct.append(await _timed(first, audio, task))
            forwarded.append(await _timed(second, audio, task))
        for _ in range(KILLS):
            task = await _chunk(first, audio, "NEW")
            for _ in range(20):
                await _chunk(first, audio, task)
            await servers[0].kill()
            takeovers.append(await _timed(second, audio, task))
            await servers[0].start()
    return Between(chunk_ms=_spread(direct), forwarded_ms=_spread(forwarded), takeover_ms=_spread(takeovers))


def _spread(values: Sequence[float]) -> Spread:
    spread = Spread.of(values)
    assert spread is not None, "nothing was measured"
    return spread


async def _timed(http: httpx.AsyncClient, audio: bytes, task: str) -> float:
    await anyio.sleep(PACE_S)
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
