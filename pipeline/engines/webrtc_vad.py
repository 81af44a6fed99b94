"""Voice activity by WebRTC's detector: the light choice, 2 µs a frame, and it only says yes or no."""

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE

FRAME = SAMPLE_RATE // 100  # samples, 10 ms: of the lengths it accepts, the one that a window holds most of
SAMPLE_BYTES = 2  # it reads s16
AGGRESSIVENESS = 2  # 0 (takes most for speech) to 3 (takes least)


class WebRtcModel:
    """Hands out one detector a stream."""

    name = "webrtc"

    def __init__(self, aggressiveness: int = AGGRESSIVENESS) -> None:
        self._aggressiveness = aggressiveness

    def open(self, state: bytes = b"") -> "WebRtcVoiceActivity":
        """A detector at the start of a stream, or behind the window where `state` was taken."""
        return WebRtcVoiceActivity(webrtcvad.Vad(self._aggressiveness), state)


class WebRtcVoiceActivity:
    """One stream's detector. Made by `WebRtcModel.open`."""

    def __init__(self, detector: webrtcvad.Vad, state: bytes) -> None:
        self._detector = detector
        self._carry = state  # the samples behind the last whole frame

    def probabilities(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of the frames that end in a window (three or four), the share that are speech.

        Shapes: windows `(n, 512)` float32 in [-1, 1], contiguous audio; returns `(n,)` float32 in [0, 1].
        """
        samples = np.rint(windows * 32768).clip(-32768, 32767).astype("<i2")
        return np.array([self._share(window.tobytes()) for window in samples], np.float32)

    def state(self) -> bytes:
        """The samples that wait for the rest of their frame.

        Not in it, because the library cannot give it out: what the detector has learned about the background noise.
        A detector opened from this state starts with none, and may judge the next seconds differently.
        """
        return self._carry

    def _share(self, window: bytes) -> float:
        heard = self._carry + window
        starts = range(0, len(heard) - FRAME * SAMPLE_BYTES + 1, FRAME * SAMPLE_BYTES)
        frames = [heard[at : at + FRAME * SAMPLE_BYTES] for at in starts]
        self._carry = heard[len(frames) * FRAME * SAMPLE_BYTES :]
        return sum(bool(self._detector.is_speech(frame, SAMPLE_RATE)) for frame in frames) / len(frames)
