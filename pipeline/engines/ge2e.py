"""Voiceprints by the GE2E speaker encoder whose weights the Resemblyzer wheel carries, on onnxruntime.

Three LSTM layers run over the mel bands of a window; what the last has at the end, made positive and of unit length, is
the voice. It was trained on windows of 1.6 s; over shorter ones it runs for fewer frames.
Every window is brought to the same level first. Resemblyzer only makes quiet audio louder, and all of it at once, but
here somebody may sit far from the microphone: with turns up to 24 dB apart and nothing done about it, one pair of
windows in nine is told wrong instead of one in two hundred.
Source: Wan et al., "Generalized End-to-End Loss for Speaker Verification", ICASSP 2018; github.com/resemble-ai/
Resemblyzer (Apache 2.0), whose numbers these are to the last digits of float32 for audio of that level.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.engines.ge2e_graph import INPUT, OUTPUT, encoder
from pipeline.engines.ge2e_mel import STEP, mel_bands, power_spectra
from pipeline.engines.ge2e_weights import DIMENSIONS, read_weights, weights_path
from pipeline.errors import VoicesUnavailable
from pipeline.types import SAMPLE_RATE, Pcm

SHORTEST = 3 * SAMPLE_RATE // 10  # samples; shorter windows are filled up with silence
LEVEL = 10 ** (-26 / 20)  # root mean square that a window is brought to: the nominal level of speech, ITU-T P.830
MAX_GAIN = 100.0  # what is quieter by more than 40 dB is no speech
BATCH = 8  # windows of a call; from four on another one costs the same, and only takes more memory


class Ge2eEmbedder:
    """See the module. One window at a time takes 8 ms of a core, four take 4.5 ms each."""

    name = "ge2e"
    model = "GE2E of Resemblyzer"
    dimensions = DIMENSIONS
    same = 0.77  # recorded people 0.72, synthesised ones 0.83 …
    different = 0.47  # … and 0.45, 0.49: best told apart at 0.57 and 0.67

    def __init__(self, weights: Path | None = None) -> None:
        """Nothing is read yet. `weights`: a file as in the Resemblyzer wheel; None: the one in the installed wheel."""
        self._weights = weights
        self._graph: onnxruntime.InferenceSession | None = None
        self._thread = anyio.CapacityLimiter(1)

    async def start(self) -> None:
        """Load the weights. Raises `VoicesUnavailable` with the command that mends it."""
        if self._graph is None:
            self._graph = await anyio.to_thread.run_sync(self._load, limiter=self._thread)

    async def embed(self, windows: Sequence[Pcm]) -> NDArray[np.float32]:
        """Shapes: windows each `(n_samples,)`, of any lengths; returns `(len(windows), DIMENSIONS)`, of unit length.

        Each window's vector is the same whichever others it comes with, but for rounding.
        Raises: `VoicesUnavailable` where it was not started.
        """
        graph = self._graph
        if graph is None:
            raise VoicesUnavailable("The voice encoder was not started.")
        work = partial(_embed, graph, windows)
        return await anyio.to_thread.run_sync(work, limiter=self._thread, abandon_on_cancel=True)

    async def aclose(self) -> None:
        """Free the memory of the weights."""
        self._graph = None

    def _load(self) -> onnxruntime.InferenceSession:
        model = encoder(read_weights(self._weights or weights_path()), mel_bands())
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1  # recognition needs the other cores
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        return onnxruntime.InferenceSession(model, sess_options=options, providers=["CPUExecutionProvider"])


def _embed(graph: onnxruntime.InferenceSession, windows: Sequence[Pcm]) -> NDArray[np.float32]:
    vectors = np.empty((len(windows), DIMENSIONS), np.float32)
    for length, members in _by_length(windows).items():
        for at in range(0, len(members), BATCH):
            chosen = members[at : at + BATCH]
            batch = np.stack([_fitted(windows[index], length) for index in chosen])
            (voices,) = graph.run([OUTPUT], {INPUT: power_spectra(batch)})
            vectors[chosen] = voices
    return _unit(vectors)


def _by_length(windows: Sequence[Pcm]) -> Mapping[int, list[int]]:
    """Which windows can go together: their indices, by the samples that whole frames need."""
    groups: dict[int, list[int]] = {}
    for index, window in enumerate(windows):
        groups.setdefault(max(SHORTEST, len(window) // STEP * STEP), []).append(index)
    return groups


def _fitted(window: Pcm, length: int) -> Pcm:
    """So many samples, every one of them a number that audio can have, as loud as all windows are."""
    heard = np.clip(np.nan_to_num(window[:length]), -1, 1)
    loudness = np.sqrt(np.mean(heard**2)) if len(heard) else 0
    fitted = np.zeros(length, np.float32)
    fitted[: len(heard)] = heard * (LEVEL / max(loudness, LEVEL / MAX_GAIN))
    return fitted


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each of length one; what is no voice at all points where no voice does: equally everywhere."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.where(lengths > 1e-6, vectors, 1)
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
