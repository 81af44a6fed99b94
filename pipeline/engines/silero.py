"""Voice activity by Silero VAD v6: the ONNX graph inside the faster-whisper wheel, streamed window by window.

The graph is recurrent over the windows of one call, so a block of n windows in one call gives exactly what n calls
would: 55 µs for one window, 200 µs for six. Source: github.com/snakers4/silero-vad (MIT).

In a long silence its memory drifts, and it wakes up late: by 190 ms after a minute, by 580 ms after five, which is more
than a segment's pre-roll. So it starts afresh whenever it has heard `REST` of silence.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.errors import RecogniserUnavailable
from pipeline.types import SAMPLE_RATE, WINDOW, Pcm

GRAPH = Path("assets", "silero_vad_v6.onnx")  # inside the faster_whisper package, as of 1.2
CONTEXT = 64  # samples of the previous window that the graph wants to see in front of each window
REST = 5 * SAMPLE_RATE // WINDOW  # windows of silence behind which nothing that was heard matters any more
SILENT = 0.1  # probability of speech below which a window counts as silence for that
MEMORY = 128  # size of each of the two LSTM states, h and c

_STATE = np.dtype(np.float32).newbyteorder("<")  # state() is h, c, the context and the quiet windows, in this order


class SileroModel:
    """The loaded graph, shared by all streams."""

    name = "silero"

    def __init__(self) -> None:
        """Load the graph. Raises `RecogniserUnavailable` where it cannot be found."""
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1  # a window is too little work to share out
        options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        self._graph = onnxruntime.InferenceSession(
            str(graph_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def open(self, state: bytes = b"") -> "SileroVoiceActivity":
        """A detector at the start of a stream, or behind the window where `state` was taken.

        Raises: `ValueError` if `state` is not what `SileroVoiceActivity.state` returned.
        """
        return SileroVoiceActivity(self._graph, state)


class SileroVoiceActivity:
    """One stream's detector. Made by `SileroModel.open`."""

    def __init__(self, graph: onnxruntime.InferenceSession, state: bytes) -> None:
        self._graph = graph
        size = 2 * MEMORY + CONTEXT + 1
        values = np.frombuffer(state, _STATE) if state else np.zeros(size, np.float32)
        if len(values) != size:
            raise ValueError(f"{len(state)} bytes are no state of a silero detector")
        h, c, context, quiet = np.split(values.astype(np.float32), (MEMORY, 2 * MEMORY, 2 * MEMORY + CONTEXT))
        self._h, self._c = h.reshape(1, 1, MEMORY), c.reshape(1, 1, MEMORY)
        self._context: Pcm = context
        self._quiet = int(quiet[0])  # windows of silence since the last speech, or since it started afresh

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of speech in each window, in order.

        Shapes: windows `(n, 512)` float32 in [-1, 1], contiguous audio; returns `(n,)` float32 in [0, 1].
        """
        judged = [np.zeros(0, np.float32)]
        while len(windows):
            until_rest = REST - self._quiet  # so that it starts afresh behind the same window, however audio is cut
            judged.append(self._judge(windows[:until_rest]))
            windows = windows[until_rest:]
        return np.concatenate(judged)

    def _judge(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """At least one window, and no more than can pass before the memory must be cleared."""
        frames = np.empty((len(windows), CONTEXT + WINDOW), np.float32)
        frames[:, CONTEXT:] = windows
        frames[0, :CONTEXT] = self._context
        frames[1:, :CONTEXT] = windows[:-1, -CONTEXT:]
        speech, self._h, self._c = self._graph.run(None, {"input": frames, "h": self._h, "c": self._c})
        self._context = frames[-1, -CONTEXT:].copy()  # a view would keep the whole block
        probabilities: NDArray[np.float32] = np.asarray(speech, np.float32).reshape(-1)
        self._count_silence(probabilities)
        return probabilities

    def _count_silence(self, probabilities: NDArray[np.float32]) -> None:
        voiced = np.flatnonzero(probabilities >= SILENT)
        self._quiet = len(probabilities) - 1 - int(voiced[-1]) if len(voiced) else self._quiet + len(probabilities)
        if self._quiet >= REST:
            self._h, self._c, self._quiet = np.zeros_like(self._h), np.zeros_like(self._c), 0

    def state(self) -> bytes:
        """Everything needed to go on after the last window: 321 float32, little-endian."""
        quiet = np.array([self._quiet], np.float32)
        return np.concatenate((self._h.ravel(), self._c.ravel(), self._context, quiet)).astype(_STATE).tobytes()


def graph_path(package: str = "faster_whisper") -> Path:
    """The ONNX file inside the installed faster-whisper wheel, found without importing that package.

    Raises: `RecogniserUnavailable` where there is none.
    """
    spec = find_spec(package)  # importing it would load CTranslate2
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / GRAPH
        if path.is_file():
            return path
    raise RecogniserUnavailable(
        "Voice activity detection needs the Silero model of the faster-whisper package: "
        "pip install 'faster-whisper>=1.2.1', or choose the voice activity detector webrtc."
    )
