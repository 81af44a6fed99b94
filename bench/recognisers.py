"""What it costs to recognise elsewhere: the same calls to an engine here and to a worker process on this machine.

The calls take turns, so that what else the machine does meets both. Both engines are warm.
"""

import time
from collections.abc import Iterator
from statistics import median
from uuid import uuid4

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.recordings import Recording
from bench.server import running_server
from pipeline.ports import Recogniser
from pipeline.types import SAMPLE_RATE, Pcm, Purpose, RecognitionRequest
from server.engines import make_recogniser, make_remote
from server.settings import load_settings

WARM_UP = 2  # calls of each that do not count


class RecognisersOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured."""

    recording: str = "cough"
    recogniser: str = "sphinx"
    model: str = ""
    calls: int = 20  # of each
    seconds: float = 5.0  # of audio in each


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Medians, in milliseconds a call."""

    recogniser: str
    seconds: float
    calls: int
    here_ms: float
    worker_ms: float

    @property
    def overhead_ms(self) -> float:
        """What the way there and back adds."""
        return self.worker_ms - self.here_ms

    @property
    def ratio(self) -> float:
        """A worker's call, in calls here."""
        return self.worker_ms / self.here_ms if self.here_ms else float("inf")


async def run(options: RecognisersOptions) -> Report:
    """Measure. Raises `ServerFailed`, `RecogniserUnavailable`."""
    token = uuid4().hex
    role = {"AUSCULT_SERVER_ROLE": "recogniser", "AUSCULT_INTERNAL_TOKEN": token}
    flags = {"recogniser.kind": options.recogniser, "recogniser.model": options.model}
    async with running_server(recogniser=options.recogniser, model=options.model, environment=role) as worker:
        here = make_recogniser(load_settings(flags=flags))
        elsewhere = make_remote(
            load_settings(flags={"internal.token": token, "recogniser.workers_at": worker.base_url})
        )
        try:
            await here.start()
            await elsewhere.start()
            return await _measured(options, here, elsewhere)
        finally:
            with anyio.CancelScope(shield=True):
                await here.aclose()
                await elsewhere.aclose()


async def _measured(options: RecognisersOptions, here: Recogniser, elsewhere: Recogniser) -> Report:
    took: dict[str, list[float]] = {"here": [], "worker": []}
    pieces = _pieces(options)
    for number in range(WARM_UP + options.calls):
        pcm = next(pieces)
        for name, engine in (("here", here), ("worker", elsewhere)):
            request = RecognitionRequest(
                stream_id=f"{name}{number}", segment=0, purpose=Purpose.FINAL, start=0, pcm=pcm, language="en"
            )
            began = time.perf_counter()
            await engine.recognise([request])
            if number >= WARM_UP:
                took[name].append((time.perf_counter() - began) * 1000)
    return Report(
        recogniser=f"{here.name} {here.model}",
        seconds=options.seconds,
        calls=options.calls,
        here_ms=round(median(took["here"]), 2),
        worker_ms=round(median(took["worker"]), 2),
    )


def _pieces(options: RecognisersOptions) -> Iterator[Pcm]:
    """Stretches of the recording, over and over."""
    pcm = Recording.load(options.recording).mono()
    length = round(options.seconds * SAMPLE_RATE)
    at = 0
    while True:
        yield np.take(pcm, np.arange(at, at + length), mode="wrap")
        at += length


def show(report: Report, out: Console) -> None:
    """The report, for people."""
    table = Table("recogniser", "audio", "calls", "here", "worker", "added", "ratio", box=None, pad_edge=False)
    table.add_row(
        report.recogniser,
        f"{report.seconds:g} s",
        str(report.calls),
        f"{report.here_ms:.1f} ms",
        f"{report.worker_ms:.1f} ms",
        f"{report.overhead_ms:+.1f} ms",
        f"{report.ratio:.2f}",
    )
    out.print(table)
