"""Raw samples → 16 kHz, with the exact byte for every sample."""

import numpy as np

from pipeline.engines.pyav_resample import SETTLE, Resampling, aligned_before, packed_frame
from pipeline.pcm import PcmReader
from pipeline.types import SAMPLE_RATE, Audio, RestartPoint


class RawConverter:
    """One run of raw samples, fed in any chunking. The byte at `first.offset` is the sample at `first.position`."""

    def __init__(self, encoding: str, sample_rate: int, channels: int, first: RestartPoint) -> None:
        self._reader = PcmReader(encoding, channels)
        self._rate = sample_rate
        self._first = first
        self._resampling: Resampling | None = None

    @property
    def nonfinite(self) -> int:
        """Samples made silent because they were no numbers."""
        return self._reader.nonfinite

    @property
    def bytes_per_second(self) -> int:
        """Of the source."""
        return self._rate * self._reader.frame_bytes

    def receive(self, chunk: bytes) -> Audio:
        """Shapes: returns `(n_samples,)` float32, or `(n_samples, 2)` of two channels: what is ready."""
        pcm = self._reader.receive(chunk)
        if self._rate == SAMPLE_RATE or not len(pcm):
            return pcm
        frame = packed_frame(pcm, self._rate)
        if self._resampling is None:
            self._resampling = Resampling(frame, self._first.position)
        return self._resampling.push(frame)

    def flush(self) -> Audio:
        """What the resampler still held back at the end."""
        return np.zeros(0, np.float32) if self._resampling is None else self._resampling.drain()

    def restart_point(self, position: int) -> RestartPoint:
        """The exact place of that sample, or a little before it where a filter must settle first."""
        settle = 0 if self._rate == SAMPLE_RATE else SETTLE
        source, sample = aligned_before(position - self._first.position - settle, self._rate)
        return RestartPoint(
            header=self._first.header,
            offset=self._first.offset + source * self._reader.frame_bytes,
            position=self._first.position + sample,
        )
