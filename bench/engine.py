"""What the Whisper engine costs by itself: each of its stages alone, one segment and a batch, full and dynamic windows.

Everything is measured in turns, round by round, so that whatever else the machine does meets all of it alike; a ratio
is the median of the ratios of each round.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import msgspec
import numpy as np
from faster_whisper.tokenizer import Tokenizer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from bench.recordings import Recording
from pipeline.engines.whisper_decode import Decoder, Piece
from pipeline.engines.whisper_model import LoadedModel, ModelOptions, find, load
from pipeline.engines.whisper_window import EncoderWindow
from pipeline.types import SAMPLE_RATE, Pcm, Purpose, RecognitionRequest

SECONDS = (2, 5, 10, 15)  # of audio in a segment
TYPICAL_S = 5
BATCH = 8
WINDOWS = ("full", "dynamic")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What is measured."""

    model: str
    threads: int = 0  # for each call on a CPU; 0: as the engine chooses
    compute_type: str = "auto"
    device: str = "auto"
    beam_size: int = 5
    rounds: int = 9
    recording: str = "cough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is timed."""

    stage: str
    seconds: int  # of audio in each segment
    window: str
    beam_size: int | None  # None: the stage has none
    batch: int


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What one step costs."""

    stage: str
    seconds: int
    window: str
    beam_size: int | None
    batch: int
    median_ms: float
    best_ms: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured."""

    model: str
    device: str
    compute_type: str
    threads: int
    rounds: int
    tokens: float  # in the text of a segment of `TYPICAL_S`, on average
    figures: tuple[Figure, ...]
    window_gain: float  # the full window's time ÷ the dynamic one's, in the encoder
    batch_gain: Mapping[str, float]  # `BATCH` single calls' time ÷ one call's with all of them, by stage


def run(options: EngineOptions, console: Console) -> Report:
    """Load the model, measure. Raises `RecogniserUnavailable`, `FileNotFoundError`."""
    chosen = ModelOptions(
        model=options.model,
        threads=options.threads,
        compute_type=options.compute_type,
        device=options.device,
        workers=1,
    )
    found, placement = find(chosen)
    model = load(found, chosen, placement, placement.indices[0])
    laboratory = _Laboratory(model, Recording.load(options.recording).mono(), options.beam_size)
    steps = dict(laboratory.steps())
    taken = _timed(steps, options.rounds, console)
    return Report(
        model=found.name,
        device=str(model.whisper.device),
        compute_type=str(model.whisper.compute_type),
        threads=placement.threads,
        rounds=options.rounds,
        tokens=laboratory.tokens,
        figures=tuple(_figure(step, times) for step, times in taken.items()),
        window_gain=_window_gain(taken),
        batch_gain=dict(_batch_gains(taken)),
    )


class _Laboratory:
    """The engine's stages, each with what it needs from the stage before."""

    def __init__(self, model: LoadedModel, audio: Pcm, beam_size: int) -> None:
        self._beams = (1, beam_size)
        self._tokenizer: Tokenizer = model.languages["en"]
        self._audio = audio
        self._decoders = {
            window: Decoder(
                model, window=EncoderWindow.parse(window), beam_size=beam_size, use_prompt=False, max_batch=BATCH
            )
            for window in WINDOWS
        }
        group = self._pieces("dynamic", TYPICAL_S, BATCH, 1)
        written = self._decoders["dynamic"].write(self._decoders["dynamic"].encode(group), group, self._tokenizer)
        self.tokens = sum(one.length for one in written) / len(written)

    def steps(self) -> Iterator[tuple[Step, Callable[[], object]]]:
        """What to time, and how to do it once."""
        for seconds in SECONDS:
            request = self._request(seconds, 0, Purpose.FINAL)
            yield _step("mel spectrogram", seconds), partial(self._decoders["dynamic"].cut, request)
        for window, seconds in (("full", TYPICAL_S), *(("dynamic", seconds) for seconds in SECONDS)):
            group = self._pieces(window, seconds, 1, 1)
            yield _step("encode", seconds, window), partial(self._decoders[window].encode, group)
        for beam in self._beams:
            for batch in (1, BATCH):
                yield self._writing(beam, batch)
        for batch in (1, BATCH):
            yield self._aligning(batch)
        for window in WINDOWS:
            for batch in (1, BATCH):
                yield self._answering(window, batch)

    def _writing(self, beam: int, batch: int) -> tuple[Step, Callable[[], object]]:
        decoder, group = self._decoders["dynamic"], self._pieces("dynamic", TYPICAL_S, batch, beam)
        encoded = decoder.encode(group)
        step = _step("decode", TYPICAL_S, beam_size=beam, batch=batch)
        return step, partial(decoder.write, encoded, group, self._tokenizer)

    def _aligning(self, batch: int) -> tuple[Step, Callable[[], object]]:
        decoder, group = self._decoders["dynamic"], self._pieces("dynamic", TYPICAL_S, batch, 1)
        encoded = decoder.encode(group)
        written = decoder.write(encoded, group, self._tokenizer)
        step = _step("align", TYPICAL_S, batch=batch)
        return step, partial(decoder.align, encoded, group, self._tokenizer, written)

    def _answering(self, window: str, batch: int) -> tuple[Step, Callable[[], object]]:
        requests = [self._request(TYPICAL_S, number, Purpose.FINAL) for number in range(batch)]
        step = _step("all of it", TYPICAL_S, window, beam_size=self._beams[1], batch=batch)
        return step, partial(self._decoders[window].answer, requests)

    def _pieces(self, window: str, seconds: int, batch: int, beam: int) -> list[Piece]:
        purpose = Purpose.REFRESH if beam == 1 else Purpose.FINAL
        requests = [self._request(seconds, number, purpose) for number in range(batch)]
        return [piece for request in requests for piece in self._decoders[window].cut(request)]

    def _request(self, seconds: int, number: int, purpose: Purpose) -> RecognitionRequest:
        length = seconds * SAMPLE_RATE
        return RecognitionRequest(
            stream_id=f"bench/{number}",
            segment=0,
            purpose=purpose,
            start=0,
            pcm=self._audio[number * length : (number + 1) * length],
            language="en",
        )


def _step(stage: str, seconds: int, window: str = "dynamic", *, beam_size: int | None = None, batch: int = 1) -> Step:
    return Step(stage=stage, seconds=seconds, window=window, beam_size=beam_size, batch=batch)


Times = Mapping[Step, Sequence[float]]
"""Seconds that each step took in each round."""


def _timed(steps: Mapping[Step, Callable[[], object]], rounds: int, console: Console) -> Times:
    taken: dict[Step, list[float]] = {step: [] for step in steps}
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("measuring", total=(rounds + 1) * len(steps))
        for number in range(rounds + 1):
            for step, act in steps.items():
                began = time.perf_counter()
                act()
                if number:  # the first round is the warm-up
                    taken[step].append(time.perf_counter() - began)
                progress.advance(bar)
    return taken


def _figure(step: Step, times: Sequence[float]) -> Figure:
    return Figure(
        stage=step.stage,
        seconds=step.seconds,
        window=step.window,
        beam_size=step.beam_size,
        batch=step.batch,
        median_ms=round(median(times) * 1000, 2),
        best_ms=round(min(times) * 1000, 2),
    )


def _window_gain(taken: Times) -> float:
    full, dynamic = (taken[_step("encode", TYPICAL_S, window)] for window in WINDOWS)
    return _ratio(full, dynamic)


def _batch_gains(taken: Times) -> Iterator[tuple[str, float]]:
    for step in taken:
        if step.batch == BATCH:
            single = _step(step.stage, step.seconds, step.window, beam_size=step.beam_size)
            yield _named(step), _ratio([BATCH * seconds for seconds in taken[single]], taken[step])


def _ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return round(float(np.median(np.divide(above, below))), 2)


def _named(step: Step | Figure) -> str:
    beam = f", beam {step.beam_size}" if step.beam_size else ""
    window = f", {step.window}" if step.stage in ("encode", "all of it") else ""
    return f"{step.stage}{window}{beam}"


def show(report: Report, console: Console) -> None:
    """Print the figures as a table."""
    console.print(
        f"{report.model} · {report.device} · {report.compute_type} · {report.threads} threads · "
        f"{report.tokens:.0f} tokens in {TYPICAL_S} s",
        style="bold",
        soft_wrap=True,
    )
    table = Table("ms", "audio", "median", "best", f"each of {BATCH}", "gain", box=None, pad_edge=False)
    together = {_key(figure): figure for figure in report.figures if figure.batch == BATCH}
    for figure in report.figures:
        if figure.batch == 1:
            batch = together.get(_key(figure))
            gain = report.batch_gain.get(_named(figure))
            table.add_row(
                _named(figure),
                f"{figure.seconds} s",
                f"{figure.median_ms:.1f}",
                f"{figure.best_ms:.1f}",
                f"{batch.median_ms / BATCH:.1f}" if batch else "",
                f"{gain:.1f} ×" if gain else "",
            )
    console.print(table)
    console.print(f"Encoder, {TYPICAL_S} s of audio: dynamic window {report.window_gain:.1f} × faster than full.")


def _key(figure: Figure) -> tuple[str, int]:
    return _named(figure), figure.seconds
