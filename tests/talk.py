"""Something that talks: noise whose loudness rises and falls like syllables, in one channel or two."""

import numpy as np

from pipeline.types import SAMPLE_RATE, Audio, Pcm


def talk(seconds: float, seed: int, level: float = 0.25) -> Pcm:
    """Loud enough for `LoudnessModel` all along; two seeds have nothing in common. Shape `(n,)`."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * SAMPLE_RATE))
    knots = np.arange(0, len(times) + SAMPLE_RATE, SAMPLE_RATE // 10)
    envelope = np.interp(times, knots, rng.uniform(0.5, 2.0, len(knots)))
    return np.clip(level * envelope * rng.standard_normal(len(times)), -1, 1).astype(np.float32)


def both(left: Pcm, right: Pcm) -> Audio:
    """Shape `(n, 2)`."""
    return np.stack([left, right], axis=1)


def dual(pcm: Pcm) -> Audio:
    """The same on both channels."""
    return both(pcm, pcm)


def inverted(pcm: Pcm) -> Audio:
    """One channel upside down: their mean is silence."""
    return both(pcm, -pcm)


def late(pcm: Pcm, ms: float) -> Pcm:
    """The same, that much later."""
    samples = round(ms * SAMPLE_RATE / 1000)
    return np.concatenate([np.zeros(samples, np.float32), pcm])[: len(pcm)]


def reverberant(pcm: Pcm, seed: int, seconds: float = 0.3, direct: float = 2.0) -> Pcm:
    """As heard in a room: `direct` is how much stronger (in amplitude) the direct sound is than its tail."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    tail[: SAMPLE_RATE // 200] = 0
    tail /= np.sqrt(np.square(tail).sum()) * direct
    tail[0] = 1
    size = 1 << (len(pcm) + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(pcm, size) * np.fft.rfft(tail, size), size)[: len(pcm)]
    return wet.astype(np.float32)
