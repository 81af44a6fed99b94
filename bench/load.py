"""How many live streams our server carries: more and more callers at real-time pace, until their finals come too late.

What is measured in each round, and how, is stated in `bench.rounds` and `bench.screens`.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from bench.clients import CHUNK_MS
from bench.excerpts import excerpts
from bench.ladder import Carried, Ladder
from bench.ours import OurTarget
from bench.recordings import Recording
from bench.rounds import Round, Speech, Target, measure
from bench.score import Spread
from bench.tables import number, share

WIDTH = 132  # what tables take, however narrow the screen is
AROUND_S = 15.0  # what a round takes besides speech, about: the server's start, warming up, the last texts
OVERLOAD = 2  # times what the server carries


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """When a server is said to carry its streams: 95 of 100 texts must be as quick, and none be lost."""

    ttfs_ms: float = 1000.0
    age_ms: float = 1500.0

    def hold(self, measured: Round) -> bool:
        """Whether every caller was served as it should."""
        quick = _within(measured.timed_ttfs, self.ttfs_ms) and _within(measured.age, self.age_ms)
        return quick and measured.finished and not measured.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What to play, to which recogniser, how often at the same time."""

    target: OurTarget = field(default_factory=OurTarget)
    speech: Speech = field(default_factory=lambda: Speech(seconds=40.0))
    streams: Sequence[int] = ()  # measure these, and look for no limit
    most: int = 64
    limits: Limits = field(default_factory=Limits)
    minutes: float = 15.0  # no round is begun later
    overload: bool = False  # with admission, one round more


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    recogniser: str
    model: str
    encoder_window: str
    recording: str
    seconds: float  # of speech of each caller, at most
    apart: bool  # each caller is one microphone
    speaking: float  # share of a caller's time in which somebody speaks
    limits: Limits
    admission: bool  # whether the server could refuse
    rounds: tuple[Round, ...]  # by their number of streams
    carried: Carried | None  # None where nobody looked for it
    overload: Round | None  # at twice what is carried, where the server may refuse


async def run(options: LoadOptions, console: Console) -> Report:
    """Climb until the server is too slow, or measure what is asked for. Raises what `measure` raises."""
    target = options.target
    ladder = Ladder(
        watched(target, options.speech, console),
        most=options.most,
        deadline=time.monotonic() + options.minutes * 60,
    )
    carried: Carried | None = None
    if options.streams:
        for streams in options.streams:
            await ladder.round(streams)
    else:
        carried = await ladder.carried(options.limits.hold)
    overload: Round | None = None
    fitting = [streams for streams, measured in ladder.rounds.items() if options.limits.hold(measured)]
    if options.overload and fitting:
        strict = replace(target, name=f"{target.name}, which may refuse", admission=True)
        overload = await watched(strict, options.speech, console)(OVERLOAD * max(fitting))
    return Report(
        recogniser=target.recogniser,
        model=target.model,
        encoder_window=target.encoder_window,
        recording=options.speech.recording,
        seconds=options.speech.seconds,
        apart=options.speech.apart,
        speaking=speaking(options.speech),
        limits=options.limits,
        admission=target.admission,
        rounds=tuple(ladder.rounds[streams] for streams in sorted(ladder.rounds)),
        carried=carried,
        overload=overload,
    )


class _TimeBar(BarColumn):
    """Full when the time is over that a round should take: callers speak in real time."""

    def render(self, task: Task) -> ProgressBar:
        return ProgressBar(
            total=task.total, completed=min(task.elapsed or 0.0, task.total or 0.0), width=self.bar_width
        )


def watched(target: Target, speech: Speech, console: Console) -> Callable[[int], Awaitable[Round]]:
    """Measure rounds of a server while somebody looks on."""

    async def once(streams: int) -> Round:
        columns = (TextColumn("{task.description}"), _TimeBar(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            progress.add_task(f"{target.name}: {_streams(streams)}", total=speech.seconds + speech.stagger_s + AROUND_S)
            return await measure(target, speech, streams)

    return once


def speaking(speech: Speech) -> float:
    """Share of the first caller's time in which somebody speaks."""
    (said,) = excerpts(Recording.load(speech.recording), callers=1, seconds=speech.seconds, apart=speech.apart)
    return round(sum(item.end_ms - item.start_ms for item in said.items) / 1000 / said.seconds, 3)


def show(report: Report, console: Console) -> None:
    """Print the figures as a table, and what they come to."""
    who = "one microphone" if report.apart else "both voices"
    window = f" · window {report.encoder_window}" if report.encoder_window else ""
    console.print(
        f"{report.recording} · {report.recogniser} {report.model}{window} · each stream {report.seconds:g} s of {who}, "
        f"who speak {report.speaking:.0%} of the time",
        style="bold",
        soft_wrap=True,
    )
    rounds = [*report.rounds, *([report.overload] if report.overload else [])]
    wide(console).print(rounds_table(rounds))
    console.print(verdict(report), soft_wrap=True)
    for measured in rounds:
        for complaint in complaints(measured):
            console.print(complaint, style="red", markup=False, soft_wrap=True)


def wide(console: Console) -> Console:
    """The same, with room for a table of many figures."""
    return Console(file=console.file, width=max(WIDTH, console.width), highlight=False)


def rounds_table(rounds: Sequence[Round]) -> Table:
    """One row for each round of our server."""
    table = Table(box=None, pad_edge=False)
    heads = ("streams", "refused", "final p50", "p95, ms", "age p95, ms", "lost finals", "misheard", "WER")
    for head in (*heads, "cores", "others", "MB", "load"):
        table.add_column(head, justify="right", no_wrap=True)
    for each in rounds:
        table.add_row(
            str(each.streams),
            str(each.refused),
            number(median(each.timed_ttfs)),
            number(p95(each.timed_ttfs)),
            number(p95(each.age)),
            f"{each.lost_finals} of {each.items}",
            str(each.misheard),
            share(each.words.rate),
            number(each.cpu, 2),
            number(each.other_cpu, 2),
            number(each.peak_rss_mb),
            number(each.load_average, 1),
        )
    return table


def complaints(measured: Round) -> list[str]:
    """What makes a round's figures doubtful, or worse."""
    who = f"{measured.server}, {_streams(measured.streams)}"
    said = [f"{who}: a call broke: {reason}." for reason in measured.broken]
    if measured.unheard:
        said.append(f"{who}: the server gave {measured.unheard} segments up: its recogniser failed on them.")
    if measured.lateness_p95 > CHUNK_MS:
        said.append(f"{who}: the callers could not keep pace; these figures are their own as much as the server's.")
    return said


def held(report: Report) -> bool:
    """Whether it carries a stream at all, and loses nothing that it takes on when there are too many."""
    carries = bool(report.rounds) and (report.carried is None or report.carried.streams > 0)
    return carries and (report.overload is None or report.overload.finished)


def verdict(report: Report) -> str:
    """What the rounds come to, in a sentence or two."""
    said: list[str] = []
    limits = f"final p95 ≤ {report.limits.ttfs_ms:g} ms and partial age p95 ≤ {report.limits.age_ms:g} ms"
    if report.carried is not None:
        fewest = report.carried.too_many
        beyond = "more was not tried" if fewest is None else f"{fewest} are too many"
        said.append(f"It carries {_streams(report.carried.streams)} with {limits}; {beyond}.")
    if report.overload is not None:
        taken = report.overload.streams - report.overload.refused
        said.append(
            f"Called by {report.overload.streams} it took {taken}, refused {report.overload.refused} "
            f"and lost {report.overload.lost_finals} finals."
        )
    return " ".join(said)


def median(spread: Spread | None) -> float | None:
    return None if spread is None else spread.median


def p95(spread: Spread | None) -> float | None:
    return None if spread is None else spread.p95


def _within(spread: Spread | None, limit_ms: float) -> bool:
    return spread is not None and spread.p95 <= limit_ms


def _streams(count: int) -> str:
    return "1 stream" if count == 1 else f"{count} streams"
