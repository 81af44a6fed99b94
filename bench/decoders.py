"""What decoders of live recordings cost, and how soon a chunk is audio: many of them, each fed as a recorder feeds it.

They run in this process, with nothing around them; the client's own part is to hand over bytes.
"""

import time
from dataclasses import dataclass

import anyio
import msgspec
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from bench.clients import Pace
from bench.recordings import Recording
from bench.score import Spread
from bench.tables import spread
from bench.webm import recorded
from pipeline.engines.pyav import open_decoder
from pipeline.ports import AudioDecoder
from pipeline.types import SAMPLE_RATE, AudioFormat, Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderOptions:
    """How many, for how long."""

    decoders: int = 100
    seconds: float = 20.0
    warm_up_s: float = 3.0
    slice_ms: int = 250
    recording: str = "cough"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    decoders: int
    slice_ms: int
    seconds: float
    cpu: float  # of all together, in cores
    rss_mb_per_decoder: float  # resident bytes that came with them
    chunk_to_pcm_ms: Spread | None  # a chunk is handed over → its first audio is there
    lateness_ms: Spread | None  # of the chunks themselves
    missing_s: float  # audio that did not come out, of all decoders together


@dataclass(slots=True, kw_only=True, eq=False)
class _Fed:
    """One decoder at work."""

    decoder: AudioDecoder
    chunks: list[bytes]
    phase_s: float
    fed_at: float = 0.0  # 0: the chunk's first audio has come
    heard: int = 0
    delays: list[float]
    lateness: list[float]

    async def feed(self, slice_s: float) -> None:
        """Until the recording is over."""
        pace = Pace(slice_s, time.monotonic() + self.phase_s)
        self.lateness = pace.lateness
        for chunk in self.chunks:
            await pace.step()
            self.fed_at = time.monotonic()
            await self.decoder.feed(chunk)
        self.decoder.end()

    async def hear(self) -> None:
        async for block in self.decoder:
            self.heard += len(block.pcm)
            if self.fed_at:
                self.delays.append(time.monotonic() - self.fed_at)
                self.fed_at = 0.0


async def run(options: DecoderOptions, console: Console) -> Report:
    """Encode, open, feed at real time, measure."""
    chunks = recorded(_looped(options), options.slice_ms)
    process = psutil.Process()
    resident = process.memory_info().rss
    fed = [
        _Fed(
            decoder=open_decoder(AudioFormat()),
            chunks=chunks,
            phase_s=options.slice_ms / 1000 * number / options.decoders,
            delays=[],
            lateness=[],
        )
        for number in range(options.decoders)
    ]
    with console.status(f"{options.decoders} decoders"):
        async with anyio.create_task_group() as tasks:
            for each in fed:
                tasks.start_soon(each.hear)
                tasks.start_soon(each.feed, options.slice_ms / 1000)
            await anyio.sleep(options.warm_up_s)
            begun, cpu = time.monotonic(), time.process_time()
            await anyio.sleep(options.seconds)
            elapsed, cpu = time.monotonic() - begun, time.process_time() - cpu
            grown = process.memory_info().rss - resident
    for each in fed:
        await each.decoder.aclose()
    played = (options.seconds + options.warm_up_s) * options.decoders
    return Report(
        decoders=options.decoders,
        slice_ms=options.slice_ms,
        seconds=round(elapsed, 2),
        cpu=round(cpu / elapsed, 4),
        rss_mb_per_decoder=round(grown / 1e6 / options.decoders, 3),
        chunk_to_pcm_ms=Spread.of([delay * 1000 for each in fed for delay in each.delays[1:]]),
        lateness_ms=Spread.of([late * 1000 for each in fed for late in each.lateness]),
        missing_s=round(played - sum(each.heard for each in fed) / SAMPLE_RATE, 2),
    )


def _looped(options: DecoderOptions) -> Pcm:
    pcm = Recording.load(options.recording).mono()
    samples = round((options.seconds + options.warm_up_s) * SAMPLE_RATE)
    return np.resize(pcm, samples)


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    title = f"{report.decoders} webm decoders, chunks of {report.slice_ms} ms, {report.seconds:g} s"
    console.print(title, style="bold")
    table = Table("", "median", "p95", "p99", "max", box=None, pad_edge=False)
    table.add_row("all decoders, % of a core", f"{report.cpu:.1%}")
    table.add_row("resident memory of each, MB", f"{report.rss_mb_per_decoder:.2f}")
    table.add_row("chunk → audio, ms", *spread(report.chunk_to_pcm_ms, 1))
    table.add_row("chunks' own lateness, ms", *spread(report.lateness_ms, 1))
    table.add_row("audio that did not come out, s", f"{report.missing_s:.2f}")
    console.print(table)
