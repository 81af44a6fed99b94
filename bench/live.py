"""How good and how fast the live API is: plays a recording whose truth is known and compares what comes back.

What each figure means is stated in `bench.score` and beside the fields of `Report`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from bench import score
from bench.clients import NablaClient, Received, voices_of
from bench.playing import errors, finals_of, lateness_p95_ms, messages, play
from bench.recordings import Recording, TruthItem
from bench.resources import Meter
from bench.score import Final, Spread
from bench.server import running_server
from bench.tables import number, share, spread
from bench.wires import Note, TranscriptItem
from bench.words import Words
from pipeline.types import Role

SPEAKERS = (Role.DOCTOR, Role.PATIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What to play, to which recogniser."""

    recording: str = "cough"
    recogniser: str = "sphinx"
    model: str = ""
    speed: float = 1.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run. Delays are real time, whatever the speed."""

    recording: str
    recogniser: str
    speed: float
    audio_s: float  # length of the consultation; both streams together last twice as long
    word_errors: dict[str, Words]  # by speaker, and "all": both added up
    speaker_accuracy: float | None  # share of words
    start_error_ms: Spread | None  # absolute
    start_error_signed_ms: float | None  # median; negative: too early
    final_delay_ms: Spread | None  # true end of speech → final text at the client
    first_partial_delay_ms: Spread | None  # true start of speech → first partial text at the client
    real_time_factor: float  # processor seconds of the server and all it started ÷ `audio_s`, up to the note
    peak_rss_mb: float  # of the server and all it started, sampled four times a second
    note_delay_s: float | None  # last final → note
    finals: int
    partials: int
    truth_items: int
    lost_items_at_ms: tuple[int, ...]  # starts of truth items that no final of their speaker overlaps
    items_on_silence_at_ms: tuple[int, ...]  # starts of finals that overlap nothing anybody said
    errors: tuple[str, ...]  # error messages of the server
    close_code: int | None
    client_lateness_p95_ms: float  # how late the client itself sent its chunks


async def run(options: LiveOptions, console: Console) -> Report:
    """Start a server, play, measure. Raises `Refused`, `ServerFailed`, `OSError`, `TimeoutError`."""
    recording = Recording.load(options.recording)
    async with running_server(recogniser=options.recogniser, model=options.model) as server:
        meter = Meter(server)
        client = await play(server, meter, voices_of(recording), recording.seconds, console, speed=options.speed)
        choice = server.recogniser
        name = options.recogniser if choice is None else choice.name
    return report(recording, name, options.speed, client, meter)


def report(recording: Recording, recogniser: str, speed: float, client: NablaClient, meter: Meter) -> Report:
    """Put the figures of one run together."""
    truth = recording.items
    finals = finals_of(client.received, client.begun)
    edits = {role: score.word_errors(truth, finals, role) for role in Role}
    starts = score.start_errors(truth, finals)
    return Report(
        recording=recording.id,
        recogniser=recogniser,
        speed=speed,
        audio_s=recording.seconds,
        word_errors={
            **{role.value: Words.of(edits[role]) for role in SPEAKERS},
            "all": Words.of(edits[Role.DOCTOR] + edits[Role.PATIENT] + edits[Role.UNSPECIFIED]),
        },
        speaker_accuracy=score.speaker_accuracy(truth, finals),
        start_error_ms=Spread.of([abs(error) for error in starts]),
        start_error_signed_ms=float(np.median(starts)) if starts else None,
        final_delay_ms=Spread.of(score.final_delays(truth, finals, speed=speed)),
        first_partial_delay_ms=Spread.of(score.partial_delays(truth, finals, speed=speed)),
        real_time_factor=round(meter.cpu_s / recording.seconds, 4),
        peak_rss_mb=round(meter.peak_rss / 1e6, 1),
        note_delay_s=_note_delay_s(client.received),
        finals=len(finals),
        partials=sum(isinstance(message, TranscriptItem) and not message.is_final for message in messages(client)),
        truth_items=len(truth),
        lost_items_at_ms=_starts(score.lost(truth, finals)),
        items_on_silence_at_ms=_starts(score.on_silence(truth, finals)),
        errors=tuple(errors(client)),
        close_code=client.close_code,
        client_lateness_p95_ms=lateness_p95_ms([client]),
    )


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    table = Table("", "median", "p95", "p99", "max", box=None, pad_edge=False)
    console.print(
        f"{report.recording} · {report.recogniser} · {report.speed:g} × real time", style="bold", soft_wrap=True
    )
    table.columns[0].no_wrap = True
    for who, words in report.word_errors.items():
        table.add_row(f"word error rate, {who} ({words.errors.words} words)", share(words.rate))
    edits = report.word_errors["all"].errors
    counts = f"{edits.substitutions}, {edits.deletions}, {edits.insertions}"
    table.add_row("words other, missing, added", counts)
    table.add_row("speaker accuracy", share(report.speaker_accuracy))
    table.add_row("start offset error, ms", *spread(report.start_error_ms))
    table.add_row("start offset error, signed, ms", number(report.start_error_signed_ms))
    table.add_row("end of speech → final, ms", *spread(report.final_delay_ms))
    table.add_row("start of speech → partial, ms", *spread(report.first_partial_delay_ms))
    table.add_row("last final → note, s", number(report.note_delay_s, 2))
    table.add_row("real-time factor", number(report.real_time_factor, 3))
    table.add_row("peak memory, MB", number(report.peak_rss_mb))
    table.add_row("finals, partials", f"{report.finals}, {report.partials}")
    table.add_row("lost truth items", f"{len(report.lost_items_at_ms)} of {report.truth_items}")
    table.add_row("items on silence", str(len(report.items_on_silence_at_ms)))
    table.add_row("client's own lateness, ms", "", number(report.client_lateness_p95_ms, 1))
    console.print(table)
    for error in report.errors:
        console.print(f"The server says: {error}", style="red", markup=False)
    if report.close_code != 1000:
        console.print(f"The server closed with {report.close_code}.", style="red", markup=False)


def _note_delay_s(received: Sequence[Received]) -> float | None:
    finals = [each.at for each in received if isinstance(each.message, TranscriptItem) and each.message.is_final]
    notes = [each.at for each in received if isinstance(each.message, Note)]
    return round(notes[0] - finals[-1], 3) if finals and notes else None


def _starts(items: Iterable[TruthItem] | Iterable[Final]) -> tuple[int, ...]:
    return tuple(sorted(item.start_ms for item in items))
