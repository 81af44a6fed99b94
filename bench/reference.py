"""faster-whisper's own BatchedInferencePipeline, to compare with: the same model, beam, arithmetic and cores.

It is given its best: its own VAD, word times, and the batch size and number of threads that are the fastest on the
beginning of the first recording. It decodes at temperature 0 alone and is given no prompt.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.audio import decode_audio

from bench.offline import Track
from pipeline.engines.models import locate
from pipeline.errors import AuscultError
from pipeline.types import SAMPLE_RATE, Pcm, Role
from server.engines import chosen, models_directory
from server.settings import Settings

BATCH_SIZES = (4, 8, 16)  # 8 is its default
TRIAL = 60 * SAMPLE_RATE  # samples that a choice of threads and batch size is tried on


class NoReference(AuscultError):
    """There is nothing to compare with: the reference knows Whisper models only."""

    code = "no_reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A segment as the reference cuts it."""

    role: Role
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How the reference runs."""

    threads: int
    batch_size: int


class Reference:
    """A model of its own in the reference. All methods block."""

    def __init__(self, settings: Settings) -> None:
        """Raises `NoReference`, `RecogniserUnavailable`."""
        choice = chosen(settings)
        if choice.kind != "whisper":
            raise NoReference
        self._path = locate(choice.model, models_directory(settings)).path
        self._settings = settings
        self.setting = Setting(threads=_cores(settings), batch_size=BATCH_SIZES[0])
        self._pipeline = self._load(self.setting.threads)

    def tune(self, track: Track, language: str) -> None:
        """Take the setting that is the fastest on the beginning of a track."""
        pcm = _beginning(track.audio)
        cores = _cores(self._settings)
        took: dict[Setting, float] = {}
        for threads in sorted({cores, max(1, cores // 2)}):
            pipeline = self._load(threads)
            _transcribe(pipeline, pcm, language, self._settings, BATCH_SIZES[0])  # warm-up
            for batch_size in BATCH_SIZES:
                begun = time.perf_counter()
                _transcribe(pipeline, pcm, language, self._settings, batch_size)
                took[Setting(threads=threads, batch_size=batch_size)] = time.perf_counter() - begun
        self.setting = min(took, key=lambda setting: took[setting])
        self._pipeline = self._load(self.setting.threads)

    def transcribe(self, tracks: Sequence[Track], language: str) -> tuple[list[Said], float]:
        """What is said in all tracks, one after the other, and the seconds it took."""
        begun = time.perf_counter()
        said = [
            Said(role=track.role, start_ms=start_ms, end_ms=end_ms, text=text)
            for track in tracks
            for start_ms, end_ms, text in _transcribe(
                self._pipeline,
                str(track.audio) if isinstance(track.audio, Path) else track.audio,
                language,
                self._settings,
                self.setting.batch_size,
            )
        ]
        return said, time.perf_counter() - begun

    def _load(self, threads: int) -> BatchedInferencePipeline:
        wanted = self._settings.recogniser
        model = WhisperModel(
            str(self._path),
            device=wanted.device,
            compute_type=wanted.compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        return BatchedInferencePipeline(model)


def _transcribe(
    pipeline: BatchedInferencePipeline, audio: str | Pcm, language: str, settings: Settings, batch_size: int
) -> list[tuple[int, int, str]]:
    """Start and end in milliseconds, and text."""
    segments, _ = pipeline.transcribe(
        audio,
        language=language,
        beam_size=settings.recogniser.beam_size,
        batch_size=batch_size,
        vad_filter=True,
        word_timestamps=True,
    )
    return [(round(each.start * 1000), round(each.end * 1000), each.text.strip()) for each in segments]


def _beginning(audio: Path | Pcm) -> Pcm:
    pcm: Pcm = np.asarray(decode_audio(str(audio), SAMPLE_RATE), np.float32) if isinstance(audio, Path) else audio
    return pcm[:TRIAL]


def _cores(settings: Settings) -> int:
    return settings.recogniser.workers or len(os.sched_getaffinity(0))
