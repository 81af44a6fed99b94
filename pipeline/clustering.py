"""Voiceprints → speakers, one segment after the other, in bounded memory. Pure.

Each speaker is the mean direction of the voiceprints heard of them (leader–follower clustering of d-vectors, as in
Wang et al., "Speaker diarization with LSTM", ICASSP 2018, §2.3, here with a say for how many people are expected).
A voice that is near nobody becomes a speaker of its own when enough was heard of it: sooner while fewer people than
expected are known. Two speakers who turn out to sound alike become one.

Lengths: an embedder's windows are `SPAN` samples, every `STEP`. What decides is the mean of three neighbours, 1.6 s:
single windows tell known voices apart well, but are too short to tell a new one (measured on GE2E: 6 % of the pairs of
single windows are on the wrong side of the best threshold, 0.7 % of the pairs of 1.6 s).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Voiceprints

SPAN = SAMPLE_RATE * 8 // 10  # samples of a window whose voice is embedded
STEP = SPAN // 2  # samples between two of them
MOST = 6  # speakers of one encounter
# Cosines of a smoothed window with a speaker's mean, as shares of the way from `different` to `same` (which are cosines
# of two windows; with a mean they are higher).
KNOWN = 1.02  # nearer than that is surely the same voice …
STRANGE = 0.9  # … and farther than that another one …
FAR = 0.66  # … who has to be this far where it would be one more than expected
ALIKE = 1.25  # means that are nearer than that are one speaker's, where there are more than expected …
SAME = 1.36  # … and in any case
CLEFT = 1.32  # what sounds like one voice is two where means of its halves are farther apart than that …
DEPTH = 5.0  # … and by so many standard deviations of either (a single voice, cut in two in any way: 3 to 5)
CLEFT_MORE, DEPTH_MORE = 1.17, 6.0  # the same, where it would be one more than expected
FEW, FEW_MORE = 3, 8  # windows that are the least of a voice, in either case
ROUNDS = 20
KEPT = 150  # newest windows of a speaker that may yet turn out to be two, a minute …
EVERY = 10  # … looked at whenever so many have come …
FEWEST = 20  # … from so many on
SURE = 0.3  # of what lies between two speakers: a window that is nearer to one by that much teaches
ENOUGH = 2  # windows in a row, 1.2 s of a voice among them, that make a speaker while some are missing …
PLENTY = 8  # … and in all, 3.6 s, that make one more than expected
REMEMBERED = 32  # windows of strangers
INERTIA = 400.0  # windows that weigh in a speaker's mean: a voice may change slowly
SHARPNESS = 6.6  # natural log-odds of two voices for a window that is as near to one as voices are apart

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What an embedder's cosines mean, and how many people are expected."""

    same: float  # of two windows of the same speaker
    different: float
    expected: int = 2  # 1 to 6

    def at(self, share: float) -> float:
        """The cosine that lies this share of the way from different voices to the same one."""
        return self.different + share * (self.same - self.different)


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """What must be kept of a clustering. Vectors as little-endian float32."""

    speakers: tuple[int, ...] = ()  # their numbers
    sums: bytes = b""
    weights: tuple[float, ...] = ()
    strangers: bytes = b""
    dimensions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Two speakers were one all the time."""

    gone: int
    into: int


class Clustering:
    """The voices of one room. `number` gives each new speaker a number that no other one of the encounter has."""

    def __init__(self, scale: Scale, numbers: Iterator[int], state: ClusterState | None = None) -> None:
        state = state or ClusterState()
        self._scale = scale
        self._numbers = numbers
        self.speakers = list(state.speakers)
        self._sums = _vectors(state.sums, state.dimensions)
        self._weights = list(state.weights)
        self._strangers = _vectors(state.strangers, state.dimensions)
        self._since = 0  # windows since it was looked whether somebody is two
        self._kept: dict[int, Vectors] = {}  # of speakers who may be two; not a part of the state: a minute mends it

    def state(self) -> ClusterState:
        """What must be kept to go on."""
        return ClusterState(
            speakers=tuple(self.speakers),
            sums=self._sums.astype("<f4").tobytes(),
            weights=tuple(self._weights),
            strangers=self._strangers.astype("<f4").tobytes(),
            dimensions=self._sums.shape[1],
        )

    def heard(self, speaker: int) -> float:
        """Windows that a speaker's voice is known from."""
        return self._weights[self.speakers.index(speaker)]

    @property
    def centroids(self) -> Vectors:
        """Shape `(n_speakers, dimensions)`, of unit length."""
        return _unit(self._sums)

    def learn(self, prints: Voiceprints) -> list[Merged]:
        """Take the windows of a segment, in order; returns who turned out to be whom."""
        if not len(prints.vectors):
            return []
        self._know(prints.vectors.shape[1])
        smooth = _smooth(prints)
        self._teach(prints.vectors, smooth)
        self._welcome(prints.vectors, smooth)
        self._split(smooth)
        return self._merge()

    def log_likelihoods(self, vectors: Vectors) -> NDArray[np.float64]:
        """How well each voice fits, up to a constant of each row. Shapes: `(n, dimensions)` → `(n, n_speakers)`."""
        if not self.speakers:
            return np.zeros((len(vectors), 0))
        sharpness = SHARPNESS / (self._scale.same - self._scale.different)
        return sharpness * (vectors @ self.centroids.T).astype(np.float64)

    # Inside

    def _know(self, dimensions: int) -> None:
        if self._sums.shape[1] != dimensions:  # the first windows, or another embedder's
            self._sums = np.zeros((0, dimensions), np.float32)
            self._strangers = np.zeros((0, dimensions), np.float32)
            self.speakers, self._weights = [], []

    def _teach(self, vectors: Vectors, smooth: Vectors) -> None:
        """Whoever is surely heard is known better from now on."""
        if not self.speakers:
            return
        centroids = self.centroids
        near = smooth @ centroids.T
        best = near.argmax(axis=1)
        among = centroids @ centroids.T
        for vector, row, speaker in zip(vectors, near, best, strict=True):
            if row[speaker] < self._scale.at(KNOWN):
                continue
            margins = (row[speaker] - row) / np.maximum(1e-6, 1 - among[speaker])
            margins[speaker] = 1.0
            if margins.min() >= SURE:
                self._add(int(speaker), vector)

    def _add(self, at: int, vector: Vectors) -> None:
        if self._weights[at] >= INERTIA:
            self._sums[at] *= 1 - 1 / INERTIA
        self._sums[at] += vector
        self._weights[at] = min(INERTIA, self._weights[at] + 1)

    def _add_speaker(self, heard: Vectors) -> None:
        """Somebody new, of whom these windows were heard."""
        self.speakers.append(next(self._numbers))
        self._sums = np.concatenate([self._sums, heard.sum(axis=0, keepdims=True)])
        self._weights.append(float(len(heard)))

    def _welcome(self, vectors: Vectors, smooth: Vectors) -> None:
        """Voices that are near nobody: make them speakers, if enough is heard of one."""
        left = np.ones(len(vectors), bool)
        while len(self.speakers) < MOST:
            missing = len(self.speakers) < self._scale.expected
            if self.speakers:
                left &= (smooth @ self.centroids.T).max(axis=1) < self._scale.at(STRANGE if missing else FAR)
            pool = vectors[left]
            if not missing:
                pool = np.concatenate([self._strangers, pool])[-REMEMBERED:]
            found = self._alike(pool if not missing else smooth[left], pool)
            if len(found) < (ENOUGH if missing else PLENTY):
                break
            self._add_speaker(found)
            if not missing:
                self._strangers = self._strangers[:0]
        if len(self.speakers) >= self._scale.expected:
            self._strangers = np.concatenate([self._strangers, vectors[left]])[-REMEMBERED:]

    def _split(self, smooth: Vectors) -> None:
        """Is somebody two, whose voices are not far apart? Sooner believed while fewer than expected are known."""
        if not 0 < len(self.speakers) < MOST:
            self._kept.clear()
            return
        near = smooth @ self.centroids.T
        mixed = (near >= self._scale.at(STRANGE)).sum(axis=1) > 1  # a change of voice lies in it
        nearest = near.argmax(axis=1)
        for at, speaker in enumerate(self.speakers):
            theirs = smooth[(nearest == at) & ~mixed]
            self._kept[speaker] = np.concatenate([self._kept.get(speaker, smooth[:0]), theirs])[-KEPT:]
        missing = len(self.speakers) < self._scale.expected
        self._since += len(smooth)
        if not missing and self._since < EVERY:
            return
        self._since = 0
        alike, depth, few = (CLEFT, DEPTH, FEW) if missing else (CLEFT_MORE, DEPTH_MORE, FEW_MORE)
        for at, speaker in enumerate(self.speakers):
            kept = self._kept[speaker]
            second = _cleft(kept, self._scale.at(alike), depth, few) if len(kept) >= FEWEST else None
            if second is not None:
                self._sums[at] = kept[~second].sum(axis=0)
                self._weights[at] = float((~second).sum())
                self._add_speaker(kept[second])
                self._kept.clear()
                return

    def _alike(self, judged: Vectors, vectors: Vectors) -> Vectors:
        """The largest group of windows that sound like one voice."""
        if not len(vectors):
            return vectors
        near = judged @ judged.T >= self._scale.at(STRANGE)
        return np.asarray(vectors[near[near.sum(axis=1).argmax()]], np.float32)

    def _merge(self) -> list[Merged]:
        merged: list[Merged] = []
        while len(self.speakers) > 1:
            near = np.triu(self.centroids @ self.centroids.T, 1)
            a, b = np.unravel_index(near.argmax(), near.shape)
            too_many = len(self.speakers) > self._scale.expected
            if near[a, b] < self._scale.at(ALIKE if too_many else SAME):
                break
            into, gone = int(a), int(b)  # the one known for longer stays
            self._sums[into] += self._sums[gone]
            self._weights[into] = min(INERTIA, self._weights[into] + self._weights[gone])
            merged.append(Merged(gone=self.speakers.pop(gone), into=self.speakers[into]))
            self._sums = np.delete(self._sums, gone, axis=0)
            del self._weights[gone]
        return merged


def _cleft(vectors: Vectors, alike: float, depth: float, few: int) -> NDArray[np.bool_] | None:
    """Which windows are the second of two voices; None where there is only one. Spherical 2-means."""
    centred = vectors - vectors.mean(axis=0)
    second = centred @ _longest_axis(centred) > 0
    for _ in range(ROUNDS):
        if not few <= second.sum() <= len(vectors) - few:
            return None
        a, b = _unit(np.stack([vectors[~second].mean(axis=0), vectors[second].mean(axis=0)]))
        before, second = second, vectors @ a < vectors @ b
        if (before == second).all():
            break
    if not few <= second.sum() <= len(vectors) - few or a @ b > alike:
        return None
    along = vectors @ (a - b)
    first = along[~second]
    spread = np.sqrt((first.var() * len(first) + along[second].var() * second.sum()) / len(along))
    if first.mean() - along[second].mean() < depth * spread:
        return None
    return np.asarray(~second if second[0] else second, np.bool_)  # who spoke first keeps the number


def _longest_axis(centred: Vectors) -> Vectors:
    """About the first principal component, by power iteration: a hundredth of the time of a decomposition. `(d,)`"""
    axis = centred[np.square(centred).sum(axis=1).argmax()]
    for _ in range(ROUNDS):
        axis = centred.T @ (centred @ axis)
        axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    return np.asarray(axis, np.float32)


def windows(start: int, end: int) -> list[tuple[int, int]]:
    """Where the windows of a stretch of speech lie, in samples: every `STEP`, the last one up to its end."""
    starts = list(range(start, max(start + 1, end - SPAN + 1), STEP))
    if starts[-1] + SPAN < end:
        starts.append(end - SPAN)
    return [(at, min(at + SPAN, end)) for at in starts]


def _smooth(prints: Voiceprints) -> Vectors:
    """Each window with its neighbours of the same segment: 1.6 s."""
    vectors = prints.vectors
    if len(vectors) < 2:
        return vectors
    padded = np.concatenate([vectors[:1], vectors, vectors[-1:]])
    return _unit(padded[:-2] + padded[1:-1] + padded[2:])


def _unit(vectors: Vectors) -> Vectors:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-9), np.float32)


def _vectors(octets: bytes, dimensions: int) -> Vectors:
    return (
        np.frombuffer(octets, "<f4").reshape(-1, dimensions).astype(np.float32)
        if dimensions
        else np.zeros((0, 0), np.float32)
    )
