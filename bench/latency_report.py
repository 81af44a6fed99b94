"""What is reported of live streams, and what each figure means.

Delays are stated in `bench.score`, retraction in `bench.partials`, "computation-unaware" in `bench.lockstep`, the forms
in which words are compared in `bench.words`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
from rich.console import Console
from rich.table import Table

from bench import score
from bench.clients import NablaClient
from bench.endurance import Endurance, endurance
from bench.manifest import Entry
from bench.marks import Marks, marks
from bench.partials import Calm, calm, histories
from bench.playing import errors, lateness_p95_ms, messages
from bench.resources import Meter
from bench.score import Final, Item, Spread
from bench.tables import number, share, spread
from bench.terms import our_glossary
from bench.words import Words
from pipeline.types import Role

NORMAL_CLOSURE = 1000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run. Delays are real time, whatever the speed."""

    recording: str
    voice: Role
    recogniser: str
    speed: float
    sessions: int
    audio_s: float  # of all sessions
    ttfs_ms: Spread | None  # true end of speech → final text at the client
    endpoint_delay_ms: Spread | None  # the same, computation-unaware
    first_partial_ms: Spread | None  # true start of speech → first partial text at the client
    first_partial_unaware_ms: Spread | None
    calm: Calm
    retracted_word_rate: float | None
    normalised_erasure: float | None
    false_endpoints: int
    false_endpoints_per_minute: float
    live_whisper: Words
    live_medical: Words
    offline_whisper: Words
    offline_medical: Words
    real_time_factor: float  # processor seconds of the server and all it started ÷ `audio_s`
    peak_rss_mb: float  # of the server and all it started
    finals: int
    truth_items: int
    lost_items: int
    items_on_silence: int
    endurance: Endurance | None
    errors: tuple[str, ...]  # error messages of the server
    close_codes: tuple[int | None, ...]
    client_lateness_p95_ms: float  # how late the client itself sent its chunks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Session:
    """One session that was played."""

    client: NablaClient
    meter: Meter
    finals: Sequence[Final]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """What the pipeline makes of one turn of the recording without a server."""

    unaware: Sequence[Final]
    file: Sequence[Item]


def report(
    played: Sequence[Session],
    alone: Alone,
    *,
    recording: str,
    voice: Role,
    recogniser: str,
    speed: float,
    heard: Entry,
    turn: Entry,
    long_stream: bool,
) -> Report:
    """Put the figures of all sessions together. `heard`: what each played; `turn`: the recording, once."""
    truth, audio_s = heard.items, heard.seconds * len(played)
    delays = [delay for each in played for delay in score.final_delays(truth, each.finals, speed=speed)]
    partials = [delay for each in played for delay in score.partial_delays(truth, each.finals, speed=speed)]
    unaware = [_at_speed(final, speed) for final in alone.unaware]
    calmness = sum((calm(history) for each in played for history in histories(messages(each.client))), Calm())
    cuts = sum(score.false_endpoints(truth, each.finals) for each in played)
    live, file = _marks(heard, [each.finals for each in played]), _marks(turn, [alone.file])
    return Report(
        recording=recording,
        voice=voice,
        recogniser=recogniser,
        speed=speed,
        sessions=len(played),
        audio_s=round(audio_s, 3),
        ttfs_ms=Spread.of(delays),
        endpoint_delay_ms=Spread.of(score.final_delays(turn.items, unaware, speed=speed)),
        first_partial_ms=Spread.of(partials),
        first_partial_unaware_ms=Spread.of(score.partial_delays(turn.items, unaware, speed=speed)),
        calm=calmness,
        retracted_word_rate=_rounded(calmness.retracted_rate),
        normalised_erasure=_rounded(calmness.normalised_erasure),
        false_endpoints=cuts,
        false_endpoints_per_minute=round(cuts / (audio_s / 60), 2),
        live_whisper=Words.of(live.whisper),
        live_medical=Words.of(live.medical),
        offline_whisper=Words.of(file.whisper),
        offline_medical=Words.of(file.medical),
        real_time_factor=round(sum(each.meter.cpu_s for each in played) / audio_s, 4),
        peak_rss_mb=round(max(each.meter.peak_rss for each in played) / 1e6, 1),
        finals=live.items,
        truth_items=len(truth) * len(played),
        lost_items=live.lost,
        items_on_silence=sum(len(score.on_silence(truth, each.finals)) for each in played),
        endurance=_endurance(heard, played[0], speed) if long_stream else None,
        errors=tuple(error for each in played for error in errors(each.client)),
        close_codes=tuple(each.client.close_code for each in played),
        client_lateness_p95_ms=lateness_p95_ms([each.client for each in played]),
    )


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    voice = "" if report.voice is Role.UNSPECIFIED else f", {report.voice} alone"
    sessions = f"{report.sessions} sessions" if report.sessions > 1 else "1 session"
    console.print(
        f"{report.recording}{voice} · {report.recogniser} · {sessions} of {report.audio_s / report.sessions:.0f} s"
        f" · {report.speed:g} × real time",
        style="bold",
        soft_wrap=True,
        markup=False,
    )
    table = Table("", "median", "p95", "p99", "max", box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    table.add_row("end of speech → final (TTFS), ms", *spread(report.ttfs_ms))
    table.add_row("  of this, to be sure of the end", *spread(report.endpoint_delay_ms))
    table.add_row("start of speech → first partial, ms", *spread(report.first_partial_ms))
    table.add_row("  of this, without computing", *spread(report.first_partial_unaware_ms))
    table.add_row("words of partials taken back", share(report.retracted_word_rate))
    table.add_row("normalised erasure", number(report.normalised_erasure, 3))
    table.add_row("false endpoints, a minute", number(report.false_endpoints_per_minute, 2))
    table.add_row("lost truth items", f"{report.lost_items} of {report.truth_items}")
    table.add_row("finals, of these on silence", f"{report.finals}, {report.items_on_silence}")
    table.add_row("real-time factor", number(report.real_time_factor, 3))
    table.add_row("peak memory, MB", number(report.peak_rss_mb))
    table.add_row("client's own lateness, ms", "", number(report.client_lateness_p95_ms, 1))
    console.print(table, _words(report))
    if report.endurance is not None:
        _show_endurance(report.endurance, console)
    for error in report.errors:
        console.print(f"The server says: {error}", style="red", markup=False)
    for code in report.close_codes:
        if code != NORMAL_CLOSURE:
            console.print(f"The server closed with {code}.", style="red", markup=False)


def _words(report: Report) -> Table:
    """Word errors of the stream beside those of the same audio as a file."""
    table = Table("word errors", "live", "as a file", "points more", box=None, pad_edge=False)
    for form, live, offline in (
        ("Whisper's form", report.live_whisper.rate, report.offline_whisper.rate),
        ("medical form", report.live_medical.rate, report.offline_medical.rate),
    ):
        more = None if live is None or offline is None else 100 * (live - offline)
        table.add_row(form, share(live), share(offline), number(more, 1))
    return table


def _show_endurance(long: Endurance, console: Console) -> None:
    table = Table(f"{long.minutes:g} minutes", "at first", "at last", "change", box=None, pad_edge=False)
    first, last = spread(long.first_ttfs_ms), spread(long.last_ttfs_ms)
    table.add_row("TTFS median, ms", first[0], last[0], share(long.ttfs_change))
    table.add_row("TTFS p95, ms", first[1], last[1])
    table.add_row("memory, MB", number(long.warm_rss_mb), number(long.last_rss_mb), number(long.rss_growth_mb, 1))
    console.print(table)


def _marks(heard: Entry, transcripts: Sequence[Sequence[Item]]) -> Marks:
    known = our_glossary()
    return sum((marks(heard, items, known, split=False) for items in transcripts), Marks())


def _at_speed(final: Final, speed: float) -> Final:
    """Positions in the audio as times on the send clock."""
    shown = final.first_partial_ms
    return replace(
        final,
        arrived_ms=final.arrived_ms / speed,
        first_partial_ms=None if shown is None else shown / speed,
    )


def _endurance(heard: Entry, played: Session, speed: float) -> Endurance:
    memory = [((at - played.client.begun) * speed / 60, size) for at, size in played.meter.trace]
    timed = score.timed_finals(heard.items, played.finals, speed=speed)
    return endurance(timed, memory, minutes=heard.seconds / 60)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
