"""How much audio Whisper's encoder computes, and where audio that is longer than its window is cut.

Whisper was trained on 30 s, whatever there is: `full`. CTranslate2's encoder takes less, at a cost that grows faster
than the audio: `dynamic` computes what there is and a short pad, for checkpoints that were trained for it; a number of
seconds computes at least those. Stock checkpoints lose accuracy or repeat themselves without the padding (CTranslate2
issue 2100, whisper.cpp's `audio_ctx`), so the window is a setting for each model.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Pcm

FRAME = 160  # samples, 10 ms: step of the mel spectrogram
FULL = 3000  # frames, 30 s: the most that the encoder takes
PAD = 20  # frames: a word that ends with the audio is not cut off
BUCKETS = (100, 200, 300, 400, 500, 600, 800, 1000, 1200, 1500, 2000, 2500, FULL)  # frames; a batch shares one of them
LONGEST = FULL * FRAME  # samples
CUT_WITHIN = 5 * SAMPLE_RATE  # samples before the end of a window in which longer audio is cut
QUIET = SAMPLE_RATE // 10  # samples, 100 ms: a pause between words

Features = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderWindow:
    """The least that the encoder computes, whatever there is: `FULL` for stock checkpoints."""

    least: int  # frames

    @classmethod
    def parse(cls, text: str) -> Self:
        """`full`, `dynamic`, or a number of seconds. Raises `ValueError`."""
        if text == "full":
            return cls(least=FULL)
        if text == "dynamic":
            return cls(least=0)
        frames = math.ceil(float(text) * SAMPLE_RATE / FRAME) if text.replace(".", "", 1).isdecimal() else 0
        if not 0 < frames <= FULL:
            raise ValueError(f"The encoder has no window {text!r}: choose full, dynamic, or seconds up to 30.")
        return cls(least=frames)

    @property
    def samples(self) -> int:
        """The least, in samples of audio."""
        return self.least * FRAME

    def frames(self, audio: int) -> int:
        """Frames to compute for audio of so many: few different figures, so that segments can share a batch."""
        bucket = BUCKETS[bisect_left(BUCKETS, min(audio + PAD, FULL))]
        return max(bucket, self.least)


def padded(features: Features, frames: int) -> Features:
    """Features of just so many frames: `(n_mels, n)` → `(n_mels, frames)`. Zeros are faster-whisper's padding."""
    kept = features[:, :frames]
    return np.pad(kept, ((0, 0), (0, frames - kept.shape[1])))


def pieces(pcm: Pcm) -> list[range]:
    """Spans of samples that the encoder can take, together all of them. Longer audio is cut where it is most quiet."""
    spans = []
    start = 0
    while len(pcm) - start > LONGEST:
        cut = start + LONGEST - CUT_WITHIN + _quietest(pcm[start + LONGEST - CUT_WITHIN : start + LONGEST])
        spans.append(range(start, cut))
        start = cut
    return [*spans, range(start, len(pcm))]


def _quietest(pcm: Pcm) -> int:
    """The middle of the `QUIET` samples with the least energy."""
    energy = np.cumsum(np.square(pcm, dtype=np.float64))
    return int(np.argmin(energy[QUIET:] - energy[:-QUIET])) + QUIET // 2
