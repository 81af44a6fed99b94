"""16 kHz audio → Ogg Opus (RFC 7845), written as it comes: nothing of it is kept, and nothing is filled in later."""

from fractions import Fraction

import av
import numpy as np

from pipeline.types import SAMPLE_RATE, Pcm

BIT_RATE = 24_000  # speech of one channel, of which nobody hears that it was compressed
LEAST = SAMPLE_RATE // 20  # samples: of less than two packets players make nothing, so silence follows
PAGE_US = 500_000  # of audio in a page, after which a player can begin


class OpusWriter:
    """One file. Its methods block for a hundredth of the audio's time; `Pcm` in [-1, 1]."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._muxer = av.open(self._sink, "w", format="ogg", options={"page_duration": str(PAGE_US)})
        self._stream = self._muxer.add_stream("libopus", rate=SAMPLE_RATE)
        codec = self._stream.codec_context
        codec.layout = "mono"
        codec.bit_rate = BIT_RATE
        codec.options = {"application": "audio", "compression_level": "5"}
        codec.open()
        self._framing = av.AudioResampler(codec.format, "mono", SAMPLE_RATE, frame_size=codec.frame_size)
        self._samples = 0

    def write(self, pcm: Pcm) -> bytes:
        """The bytes of the file that are ready with more audio. Shapes: pcm `(n_samples,)`."""
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(pcm[np.newaxis]), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, self._samples, Fraction(1, SAMPLE_RATE)
        self._samples += len(pcm)
        for piece in self._framing.resample(frame):
            self._muxer.mux(self._stream.encode(piece))
        return self._sink.taken()

    def finish(self) -> bytes:
        """The rest of the file."""
        kept = b""
        if self._samples:
            if self._samples < LEAST:
                kept = self.write(np.zeros(LEAST - self._samples, np.float32))
            for piece in [*self._framing.resample(None), None]:
                self._muxer.mux(self._stream.encode(piece))
        self._muxer.close()
        return kept + self._sink.taken()


class _Sink:
    """What the muxer writes to: it cannot go back."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, octets: bytes) -> int:
        self._written += octets
        return len(octets)

    def taken(self) -> bytes:
        """What was written since the last call."""
        taken, self._written = bytes(self._written), bytearray()
        return taken
