"""Audio → closed segments: windows, voice activity, endpointing. The part of a session that never looks at words.

What comes in is kept until `step` is called, a window at a time: a session that must know what was said before it can
tell whether somebody has finished simply steps no further until the answer is there. So what a stream is cut into
depends on its audio and on the recogniser's answers, never on when they came.
"""

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.pcm import Windower
from pipeline.ports import VoiceActivityModel
from pipeline.segmenter import Segment, Segmenter, SegmenterOptions
from pipeline.types import WINDOW, Checkpoint, Pcm


@dataclass(slots=True, kw_only=True, eq=False)
class _Block:
    """Windows that were judged together, and how far they were stepped through. Shapes: `(n, 512)`, `(n,)`."""

    windows: Pcm
    probabilities: NDArray[np.float32]
    before: bytes  # the detector's state before the first of them
    at: int = 0


class Hearing:
    """One stream's ears. Made from a checkpoint, it hears on where that was taken."""

    def __init__(self, options: SegmenterOptions, model: VoiceActivityModel, checkpoint: Checkpoint) -> None:
        self.segmenter = Segmenter(options, checkpoint)
        self._model = model
        self._voice = model.open(checkpoint.vad_state)
        self._windower = Windower()
        self._unjudged: deque[Pcm] = deque()  # each of shape `(n, 512)`
        self._block: _Block | None = None

    def receive(self, pcm: Pcm) -> None:
        """Take the next samples. Shape `(n,)` float32 in [-1, 1]."""
        self._take(self._windower.receive(pcm))

    def receive_end(self) -> None:
        """No more samples will come: what is left of a window is filled up with silence."""
        self._take(self._windower.flush())

    @property
    def unheard(self) -> int:
        """Samples received and not yet stepped through."""
        left = len(self._block.windows) - self._block.at if self._block else 0
        return WINDOW * (left + sum(len(windows) for windows in self._unjudged))

    def step(self) -> Segment | None:
        """Judge the next window: the segment that it closed, if any. There must be something `unheard`."""
        block = self._next_block()
        window, probability = block.windows[block.at], float(block.probabilities[block.at])
        block.at += 1
        return self._with_state(self.segmenter.receive(window, probability))

    def end_segment(self) -> Segment | None:
        """Close the open segment behind the last window that was judged."""
        return self._with_state(self.segmenter.end())

    def resume(self) -> Checkpoint:
        """Where a rebuilt stream would have to start now. Only meaningful while no segment is open."""
        return replace(self.segmenter.resume(), vad_state=self._state())

    def _take(self, windows: Pcm) -> None:
        """Keep windows to be judged; what was judged before a restart comes first and is only buffered."""
        known = max(0, self.segmenter.judge_from - self.segmenter.position) // WINDOW
        for window in windows[:known]:
            self.segmenter.remember(window)
        if len(windows) > known:
            self._unjudged.append(windows[known:])

    def _next_block(self) -> _Block:
        """The block in work, or the next one."""
        if self._block is None or self._block.at == len(self._block.windows):
            windows = self._unjudged.popleft()
            before = self._voice.state()
            self._block = _Block(windows=windows, probabilities=self._voice.probabilities(windows), before=before)
        return self._block

    def _with_state(self, segment: Segment | None) -> Segment | None:
        if segment is None:
            return None
        return replace(segment, resume=replace(segment.resume, vad_state=self._state()))

    def _state(self) -> bytes:
        """The detector's state behind the last window stepped through; worked out again within a block.

        Segments close rarely, and a live block is a few windows long.
        """
        block = self._block
        if block is None or block.at == len(block.windows):
            return self._voice.state()
        voice = self._model.open(block.before)
        voice.probabilities(block.windows[: block.at])
        return voice.state()
