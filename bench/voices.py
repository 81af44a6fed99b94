"""What a voice embedder costs, and how well it tells voices apart in recordings of which is known who speaks when."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
import psutil
from faster_whisper.audio import decode_audio
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from bench import recordings
from bench.recordings import Recording
from bench.tables import number, share
from bench.voices_numpy import NumpyEncoder
from pipeline.engines.ge2e import Ge2eEmbedder
from pipeline.engines.ge2e_mel import mel_bands, power_spectra
from pipeline.engines.ge2e_weights import read_weights, weights_path
from pipeline.errors import AuscultError
from pipeline.ports import VoiceEmbedder
from pipeline.types import SAMPLE_RATE, Pcm, to_samples
from server.engines import find_embedder
from server.settings import Settings, SpeakerSettings

BATCHES = (1, 2, 4, 8, 16, 32)  # windows
LENGTHS_MS = (1600, 800)
WINDOWS_PER_S = 2.5  # of 1.6 s for each second of speech: what a live stream may ask for
MOST = 120  # windows of one length taken from a recording: each is compared with all others
SUFFIXES = (".flac", ".mono.opus", ".mono.flac", ".wav")  # of audio beside an RTTM file
QUIETEST_DB = -24.0  # of a turn, where turns are not equally loud

Call = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VoicesOptions:
    """What is measured."""

    sources: Sequence[Path]  # RTTM files, or folders with some; none: our recordings
    suffix: str = ""  # of the audio beside them; empty: the first of `SUFFIXES` that there is
    levels: bool = False  # whether turns are made unequally loud
    embedder: str = "ge2e"
    rounds: int = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Somebody speaks without a break. In samples."""

    speaker: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A recording and who speaks when."""

    name: str
    pcm: Pcm
    turns: tuple[Turn, ...]


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one window costs of a core."""

    variant: str
    length_ms: int
    batch: int
    median_ms: float
    best_ms: float


class Apart(msgspec.Struct, frozen=True, kw_only=True):
    """Pairs of windows of different turns of a recording."""

    source: str
    length_ms: int
    same_pairs: int
    different_pairs: int
    same: float | None  # mean cosine of windows of one speaker …
    different: float | None  # … and of two
    threshold: float | None  # at which as many of one speaker are told apart as of two are taken for one …
    errors: float | None  # … which are so many


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured."""

    embedder: str
    model: str
    load_ms: float
    loaded_mb: float  # resident memory that was added by loading it …
    added_mb: float  # … and is there after all calls
    costs: tuple[Cost, ...]
    apart: tuple[Apart, ...]


async def run(options: VoicesOptions, console: Console) -> Report:
    """Measure. Raises `VoicesUnavailable`, `FileNotFoundError`."""
    wanted = msgspec.convert({"embedder": options.embedder}, SpeakerSettings)
    embedder = find_embedder(Settings(speakers=wanted))
    if embedder is None:
        raise AuscultError("There is nothing to measure: name an embedder.")
    process = psutil.Process()
    before, began = process.memory_info().rss, time.perf_counter()
    await embedder.start()
    load_ms, loaded = (time.perf_counter() - began) * 1000, process.memory_info().rss
    try:
        console.print("Measuring what a window costs")
        costs = await _costs(embedder, options.rounds)
        added = process.memory_info().rss
        if isinstance(embedder, Ge2eEmbedder):
            costs += await _numpy_costs(options.rounds)
        apart: list[Apart] = []
        for group, heard in _groups(options):
            console.print(f"Comparing the voices of {group}", markup=False)
            for length_ms in LENGTHS_MS:
                apart.append(await _apart(embedder, group, heard, length_ms, levels=options.levels))
    finally:
        await embedder.aclose()
    return Report(
        embedder=embedder.name,
        model=embedder.model,
        load_ms=load_ms,
        loaded_mb=(loaded - before) / 1e6,
        added_mb=(added - before) / 1e6,
        costs=tuple(costs),
        apart=tuple(apart),
    )


# Cost


async def _costs(embedder: VoiceEmbedder, rounds: int) -> list[Cost]:
    costs = []
    for length_ms in LENGTHS_MS:
        for batch in BATCHES:
            windows = _noise(batch, length_ms)
            costs.append(await _timed(embedder.name, length_ms, batch, rounds, partial(embedder.embed, windows)))
    return costs


async def _numpy_costs(rounds: int) -> list[Cost]:
    encoder, bands = NumpyEncoder(read_weights(weights_path())), mel_bands()
    costs = []

    async def embed(windows: NDArray[np.float32]) -> object:
        return encoder(power_spectra(windows) @ bands)

    with threadpool_limits(limits=1, user_api="blas"):
        for batch in BATCHES:
            windows = np.array(_noise(batch, LENGTHS_MS[0]))
            costs.append(await _timed("numpy", LENGTHS_MS[0], batch, rounds, partial(embed, windows)))
    return costs


async def _timed(variant: str, length_ms: int, batch: int, rounds: int, call: Call) -> Cost:
    """Time of the processor, not of the clock: others may be at work, too."""
    await call()
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        await call()
        taken.append((time.process_time() - began) * 1000 / batch)
    return Cost(variant=variant, length_ms=length_ms, batch=batch, median_ms=median(taken), best_ms=min(taken))


def _noise(batch: int, length_ms: int) -> list[Pcm]:
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.05, to_samples(length_ms)).astype(np.float32) for _ in range(batch)]


# Voices


async def _apart(
    embedder: VoiceEmbedder, group: str, recordings: Sequence[Heard], length_ms: int, *, levels: bool
) -> Apart:
    same, different = [np.zeros(0)], [np.zeros(0)]
    for heard in recordings:
        found = [*_windows(heard, to_samples(length_ms))]
        found = [found[round(at)] for at in np.linspace(0, len(found) - 1, min(MOST, len(found)))]
        gains = _gains(heard, levels=levels)
        windows = [heard.pcm[start : start + to_samples(length_ms)] * gains[turn] for turn, start in found]
        vectors = await embedder.embed(windows)
        one, other = np.triu_indices(len(found), 1)
        turns = np.array([turn for turn, _ in found], int)
        speakers = np.array([heard.turns[turn].speaker for turn in turns])
        cosines = np.sum(vectors[one] * vectors[other], axis=1)
        apart = turns[one] != turns[other]  # within a turn there is nothing to find out
        same.append(cosines[apart & (speakers[one] == speakers[other])])
        different.append(cosines[speakers[one] != speakers[other]])
    return _compared(group, length_ms, np.concatenate(same), np.concatenate(different))


def _compared(group: str, length_ms: int, same: NDArray[np.float64], different: NDArray[np.float64]) -> Apart:
    threshold = errors = None
    if len(same) and len(different):
        thresholds = np.linspace(0, 1, 501)
        split = np.searchsorted(np.sort(same), thresholds) / len(same)
        merged = 1 - np.searchsorted(np.sort(different), thresholds) / len(different)
        best = int(np.argmin(np.abs(split - merged)))
        threshold, errors = float(thresholds[best]), float(split[best] + merged[best]) / 2
    return Apart(
        source=group,
        length_ms=length_ms,
        same_pairs=len(same),
        different_pairs=len(different),
        same=float(same.mean()) if len(same) else None,
        different=float(different.mean()) if len(different) else None,
        threshold=threshold,
        errors=errors,
    )


def _windows(heard: Heard, length: int) -> Iterator[tuple[int, int]]:
    """Windows in which one voice alone speaks all the time: the number of its turn, and the first sample."""
    for index, turn in enumerate(heard.turns):
        others = [other for other in heard.turns if other.speaker != turn.speaker]
        for start in range(turn.start, min(turn.end, len(heard.pcm)) - length + 1, length // 2):
            if not any(other.start < start + length and start < other.end for other in others):
                yield index, start


def _gains(heard: Heard, *, levels: bool) -> NDArray[np.float32]:
    """One for each turn."""
    spread = QUIETEST_DB if levels else 0
    decibels = np.random.default_rng(0).uniform(spread, 0, len(heard.turns))
    return np.asarray(10 ** (decibels / 20), np.float32)


def _groups(options: VoicesOptions) -> Iterator[tuple[str, list[Heard]]]:
    """Recordings, by where they are from."""
    if not options.sources:
        yield "our recordings", [_ours(name) for name in recordings.names()]
    for source in options.sources:
        files = sorted(source.rglob("*.rttm")) if source.is_dir() else [source]
        if not files:
            raise FileNotFoundError(f"There is no RTTM file in {source}.")
        yield source.stem, [_read(file, options.suffix) for file in files]


def _ours(name: str) -> Heard:
    recording = Recording.load(name)
    turns = (
        Turn(speaker=item.speaker, start=to_samples(item.start_ms), end=to_samples(item.end_ms))
        for item in recording.items
    )
    return Heard(name=name, pcm=recording.mono(), turns=tuple(turns))


def _read(rttm: Path, suffix: str) -> Heard:
    """An RTTM file (NIST RT-09) and the audio beside it."""
    suffixes = (suffix,) if suffix else SUFFIXES
    found = next((path for path in (rttm.with_suffix(each) for each in suffixes) if path.is_file()), None)
    if found is None:
        raise FileNotFoundError(f"There is no audio beside {rttm}: {', '.join(suffixes)}")
    lines = (line.split() for line in rttm.read_text(encoding="utf-8").splitlines())
    turns = tuple(
        Turn(speaker=each[7], start=to_samples(float(each[3]) * 1000), end=to_samples(_end(each) * 1000))
        for each in lines
        if each[:1] == ["SPEAKER"]
    )
    return Heard(name=rttm.stem, pcm=np.asarray(decode_audio(str(found), SAMPLE_RATE), np.float32), turns=turns)


def _end(fields: Sequence[str]) -> float:
    return float(fields[3]) + float(fields[4])


# What is shown


def show(report: Report, console: Console) -> None:
    """Print the figures."""
    console.print(
        f"{report.embedder} ({report.model}): loaded in {report.load_ms:.0f} ms, "
        f"{report.loaded_mb:.0f} MB; {report.added_mb:.0f} MB after all calls"
    )
    costs = Table("ms of a core for a window", *(str(batch) for batch in BATCHES), title="by windows in a call")
    kinds = dict.fromkeys((cost.variant, cost.length_ms) for cost in report.costs)
    for variant, length_ms in kinds:
        row = [cost.median_ms for cost in report.costs if (cost.variant, cost.length_ms) == (variant, length_ms)]
        costs.add_row(f"{variant}, {length_ms / 1000:.1f} s", *(f"{ms:.1f}" for ms in row))
    for variant in dict.fromkeys(variant for variant, _ in kinds):
        row = [c.median_ms for c in report.costs if (c.variant, c.length_ms) == (variant, LENGTHS_MS[0])]
        shares = (share(ms / 1000 * WINDOWS_PER_S) for ms in row)
        costs.add_row(f"{variant}: of a core for a stream, {WINDOWS_PER_S} windows a second", *shares)
    console.print(costs)
    apart = Table("recordings", "window", "same", "different", "threshold", "pairs told wrong", "pairs")
    for each in report.apart:
        apart.add_row(
            each.source,
            f"{each.length_ms / 1000:.1f} s",
            number(each.same, 2),
            number(each.different, 2),
            number(each.threshold, 2),
            share(each.errors),
            f"{each.same_pairs} + {each.different_pairs}",
        )
    console.print(apart)
