"""What `auscult-bench durability` measured, each figure beside what it is to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.table import Table

from bench.score import Spread
from bench.tables import NOTHING, number

MEMORY_MB = 50.0  # more, while a recording of an hour is uploaded
POLL_MS = 50.0  # p99, beside it
WEBHOOK_MS = 1000.0  # behind the note
WAIT_S = 2.0  # that one tenant's line costs another tenant
IDLE_CPU = 0.03  # of a core
TAKEOVER_MS = 2000.0
FORWARDING_MS = 3.0


class Uploads(msgspec.Struct, frozen=True, kw_only=True):
    """A long file, sent several times, and what others noticed of it."""

    mb: float
    mb_per_s: float  # the median of all
    disk_mb_per_s: float  # the same bytes written to a file and flushed, in the same run
    memory_mb: float  # more than before, at the most
    poll_ms: Spread  # status polls meanwhile, from the moment when each was due
    polls_per_s: float


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant's long line means for another tenant's recording. Seconds from its upload to its end."""

    alone_s: float
    beside_s: float
    waiting: int  # of the line, when the last of them was done: with none there was nothing to wait for


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """Several processes: chunks of a live session, and what another process has to do with them."""

    chunk_ms: Spread  # sent to the session's holder
    forwarded_ms: Spread  # sent to another process
    takeover_ms: Spread  # the first one behind the kill of the holder, answered

    @property
    def forwarding_ms(self) -> float:
        """What the second way costs more, median against median."""
        return self.forwarded_ms.median - self.chunk_ms.median


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    database: str
    idle_cpu: Sequence[float]  # of a core, of each process
    webhook_ms: Spread  # from the end, as a poll (every 10 ms) sees it; 0: the webhook was there before
    uploads: Uploads
    between: Between | None  # None: there is one process only
    queued: Queued


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    name: str
    figure: float | None
    limit: float | None = None  # it is to be less; None: it is only told
    digits: int = 0
    per_cent: bool = False

    @property
    def kept(self) -> bool:
        return self.limit is None or (self.figure is not None and self.figure < self.limit)

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Name, figure, target, and what comes of the two."""
        limit = NOTHING if self.limit is None else f"< {self._shown(self.limit, 0)}"
        verdict = "" if self.limit is None else "kept" if self.kept else "missed"
        return self.name, self._shown(self.figure, self.digits), limit, verdict

    def _shown(self, value: float | None, digits: int) -> str:
        if value is None:
            return NOTHING
        return f"{value:.{digits}%}" if self.per_cent else number(value, digits)


def rows(report: Report) -> Iterator[Row]:
    """Every figure, in the order of the table."""
    uploads, queued = report.uploads, report.queued
    yield Row(name=f"upload of {uploads.mb:.0f} MB, MB/s", figure=uploads.mb_per_s)
    yield Row(name="the disk alone, MB/s", figure=uploads.disk_mb_per_s)
    yield Row(name="more memory meanwhile, MB", figure=uploads.memory_mb, limit=MEMORY_MB, digits=1)
    yield Row(name="status polls meanwhile, a second", figure=uploads.polls_per_s)
    yield Row(name="their p99, ms", figure=uploads.poll_ms.p99, limit=POLL_MS, digits=1)
    yield Row(name="the note → its webhook, at most, ms", figure=report.webhook_ms.max, limit=WEBHOOK_MS)
    yield Row(name="a recording alone, s", figure=queued.alone_s, digits=2)
    later = queued.beside_s - queued.alone_s if queued.waiting else None
    yield Row(name="… behind another tenant's line, later by, s", figure=later, limit=WAIT_S, digits=2)
    idle = max(report.idle_cpu)
    yield Row(name="an idle process, of a core", figure=idle, limit=IDLE_CPU, digits=1, per_cent=True)
    if (between := report.between) is not None:
        yield Row(name="takeover of a live session, at most, ms", figure=between.takeover_ms.max, limit=TAKEOVER_MS)
        yield Row(name="a chunk, median, ms", figure=between.chunk_ms.median, digits=1)
        yield Row(name="… forwarded, more by, ms", figure=between.forwarding_ms, limit=FORWARDING_MS, digits=1)


def show(report: Report, console: Console) -> None:
    """Print the table."""
    count = len(report.idle_cpu)
    processes = "one process" if count == 1 else f"{count} processes"
    console.print(f"{report.database}, {processes}", style="bold")
    table = Table("", "measured", "target", "", box=None, pad_edge=False)
    for row in rows(report):
        table.add_row(*row.cells)
    console.print(table)


def held(report: Report) -> bool:
    """Whether every target is reached."""
    return all(row.kept for row in rows(report))
