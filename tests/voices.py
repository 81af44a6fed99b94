"""Synthetic voices: a direction each, and windows that scatter around it as an embedder's do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.clustering import windows
from pipeline.events import Committed
from pipeline.transcript import utterances
from pipeline.types import SAMPLE_RATE, WINDOW, Checkpoint, StreamOptions, Voiceprints, Word

DIMENSIONS = 64
SAME, DIFFERENT = 0.77, 0.3  # of the voices made here: two have a cosine of about 0.3


class Voices:
    """Voices by name; the same seed makes the same ones."""

    def __init__(self, *names: str, seed: int = 1, alike: float = 0.3) -> None:
        self._random = np.random.default_rng(seed)
        common = self._unit(self._random.standard_normal(DIMENSIONS))
        self._means = {
            name: self._unit(
                np.sqrt(alike) * common + np.sqrt(1 - alike) * self._unit(self._random.standard_normal(DIMENSIONS))
            )
            for name in names
        }

    def of(self, name: str, count: int) -> NDArray[np.float32]:
        """That many windows of a voice. Shape `(count, DIMENSIONS)`."""
        scatter = np.array([self._unit(self._random.standard_normal(DIMENSIONS)) for _ in range(count)])
        vectors = self._means[name] + 0.55 * scatter
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    @staticmethod
    def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(vector / np.linalg.norm(vector))


def stream(name: str = "s", **options: object) -> StreamOptions:
    return StreamOptions(encounter="e", stream=name, **{"voices": True, "reports": True, **options})  # type: ignore[arg-type]


def said(
    voices: Voices,
    parts: Sequence[tuple[str, str]],
    *,
    begin: float,
    segment: int,
    options: StreamOptions,
    word_s: float = 0.4,
    level: float = 0.1,
    known: bool = True,
) -> Committed:
    """A segment from `begin` (seconds) on in which (voice, text) follow each other. Each word takes `word_s`."""
    words: list[Word] = []
    spoken: list[str] = []
    for voice, text in parts:
        for word in text.split():
            start = round((begin + len(words) * word_s) * SAMPLE_RATE)
            words.append(Word(text=word, start=start, end=start + round(word_s * SAMPLE_RATE)))
            spoken.append(voice)
    start, end = words[0].start, words[-1].end
    spans = windows(start, end)
    vectors = []
    for first, behind in spans:
        middle = (first + behind) / 2
        at = min(range(len(words)), key=lambda index: abs((words[index].start + words[index].end) / 2 - middle))
        vectors.append(voices.of(spoken[at], 1)[0])
    return Committed(
        stream=options.stream,
        utterances=utterances(options, options.role, segment, tuple(words)),
        checkpoint=Checkpoint(audio_from=end, position=end, segment=segment + 1),
        segment=segment,
        start=start,
        voices=Voiceprints(spans=tuple(spans), vectors=np.stack(vectors)) if known else None,
        energy=np.full((end - start) // WINDOW + 1, level**2, np.float32),
    )
