"""How good and how fast the live API is: plays a recording whose truth is known and compares what comes back.

What each figure means is stated in `bench.score` and beside the fields of `Report`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench import score
from bench.clients import NablaClient, Received, converse, streams_of, voices_of
from bench.recordings import Recording, TruthItem
from bench.resources import Meter
from bench.score import Final, Spread, WordErrors
from bench.server import RunningServer, running_server
from bench.wires import ErrorMessage, ListenConfig, Note, TranscriptItem
from pipeline.types import Role

GRACE_S = 180.0  # for the recogniser to catch up and the note to be written, after the last word
SPEAKERS = (Role.DOCTOR, Role.PATIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOptions:
    """What to play, to which recogniser."""

    recording: str = "cough"
    recogniser: str = "sphinx"
    model: str = ""
    speed: float = 1.0


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """Word errors and their rate."""

    rate: float | None
    errors: WordErrors

    @classmethod
    def of(cls, errors: WordErrors) -> "Words":
        return cls(rate=None if errors.rate is None else round(errors.rate, 4), errors=errors)


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
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meter.watch)
            client = await _play(server, recording, options.speed, console)
            tasks.cancel_scope.cancel()
        meter.sample()
        choice = server.recogniser
        name = options.recogniser if choice is None else choice.name
    return report(recording, name, options.speed, client, meter)


def report(recording: Recording, recogniser: str, speed: float, client: NablaClient, meter: Meter) -> Report:
    """Put the figures of one run together."""
    truth = recording.items
    finals = finals_of(client.received, client.begun)
    errors = {role: score.word_errors(truth, finals, role) for role in Role}
    starts = score.start_errors(truth, finals)
    messages = [received.message for received in client.received]
    return Report(
        recording=recording.id,
        recogniser=recogniser,
        speed=speed,
        audio_s=recording.seconds,
        word_errors={
            **{role.value: Words.of(errors[role]) for role in SPEAKERS},
            "all": Words.of(errors[Role.DOCTOR] + errors[Role.PATIENT] + errors[Role.UNSPECIFIED]),
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
        partials=sum(isinstance(message, TranscriptItem) and not message.is_final for message in messages),
        truth_items=len(truth),
        lost_items_at_ms=_starts(score.lost(truth, finals)),
        items_on_silence_at_ms=_starts(score.on_silence(truth, finals)),
        errors=tuple(message.message for message in messages if isinstance(message, ErrorMessage)),
        close_code=client.close_code,
        client_lateness_p95_ms=round(float(np.percentile(client.lateness or [0.0], 95)) * 1000, 1),
    )


def finals_of(received: Iterable[Received], begun: float) -> list[Final]:
    """The final items, each with the arrival of its first partial that had text, on the send clock."""
    partials: dict[str, float] = {}
    finals: list[Final] = []
    for each in received:
        item, at_ms = each.message, (each.at - begun) * 1000
        if not isinstance(item, TranscriptItem):
            continue
        if not item.is_final:
            if item.text:
                partials.setdefault(item.id, at_ms)
            continue
        finals.append(
            Final(
                role=item.speaker,
                start_ms=item.start_offset_ms,
                end_ms=item.end_offset_ms,
                text=item.text,
                arrived_ms=at_ms,
                first_partial_ms=partials.get(item.id),
            )
        )
    return finals


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    table = Table("", "median", "p95", "max", box=None, pad_edge=False)
    console.print(
        f"{report.recording} · {report.recogniser} · {report.speed:g} × real time", style="bold", soft_wrap=True
    )
    table.columns[0].no_wrap = True
    for who, words in report.word_errors.items():
        table.add_row(f"word error rate, {who} ({words.errors.words} words)", _share(words.rate))
    edits = report.word_errors["all"].errors
    counts = f"{edits.substitutions}, {edits.deletions}, {edits.insertions}"
    table.add_row("words other, missing, added", counts)
    table.add_row("speaker accuracy", _share(report.speaker_accuracy))
    table.add_row("start offset error, ms", *_spread(report.start_error_ms))
    table.add_row("start offset error, signed, ms", _number(report.start_error_signed_ms))
    table.add_row("end of speech → final, ms", *_spread(report.final_delay_ms))
    table.add_row("start of speech → partial, ms", *_spread(report.first_partial_delay_ms))
    table.add_row("last final → note, s", _number(report.note_delay_s, 2))
    table.add_row("real-time factor", _number(report.real_time_factor, 3))
    table.add_row("peak memory, MB", _number(report.peak_rss_mb))
    table.add_row("finals, partials", f"{report.finals}, {report.partials}")
    table.add_row("lost truth items", f"{len(report.lost_items_at_ms)} of {report.truth_items}")
    table.add_row("items on silence", str(len(report.items_on_silence_at_ms)))
    table.add_row("client's own lateness, ms", "", _number(report.client_lateness_p95_ms, 1))
    console.print(table)
    for error in report.errors:
        console.print(f"The server says: {error}", style="red", markup=False)
    if report.close_code != 1000:
        console.print(f"The server closed with {report.close_code}.", style="red", markup=False)


async def _play(server: RunningServer, recording: Recording, speed: float, console: Console) -> NablaClient:
    voices = voices_of(recording)
    config = ListenConfig(streams=streams_of(voices))
    with Progress(console=console, transient=True) as progress, anyio.fail_after(recording.seconds / speed + GRACE_S):
        task = progress.add_task("Playing", total=recording.seconds * 1000)

        def advance(received: Received) -> None:
            if isinstance(item := received.message, TranscriptItem):
                progress.update(task, completed=item.end_offset_ms)

        return await converse(server.base_url, server.key, config, voices, speed=speed, on_message=advance)


def _note_delay_s(received: Sequence[Received]) -> float | None:
    finals = [each.at for each in received if isinstance(each.message, TranscriptItem) and each.message.is_final]
    notes = [each.at for each in received if isinstance(each.message, Note)]
    return round(notes[0] - finals[-1], 3) if finals and notes else None


def _starts(items: Iterable[TruthItem] | Iterable[Final]) -> tuple[int, ...]:
    return tuple(sorted(item.start_ms for item in items))


def _spread(spread: Spread | None) -> tuple[str, str, str]:
    if spread is None:
        return ("–", "–", "–")
    return _number(spread.median), _number(spread.p95), _number(spread.max)


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
