"""Fakes that are easy to reason about: voice is loudness, and a recogniser that says what it was given."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import RecognitionFailed, VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Hypothesis, Pcm, RecognitionRequest, Word, to_samples

LOUD = 0.01  # mean square above which a window counts as voice


def speech(ms: float, level: float = 0.5) -> Pcm:
    """A tone: what `LoudnessModel` takes for speech."""
    times = np.arange(to_samples(ms), dtype=np.float32) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * 220 * times)).astype(np.float32)


def silence(ms: float) -> Pcm:
    return np.zeros(to_samples(ms), np.float32)


class LoudnessModel:
    """Voice activity detection by loudness; its only state is how many windows it has judged."""

    name = "loudness"

    def open(self, state: bytes = b"") -> "Loudness":
        return Loudness(int.from_bytes(state, "big"))


class Loudness:
    def __init__(self, judged: int) -> None:
        self.judged = judged

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        self.judged += len(windows)
        loud: NDArray[np.bool_] = (windows**2).mean(axis=1) > LOUD
        return loud.astype(np.float32)

    def state(self) -> bytes:
        return self.judged.to_bytes(8, "big")


def words(text: str, start: int = 0, length: int = 1600) -> tuple[Word, ...]:
    """Words of 100 ms each, one after the other."""
    return tuple(
        Word(text=word, start=start + index * length, end=start + (index + 1) * length)
        for index, word in enumerate(text.split())
    )


def hypothesis(text: str, start: int = 0) -> Hypothesis:
    return Hypothesis(words=words(text, start))


class EchoRecogniser:
    """Says "segment N" for final requests; fails on those in `failing`; remembers what it was asked."""

    name = "echo"
    model = "none"
    languages = frozenset({"en"})
    window = 0
    continues = True
    speculates = False
    temperatures: tuple[float, ...] = (0.0,)

    def __init__(self, capacity: int = 1, max_batch: int = 1, failing: frozenset[int] = frozenset()) -> None:
        self.capacity = capacity
        self.max_batch = max_batch
        self.failing = failing
        self.batches: list[list[RecognitionRequest]] = []
        self.closed = False

    async def start(self) -> None:
        return None

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        self.batches.append(list(batch))
        return [
            RecognitionFailed() if request.segment in self.failing else hypothesis(f"segment {request.segment}")
            for request in batch
        ]

    async def aclose(self) -> None:
        self.closed = True


class SpectrumEmbedder:
    """Tells voices apart by their pitch: a vector is what is heard in each of 64 bands. Remembers what it was given."""

    name = "spectrum"
    model = "64 bands"
    dimensions = 64
    same = 0.99
    different = 0.1

    def __init__(self) -> None:
        self.loaded = False
        self.calls: list[int] = []  # windows in each

    async def start(self) -> None:
        self.loaded = True

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        if not self.loaded:
            raise VoicesUnavailable
        self.calls.append(len(windows))
        vectors = np.zeros((len(windows), self.dimensions), np.float32)
        for vector, window in zip(vectors, windows, strict=True):
            spectrum = np.abs(np.fft.rfft(window, SAMPLE_RATE))[: 64 * 40]
            vector[:] = spectrum.reshape(64, -1).sum(axis=1) + 1e-6
            vector /= np.linalg.norm(vector)
        return vectors

    async def aclose(self) -> None:
        self.loaded = False
