"""Audio of any rate and layout → 16 kHz, of one channel or two, by libav's resampler, in pieces and without drift."""

from math import gcd
from typing import cast

import av
import numpy as np
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, Audio

GATHERED_S = (
    0.1  # of frames that are resampled together while more are there: a call costs more than what it does to one
)
SETTLE = SAMPLE_RATE // 20  # samples after which nothing is left of where the filter began (it is 2 ms long at 48 kHz)


class Resampling:
    """One uninterrupted run of equal frames. What changes its format, or leaves a hole, begins another.

    Two channels stay two, others are mixed to one. `position` is where the next frame's audio will lie, exact however
    much is still held back: frames are gathered, and how they were makes no difference to the samples.
    """

    def __init__(self, first: AudioFrame, start: int) -> None:
        self.kind = kind_of(first)
        self._channels = channels_of(first)
        self._rate = first.sample_rate
        self._start = start
        self._taken = 0  # samples, at the source's rate
        self._gathered: list[AudioFrame] = []
        self._waiting = 0  # samples of them
        self._resampler = av.AudioResampler(
            format="flt",
            layout="stereo" if self._channels == 2 else "mono",
            rate=SAMPLE_RATE,
            options={"rematrix_maxval": "1.0"},  # a mean of the channels; libav's own default adds them up
        )

    @property
    def position(self) -> float:
        """Stream position of the next frame, in samples at 16 kHz."""
        return self._start + self._taken * SAMPLE_RATE / self._rate

    def push(self, frame: AudioFrame) -> Audio:
        """What is ready. Shapes: returns `(n_samples,)` or `(n_samples, 2)`. Raises `FFmpegError`, `ValueError`."""
        self._taken += frame.samples
        self._waiting += frame.samples
        self._gathered.append(frame)
        return self.flush() if self._waiting >= GATHERED_S * self._rate else self._joined([])

    def flush(self) -> Audio:
        """What was gathered, now that nothing more comes for the moment. Raises `FFmpegError`, `ValueError`."""
        if not self._gathered:
            return self._joined([])
        frame = joined_frames(self._gathered)
        self._gathered, self._waiting = [], 0
        frame.pts = None  # the resampler must count, not follow the container's times
        return self._joined(self._resampler.resample(frame))

    def drain(self) -> Audio:
        """What was gathered and what the filter still held back; the run is over."""
        return np.concatenate([self.flush(), self._joined(self._resampler.resample(None))])

    def _joined(self, frames: list[AudioFrame]) -> Audio:
        pieces = [cast("Audio", frame.to_ndarray()).reshape(-1) for frame in frames]  # packed
        return shaped(np.concatenate([np.zeros(0, np.float32), *pieces]), self._channels)


def channels_of(frame: AudioFrame) -> int:
    """How many channels its audio is handed on with: two where it has exactly two, else one."""
    return 2 if frame.layout.nb_channels == 2 else 1


def shaped(samples: NDArray[np.float32], channels: int) -> Audio:
    """Interleaved samples by channel. Shapes: `(n · channels,)` in."""
    return samples if channels == 1 else samples.reshape(-1, channels)


def kind_of(frame: AudioFrame) -> tuple[str, str, int]:
    """What must stay the same within one run."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def joined_frames(frames: list[AudioFrame]) -> AudioFrame:
    """Frames of one kind as one."""
    first = frames[0]
    if len(frames) == 1:
        return first
    samples = np.concatenate(
        [frame.to_ndarray() for frame in frames], axis=1
    )  # also packed ones: a row of all channels
    result = AudioFrame.from_ndarray(samples, format=first.format.name, layout=first.layout.name)
    result.sample_rate = first.sample_rate
    return result


def packed_frame(pcm: Audio, sample_rate: int) -> AudioFrame:
    """A libav frame of samples at any rate. Shapes: `(n_samples,)` or `(n_samples, 2)` float32."""
    layout = "mono" if pcm.ndim == 1 else "stereo"
    frame = AudioFrame.from_ndarray(pcm.reshape(1, -1), format="flt", layout=layout)
    frame.sample_rate = sample_rate
    return frame


def trimmed(frame: AudioFrame, start: int, end: int) -> AudioFrame:
    """The frame without its first `start` and last `end` samples (encoder delay and padding)."""
    samples = cast("NDArray[np.float32]", frame.to_ndarray())  # of any dtype: it is only cut
    width = samples.shape[1] // frame.samples  # planar: 1; packed: the number of channels
    cut = np.ascontiguousarray(samples[:, start * width : max(start, frame.samples - end) * width])
    result = AudioFrame.from_ndarray(cut, format=frame.format.name, layout=frame.layout.name)
    result.sample_rate = frame.sample_rate
    return result


def aligned_before(position: int, sample_rate: int) -> tuple[int, int]:
    """The last place at or before `position` where a source sample and a 16 kHz sample coincide.

    Resampling that begins there continues a stream exactly. Returns source sample, 16 kHz sample.
    """
    common = gcd(sample_rate, SAMPLE_RATE)
    steps = max(0, position) // (SAMPLE_RATE // common)
    return steps * (sample_rate // common), steps * (SAMPLE_RATE // common)
