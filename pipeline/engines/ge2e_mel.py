"""What the GE2E encoder hears of a window: power spectra of 25 ms, every 10 ms, in mel bands.

As Resemblyzer 0.1.4 has librosa compute it (`hparams.py`, `wav_to_mel_spectrogram`): centred frames, zeros outside the
window, a periodic Hann window, Slaney's mel scale and norm, no logarithm.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.engines.ge2e_weights import BANDS
from pipeline.types import SAMPLE_RATE

FRAME = SAMPLE_RATE * 25 // 1000
STEP = SAMPLE_RATE * 10 // 1000
BINS = FRAME // 2 + 1

_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)
_LINEAR_HZ = 1000.0  # up to here the mel scale is linear, 200/3 Hz a step; above it 27 steps make a factor of 6.4
_LINEAR_STEP_HZ = 200.0 / 3
_LOG_STEP = np.log(6.4) / 27


def power_spectra(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shapes: windows `(n, n_samples)`, equally long; returns `(n, n_samples // STEP, BINS)`."""
    frames = windows.shape[1] // STEP
    powers = np.empty((len(windows), frames, BINS), np.float32)
    for window, power in zip(windows, powers, strict=True):  # one by one: all at once need much memory and save nothing
        padded = np.pad(window, FRAME // 2)
        framed = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[: frames * STEP : STEP]
        spectra = np.fft.rfft(framed * _HANN)
        power[:] = spectra.real**2 + spectra.imag**2
    return powers


def mel_bands() -> NDArray[np.float32]:
    """From power spectra to mel bands. Shapes: returns `(BINS, BANDS)`."""
    top = _LINEAR_HZ / _LINEAR_STEP_HZ + np.log(SAMPLE_RATE / 2 / _LINEAR_HZ) / _LOG_STEP
    edges = _hz(np.linspace(0, top, BANDS + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, BINS)
    below, centres, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - below) / (centres - below)
    falling = (above - bins[:, None]) / (above - centres)
    bands = np.maximum(0, np.minimum(rising, falling)) * 2 / (above - below)
    return bands.astype(np.float32)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    linear_top = _LINEAR_HZ / _LINEAR_STEP_HZ
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (mel - linear_top))
    return np.where(mel < linear_top, _LINEAR_STEP_HZ * mel, above)
