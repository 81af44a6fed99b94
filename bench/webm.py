"""Audio as a browser's MediaRecorder gives it: webm with Opus, a piece whenever a slice of time is over."""

import io

import av
import numpy as np

from pipeline.types import SAMPLE_RATE, Pcm

BIT_RATE = 48_000
FRAME_MS = 60  # as Chromium records


class _Written:
    """What a live muxer writes to: it cannot go back."""

    def __init__(self) -> None:
        self._octets = io.BytesIO()

    def write(self, octets: bytes) -> int:
        return self._octets.write(octets)

    def take(self) -> bytes:
        """Everything since the last call."""
        taken, self._octets = self._octets.getvalue(), io.BytesIO()
        return taken


def recorded(pcm: Pcm, slice_ms: int) -> list[bytes]:
    """One chunk for each slice of time, as far as it was encoded by then; the header comes with the first."""
    written = _Written()
    options = {"live": "1", "cluster_time_limit": str(slice_ms), "flush_packets": "1"}
    chunks: list[bytes] = []
    with av.open(written, "w", format="webm", options=options) as muxer:
        stream = muxer.add_stream("libopus", rate=SAMPLE_RATE)
        codec = stream.codec_context
        codec.layout = "mono"
        codec.bit_rate = BIT_RATE
        codec.options = {"frame_duration": str(FRAME_MS)}
        codec.open()
        converter = av.AudioResampler(codec.format, "mono", SAMPLE_RATE, frame_size=codec.frame_size)
        samples = SAMPLE_RATE * slice_ms // 1000
        for at in range(0, len(pcm), samples):
            frame = av.AudioFrame.from_ndarray(np.atleast_2d(pcm[at : at + samples]), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, at
            for piece in converter.resample(frame):
                muxer.mux(stream.encode(piece))
            chunks.append(written.take())
        for last in [*converter.resample(None), None]:
            muxer.mux(stream.encode(last))
    return [*chunks, written.take()]
