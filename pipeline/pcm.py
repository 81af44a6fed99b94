"""Raw audio ⇄ float32, and windows of it. Plain arithmetic: no resampling, no containers.

A stream may be cut anywhere, so the readers keep what is incomplete (half a sample, half a frame, half a window)
until the rest arrives: samples in = samples out, for every way of cutting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UnsupportedAudio
from pipeline.types import WINDOW, Audio, Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """One way to write a sample down."""

    sample_bytes: int
    decode: Callable[[bytes], Pcm]
    """Whole samples → `(n,)` float32; full scale is [-1, 1]. Floats come as they are."""
    encode: Callable[[Pcm], bytes]
    """The inverse; what lies beyond full scale is clipped."""


def encoding_of(name: str) -> Encoding:
    """The encoding of that name. Raises `UnsupportedAudio`."""
    if name not in ENCODINGS:
        raise UnsupportedAudio(f"Unknown raw encoding; known are {', '.join(sorted(ENCODINGS))}.")
    return ENCODINGS[name]


class PcmReader:
    """Bytes of interleaved raw audio, cut anywhere → blocks of one channel or two. One per stream.

    More channels than two are mixed to their mean.

    NaN and infinite samples become silence and are counted in `nonfinite`; other floats are clipped to [-1, 1].
    """

    def __init__(self, encoding: str, channels: int = 1) -> None:
        self._encoding = encoding_of(encoding)
        self._channels = channels
        self._rest = b""  # less than one frame
        self.nonfinite = 0
        self.frame_bytes = self._encoding.sample_bytes * channels

    def receive(self, chunk: bytes) -> Audio:
        """The complete frames so far. Shapes: returns `(n_frames,)`, or `(n_frames, 2)` of two channels."""
        octets = self._rest + chunk
        whole = len(octets) - len(octets) % self.frame_bytes
        self._rest = octets[whole:]
        samples = self._encoding.decode(octets[:whole])
        pcm, wrong = finite(samples)
        self.nonfinite += wrong
        if self._channels == 1:
            return pcm
        frames = pcm.reshape(-1, self._channels)
        return frames if self._channels == 2 else frames.mean(axis=1, dtype=np.float32)


class Windower:
    """Blocks of any length → whole windows of 512 samples. One per stream."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)  # less than one window

    def receive(self, pcm: Pcm) -> NDArray[np.float32]:
        """The complete windows so far. Shapes: `(n_samples,)` in, `(n_windows, 512)` out."""
        joined = np.concatenate([self._rest, pcm]) if len(self._rest) else pcm
        whole = len(joined) - len(joined) % WINDOW
        self._rest = joined[whole:].copy()  # a copy, so that the block itself can be freed
        return joined[:whole].reshape(-1, WINDOW)

    def flush(self) -> NDArray[np.float32]:
        """What is left at the end of a stream, filled up with silence. Shapes: `(0, 512)` or `(1, 512)`."""
        missing = -len(self._rest) % WINDOW
        return self.receive(np.zeros(missing, np.float32))


def mixed(pcm: Audio) -> Pcm:
    """The mean of the channels."""
    return pcm if pcm.ndim == 1 else (pcm[:, 0] + pcm[:, 1]) * np.float32(0.5)


def finite(samples: Audio) -> tuple[Audio, int]:
    """The samples with NaN and infinity made silent and the rest clipped to [-1, 1], and how many were not finite."""
    good = np.isfinite(samples)
    wrong = samples.size - int(np.count_nonzero(good))
    return np.clip(np.where(good, samples, np.float32(0)) if wrong else samples, -1, 1), wrong


# Encodings. Little-endian throughout: that is what WAV, browsers and the vendors' APIs send.


def _integers(dtype: str, full_scale: int) -> Encoding:
    def decode(octets: bytes) -> Pcm:
        return (np.frombuffer(octets, dtype) / full_scale).astype(np.float32)

    def encode(pcm: Pcm) -> bytes:
        scaled = np.rint(pcm.astype(np.float64) * full_scale)
        return np.clip(scaled, -full_scale, full_scale - 1).astype(dtype).tobytes()

    return Encoding(sample_bytes=np.dtype(dtype).itemsize, decode=decode, encode=encode)


def _floats(dtype: str) -> Encoding:
    def decode(octets: bytes) -> Pcm:
        with np.errstate(over="ignore", invalid="ignore"):  # a double beyond float32 becomes infinite: counted
            return np.frombuffer(octets, dtype).astype(np.float32)

    def encode(pcm: Pcm) -> bytes:
        return np.clip(pcm, -1, 1).astype(dtype).tobytes()

    return Encoding(sample_bytes=np.dtype(dtype).itemsize, decode=decode, encode=encode)


def _u8() -> Encoding:
    def decode(octets: bytes) -> Pcm:
        return np.frombuffer(octets, np.uint8).astype(np.float32) / np.float32(128) - np.float32(1)

    def encode(pcm: Pcm) -> bytes:
        levels: NDArray[np.uint8] = np.clip(np.rint(pcm * 128) + 128, 0, 255).astype(np.uint8)
        return levels.tobytes()

    return Encoding(sample_bytes=1, decode=decode, encode=encode)


def _s24() -> Encoding:
    wide = _integers("<i4", 2**31)

    def decode(octets: bytes) -> Pcm:
        padded = np.zeros((len(octets) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(octets, np.uint8).reshape(-1, 3)  # the missing byte is the lowest
        return wide.decode(padded.tobytes())

    def encode(pcm: Pcm) -> bytes:
        scaled = np.clip(np.rint(pcm.astype(np.float64) * 2**23), -(2**23), 2**23 - 1).astype("<i4")
        return scaled.view(np.uint8).reshape(-1, 4)[:, :3].tobytes()

    return Encoding(sample_bytes=3, decode=decode, encode=encode)


def _companded(levels: NDArray[np.int32]) -> Encoding:
    """G.711: 256 code words, each standing for one 16-bit level. Shapes: levels `(256,)` by code word."""
    table = (levels / 32768).astype(np.float32)
    by_level = np.argsort(levels, kind="stable")  # code words from the lowest level to the highest
    between = (levels[by_level][1:] + levels[by_level][:-1]) / 2  # the nearest level wins

    def decode(octets: bytes) -> Pcm:
        return table[np.frombuffer(octets, np.uint8)]

    def encode(pcm: Pcm) -> bytes:
        return by_level[np.searchsorted(between, pcm.astype(np.float64) * 32768)].astype(np.uint8).tobytes()

    return Encoding(sample_bytes=1, decode=decode, encode=encode)


def _mulaw_levels() -> NDArray[np.int32]:
    """ITU-T G.711, table 2, scaled to 16 bits: code words are sent inverted; the bias is 33 · 4."""
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int32)


def _alaw_levels() -> NDArray[np.int32]:
    """ITU-T G.711, table 1, scaled to 16 bits: even bits are sent inverted; segment 0 is linear."""
    code = np.arange(256, dtype=np.int32) ^ 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = np.where(segment == 0, (step << 4) + 8, ((step << 4) + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int32)


ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        "pcm_s16le": _integers("<i2", 2**15),
        "pcm_s24le": _s24(),
        "pcm_s32le": _integers("<i4", 2**31),
        "pcm_u8": _u8(),
        "pcm_f32le": _floats("<f4"),
        "pcm_f64le": _floats("<f8"),
        "mulaw": _companded(_mulaw_levels()),
        "alaw": _companded(_alaw_levels()),
    }
)
