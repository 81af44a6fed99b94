"""Words of a segment → whose they are, by the voices heard around each of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Voiceprints, Word

CHANGE = 1.0  # natural log-odds against a change of voice between two words that follow without a pause …
PAUSE = 4 * SAMPLE_RATE // 10  # … and none behind a pause of so many samples
AT_ONCE = 3.0  # natural log-odds against one mouth for two words at the same time
MUDDLE = 0.35  # of what one voice alone differs from the next: a window nearer to the middle holds both …
MUDDLED = 2  # … and so many of them in a row are no change of voice but two at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Words in a row of one voice."""

    voice: int  # column of the likelihoods
    words: tuple[Word, ...]


def turns(words: Sequence[Word], prints: Voiceprints, log_likelihoods: NDArray[np.float64]) -> list[Turn]:
    """The most probable voices of words in order (Viterbi). Shapes: log_likelihoods `(n_windows, n_voices)`."""
    if not words:
        return []
    at, middles = np.array([word.middle for word in words]), prints.middles
    fit = np.stack([np.interp(at, middles, column) for column in log_likelihoods.T], axis=1)
    voices = _viterbi(fit, [_stay(before, after) for before, after in pairwise(words)])
    grouped = groupby(zip(voices, words, strict=True), key=lambda pair: pair[0])
    return [Turn(voice=voice, words=tuple(word for _, word in pairs)) for voice, pairs in grouped]


def overlapping(prints: Voiceprints, log_likelihoods: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Stretches in which two voices are heard at once, in samples.

    A guess: on mono mixes of the test data half of what is marked is overlap, and half of the overlap is marked.
    """
    if log_likelihoods.shape[1] < 2 or len(log_likelihoods) < MUDDLED:
        return []
    best = np.sort(log_likelihoods, axis=1)
    margin = best[:, -1] - best[:, -2]
    muddled = margin < MUDDLE * float(np.quantile(margin, 0.8))
    stretches: list[tuple[int, int]] = []
    for both, run in groupby(enumerate(muddled), key=lambda pair: bool(pair[1])):
        at = [index for index, _ in run]
        if both and len(at) >= MUDDLED:
            quarter = (prints.spans[at[0]][1] - prints.spans[at[0]][0]) // 4
            stretches.append((prints.spans[at[0]][0] + quarter, prints.spans[at[-1]][1] - quarter))
    return stretches


def _stay(before: Word, after: Word) -> float:
    """Natural log-odds that a word is by the same voice as the one before, by their times alone."""
    shorter = min(before.end - before.start, after.end - after.start)
    if before.end - after.start > shorter / 2 > 0:
        return -AT_ONCE
    return CHANGE * (1 - min(max(after.start - before.end, 0), PAUSE) / PAUSE)


def _viterbi(fit: NDArray[np.float64], stay: Sequence[float]) -> list[int]:
    """Shapes: fit `(n_words, n_voices)`; for each word but the first, the log-odds that the voice stays."""
    n_voices = fit.shape[1]
    best, came_from = fit[0], []
    for row, odds in zip(fit[1:], stay, strict=True):
        paths = best[:, None] + odds * np.eye(n_voices)
        came_from.append(paths.argmax(axis=0))
        best = paths.max(axis=0) + row
    path = [int(best.argmax())]
    for step in reversed(came_from):
        path.append(int(step[path[-1]]))
    return path[::-1]


def nearest(prints: Voiceprints, start: int, end: int) -> NDArray[np.float32]:
    """The mean voiceprint `(dimensions,)` of a stretch: of windows whose middles lie in it, or of the nearest one."""
    middles = prints.middles
    inside = (middles >= start) & (middles < end)
    if not inside.any():
        inside[np.abs(middles - (start + end) / 2).argmin()] = True
    mean = prints.vectors[inside].mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
