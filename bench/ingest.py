"""What taking audio in costs, and how soon a chunk is acknowledged, with many sockets at once.

The server runs its scripted recogniser, so what is left is the way of the audio: socket, log, decoding, voice activity.
The client (`bench.ingest_client`) is a process of its own, so that its work is not counted.
"""

import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import msgspec
from rich.console import Console
from rich.table import Table

from bench.clients import CHUNK_MS
from bench.ingest_client import CHUNK_BYTES, CONNECT_TIMEOUT_S, DRAIN_TIMEOUT_S, Line, Over, Plan, Seen, Steady
from bench.lines import Lines
from bench.postgresql import running_cluster
from bench.resources import Meter, watch_flushes
from bench.score import Spread
from bench.server import RunningServer, running_server

LINE_BYTES = 65_536
DEFAULT_LIMIT = 64  # the server's own limits, when fewer are wanted
DEFAULT_STREAMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """How many sockets, for how long."""

    sessions: int = 50
    streams: int = 2
    seconds: float = 30.0
    warm_up_s: float = 5.0
    acknowledge: bool = True
    recording: str = "cough"
    directory: Path | None = None  # where the server's data go for the time of the run
    database: Literal["sqlite", "postgresql"] = "sqlite"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    sessions: int
    streams: int  # in all
    seconds: float  # measured
    acknowledge: bool
    cpu_per_stream: float  # share of one core, of the server and all it started
    cpu: float  # the same for all streams together, in cores
    acknowledgement_ms: Spread | None  # sending of a chunk → its acknowledgement at the client
    flush_ms: Spread | None  # of one page by fdatasync, in the server's data directory, while it ran
    peak_rss_mb: float
    chunks_per_s: float
    writes_per_commit: float | None  # over the whole run
    lost_chunks: int  # sent, but not counted by the server or not acknowledged
    errors: int
    broken: int  # sockets not closed with 1000
    client_lateness_ms: Spread | None  # a client that cannot keep pace measures itself
    client_cpu: float  # of the client, in cores


async def run(options: IngestOptions, console: Console) -> Report:
    """Start server and client, measure. Raises `ServerFailed`, `ClientFailed`, `TimeoutError`."""
    environment = {
        "AUSCULT_LIMITS_MAX_SESSIONS": str(max(DEFAULT_LIMIT, options.sessions)),
        "AUSCULT_LIMITS_MAX_STREAMS_PER_SESSION": str(max(DEFAULT_STREAMS, options.streams)),
        "AUSCULT_LIMITS_MAX_STREAMS": str(
            options.sessions * options.streams
        ),  # else as many as this machine recognises
    }
    limit_s = CONNECT_TIMEOUT_S + options.warm_up_s + options.seconds + DRAIN_TIMEOUT_S
    async with AsyncExitStack() as stack:
        if options.database == "postgresql":
            cluster = stack.enter_context(running_cluster(flushes=True))
            environment["AUSCULT_STORE_URL"] = stack.enter_context(cluster.database())
        server = await stack.enter_async_context(
            running_server(recogniser="scripted", parent=options.directory, environment=environment)
        )
        plan = Plan(
            base_url=server.base_url,
            key=server.key,
            sessions=options.sessions,
            streams=options.streams,
            warm_up_s=options.warm_up_s,
            seconds=options.seconds,
            acknowledge=options.acknowledge,
            recording=options.recording,
        )
        with console.status(f"{options.sessions} sessions × {options.streams} streams"), anyio.fail_after(limit_s):
            return await _measure(server, plan)


async def _measure(server: RunningServer, plan: Plan) -> Report:
    flushes: list[float] = []
    async with await anyio.open_process([sys.executable, "-m", "bench.ingest_client"], stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        await child.stdin.send(msgspec.json.encode(plan))
        await child.stdin.aclose()
        lines = Lines(child, Line, most_bytes=LINE_BYTES)
        await lines.next(Steady)
        meter = Meter(server)
        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.watch)
            tasks.start_soon(watch_flushes, server.data_dir, flushes)
            await lines.arrival()
            tasks.cancel_scope.cancel()
        await lines.next(Over)
        meter.sample()
        elapsed_s = anyio.current_time() - begun
        seen = await lines.next(Seen)
    counters = await _counters(server)
    streams = plan.sessions * plan.streams
    received = round(counters.get("auscult_audio_bytes_total", 0.0)) // CHUNK_BYTES
    commits = counters.get("auscult_store_commits_total", 0.0)
    return Report(
        sessions=plan.sessions,
        streams=streams,
        seconds=round(elapsed_s, 2),
        acknowledge=plan.acknowledge,
        cpu_per_stream=round(meter.cpu_s / elapsed_s / streams, 5),
        cpu=round(meter.cpu_s / elapsed_s, 3),
        acknowledgement_ms=seen.acknowledgement_ms,
        flush_ms=Spread.of([seconds * 1000 for seconds in flushes]),
        peak_rss_mb=round(meter.peak_rss / 1e6, 1),
        chunks_per_s=round(seen.chunks / plan.seconds, 1),
        writes_per_commit=round(counters["auscult_store_writes_total"] / commits, 2) if commits else None,
        lost_chunks=max(seen.sent_chunks - received, seen.unacknowledged),
        errors=seen.errors,
        broken=seen.broken,
        client_lateness_ms=seen.lateness_ms,
        client_cpu=round(seen.cpu_s / plan.seconds, 3),
    )


async def _counters(server: RunningServer) -> dict[str, float]:
    """The server's metrics that have no labels, by name."""
    samples = (line.split() for line in (await server.metrics()).splitlines() if not line.startswith("#"))
    return {sample[0]: float(sample[1]) for sample in samples if "{" not in sample[0]}


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    table = Table("", "median", "p95", "max", box=None, pad_edge=False)
    acknowledged = "acknowledged" if report.acknowledge else "not acknowledged"
    console.print(
        f"{report.sessions} sockets, {report.streams} streams, {report.seconds:g} s, chunks {acknowledged}",
        style="bold",
        soft_wrap=True,
    )
    table.columns[0].no_wrap = True
    table.add_row("server, % of a core per stream", f"{report.cpu_per_stream:.2%}")
    table.add_row("server, cores", f"{report.cpu:.2f}")
    table.add_row("sending → acknowledgement, ms", *_spread(report.acknowledgement_ms))
    table.add_row("disk flush, ms", *_spread(report.flush_ms))
    table.add_row("writes in a commit", "–" if report.writes_per_commit is None else f"{report.writes_per_commit:.1f}")
    table.add_row("peak memory, MB", f"{report.peak_rss_mb:.0f}")
    table.add_row("chunks a second", f"{report.chunks_per_s:.0f}")
    table.add_row("lost chunks", str(report.lost_chunks))
    table.add_row("errors, broken sockets", f"{report.errors}, {report.broken}")
    table.add_row("client's own lateness, ms", *_spread(report.client_lateness_ms))
    table.add_row("client, cores", f"{report.client_cpu:.2f}")
    console.print(table)
    lateness = report.client_lateness_ms
    if lateness is not None and lateness.p95 > CHUNK_MS:
        console.print("The client could not keep pace: these figures are its own as much as the server's.", style="red")


def _spread(spread: Spread | None) -> tuple[str, str, str]:
    if spread is None:
        return ("–", "–", "–")
    return f"{spread.median:.1f}", f"{spread.p95:.1f}", f"{spread.max:.1f}"
