"""How well recordings are understood as files, and what it costs: words, medical terms, times, real-time factor.

Recordings go through the pipeline exactly as with `auscult transcribe`. Where a recording has a channel for each voice,
each is a stream of its own. What makes two words the same is stated in `bench.words`, what a medical term is in
`bench.terms`, what the times mean in `bench.score`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio.to_thread
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench.manifest import BadManifest, Entry, entries
from bench.marks import Marks, marks
from bench.offline import Engine, Offline, Track, Transcript, open_offline, tracks_of
from bench.reference import Reference
from bench.score import Spread
from bench.tables import number, share
from bench.terms import Recall, our_glossary
from bench.words import Words
from server.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyOptions:
    """Which recordings, recognised by what."""

    sources: Sequence[Path] = ()  # manifests, folders, truth files; none: our own recordings
    only: str = ""  # what the ids of the recordings must contain
    split: bool = True  # each voice by itself where there is a channel for it
    engine: Engine = field(default_factory=Engine)
    encoder_windows: Sequence[str] = ()  # of Whisper, one after the other; none: the engine's own
    reference: bool = False  # whether faster-whisper's own pipeline transcribes the same
    repeats: int = 1  # of each recording; times are medians


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What faster-whisper's own pipeline makes of the same recordings."""

    whisper: Words
    medical: Words
    took_s: float  # median of the repeats
    ratio: float  # our seconds ÷ its, of each pair of runs; their median


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one recording, or of all together."""

    audio_s: float
    whisper: Words  # word errors in Whisper's form …
    medical: Words  # … and in the medical form
    terms: Recall
    drugs: Recall
    start_error_ms: Spread | None  # absolute, of items against the truth; None where the truth's times are estimates
    items: int
    lost_items: int  # truth items that nothing overlaps
    took_s: float  # median of the repeats
    real_time_factor: float  # processor seconds ÷ `audio_s`, median of the repeats
    reference: Compared | None = None
    errors: tuple[str, ...] = ()  # of parts that are lost


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One recording's figures."""

    id: str
    figures: Figures


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One setting's figures."""

    encoder_window: str  # empty: as the settings say
    recogniser: str
    recordings: tuple[Recorded, ...]
    total: Figures
    reference_threads: int | None = None
    reference_batch_size: int | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one run."""

    split: bool
    repeats: int
    variants: tuple[Variant, ...]
    skipped: tuple[str, ...]  # ids of recordings in a language that the recogniser does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A recording, or several: marks, and the seconds of each repeat."""

    audio_s: float
    marks: Marks
    took_s: tuple[float, ...]
    cpu_s: tuple[float, ...]
    reference: Marks | None = None
    reference_s: tuple[float, ...] = ()
    errors: tuple[str, ...] = ()

    def figures(self) -> Figures:
        return Figures(
            audio_s=round(self.audio_s, 3),
            whisper=Words.of(self.marks.whisper),
            medical=Words.of(self.marks.medical),
            terms=self.marks.recalls.terms,
            drugs=self.marks.recalls.drugs,
            start_error_ms=Spread.of([abs(error) for error in self.marks.start_errors]),
            items=self.marks.items,
            lost_items=self.marks.lost,
            took_s=_median(self.took_s),
            real_time_factor=round(_median(self.cpu_s) / self.audio_s, 4),
            reference=self._compared(),
            errors=self.errors,
        )

    def _compared(self) -> Compared | None:
        if self.reference is None:
            return None
        return Compared(
            whisper=Words.of(self.reference.whisper),
            medical=Words.of(self.reference.medical),
            took_s=_median(self.reference_s),
            ratio=_median([ours / its for ours, its in zip(self.took_s, self.reference_s, strict=True)]),
        )


async def run(options: AccuracyOptions, console: Console) -> Report:
    """Transcribe everything under every setting. Raises `BadManifest`, `RecogniserUnavailable`, `NoReference`."""
    chosen = entries(options.sources, only=options.only)
    windows = options.encoder_windows or (options.engine.encoder_window,)
    skipped: dict[str, None] = {}
    variants: list[Variant] = []
    with _progress(console) as progress:
        total = sum(entry.seconds for entry in chosen) * len(windows) * options.repeats
        bar = progress.add_task("Transcribing", total=total)
        for window in windows:
            settings = replace(options.engine, encoder_window=window).settings()
            async with open_offline(settings) as offline:
                known = [entry for entry in chosen if offline.speaks(entry.language)]
                skipped.update(dict.fromkeys(entry.id for entry in chosen if entry not in known))
                if not known:
                    raise BadManifest(f"{offline.name} knows the language of none of these recordings.")
                bench = _Bench(offline, options, await _reference(options, settings, known))
                variants.append(await bench.variant(known, window, lambda s: progress.advance(bar, s)))
    return Report(split=options.split, repeats=options.repeats, variants=tuple(variants), skipped=tuple(skipped))


def show(report: Report, console: Console) -> None:
    """Print a table for each setting, and one of all settings where there are several."""
    for variant in report.variants:
        window = f" · encoder window {variant.encoder_window}" if variant.encoder_window else ""
        console.print(f"{variant.recogniser}{window}", style="bold", soft_wrap=True, markup=False)
        table = _table("recording", variant.total)
        for recorded in variant.recordings:
            table.add_row(recorded.id, *_row(recorded.figures))
        if len(variant.recordings) > 1:
            table.add_row("all", *_row(variant.total), style="bold")
        console.print(table)
        if variant.reference_threads is not None:
            console.print(
                f"The reference runs with {variant.reference_threads} threads in batches of"
                f" {variant.reference_batch_size}, the fastest that was tried."
            )
        for error in dict.fromkeys(variant.total.errors):
            console.print(f"Lost: {error}", style="red", markup=False)
    if len(report.variants) > 1:
        table = _table("encoder window", report.variants[0].total)
        for variant in report.variants:
            table.add_row(variant.encoder_window, *_row(variant.total))
        console.print(table)
    if report.skipped:
        console.print(f"In another language, and left out: {', '.join(report.skipped)}.", soft_wrap=True, markup=False)


def _table(first: str, figures: Figures) -> Table:
    table = Table(first, box=None, pad_edge=False)
    columns = ["words", "WER, Whisper", "medical", "terms", "drugs", "start off by", "p95", "lost", "RTF", "s"]
    theirs = ["its WER", "medical", "s", "ours ÷ its"] if figures.reference else []
    for name in [*columns, *theirs]:
        table.add_column(name, justify="right")
    return table


def _row(figures: Figures) -> list[str]:
    starts, reference = figures.start_error_ms, figures.reference
    row = [
        str(figures.medical.errors.words),
        share(figures.whisper.rate),
        share(figures.medical.rate),
        share(figures.terms.share, 0),
        share(figures.drugs.share, 0),
        number(starts.median if starts else None),
        number(starts.p95 if starts else None),
        str(figures.lost_items),
        number(figures.real_time_factor, 3),
        number(figures.took_s, 1),
    ]
    if reference is not None:
        row += [
            share(reference.whisper.rate),
            share(reference.medical.rate),
            number(reference.took_s, 1),
            number(reference.ratio, 2),
        ]
    return row


class _Bench:
    """One setting, loaded."""

    def __init__(self, offline: Offline, options: AccuracyOptions, reference: Reference | None) -> None:
        self._offline = offline
        self._options = options
        self._reference = reference
        self._glossary = our_glossary()

    async def variant(self, known: Sequence[Entry], window: str, advance: Callable[[float], None]) -> Variant:
        measured = [await self._measure(entry, advance) for entry in known]
        setting = self._reference.setting if self._reference else None
        return Variant(
            encoder_window=window,
            recogniser=self._offline.name,
            recordings=tuple(
                Recorded(id=entry.id, figures=each.figures()) for entry, each in zip(known, measured, strict=True)
            ),
            total=_together(measured).figures(),
            reference_threads=setting.threads if setting else None,
            reference_batch_size=setting.batch_size if setting else None,
        )

    async def _measure(self, entry: Entry, advance: Callable[[float], None]) -> Measured:
        """Transcribe a recording as often as asked; the reference takes turns in going first."""
        tracks = await anyio.to_thread.run_sync(lambda: tracks_of(entry, split=self._options.split))
        ours: list[Transcript] = []
        its: list[tuple[Marks, float]] = []
        for turn in range(self._options.repeats):
            if turn % 2:
                its += await self._refer(entry, tracks)
            ours.append(await self._offline.transcribe(tracks, entry.language))
            if not turn % 2:
                its += await self._refer(entry, tracks)
            advance(entry.seconds)
        return Measured(
            audio_s=entry.seconds,
            marks=marks(entry, ours[0].items, self._glossary, split=self._options.split),
            took_s=tuple(each.took_s for each in ours),
            cpu_s=tuple(each.cpu_s for each in ours),
            reference=its[0][0] if its else None,
            reference_s=tuple(took_s for _, took_s in its),
            errors=ours[0].errors,
        )

    async def _refer(self, entry: Entry, tracks: Sequence[Track]) -> list[tuple[Marks, float]]:
        """The reference's marks and seconds; nothing where there is none."""
        if self._reference is None:
            return []
        said, took_s = await anyio.to_thread.run_sync(self._reference.transcribe, tracks, entry.language)
        return [(marks(entry, said, self._glossary, split=self._options.split), took_s)]


async def _reference(options: AccuracyOptions, settings: Settings, known: Sequence[Entry]) -> Reference | None:
    if not options.reference:
        return None

    def load() -> Reference:
        reference = Reference(settings)
        reference.tune(tracks_of(known[0], split=options.split)[0], known[0].language)
        return reference

    return await anyio.to_thread.run_sync(load)


def _together(measured: Sequence[Measured]) -> Measured:
    references = [each.reference for each in measured if each.reference is not None]
    return Measured(
        audio_s=sum(each.audio_s for each in measured),
        marks=sum((each.marks for each in measured), Marks()),
        took_s=_added(each.took_s for each in measured),
        cpu_s=_added(each.cpu_s for each in measured),
        reference=sum(references, Marks()) if references else None,
        reference_s=_added(each.reference_s for each in measured),
        errors=tuple(error for each in measured for error in each.errors),
    )


def _added(seconds: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    """Of each repeat, over all recordings."""
    return tuple(sum(turn) for turn in zip(*seconds, strict=True))


def _median(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 3)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console, transient=True
    )
