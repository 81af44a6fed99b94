"""Recordings made in memory: something voice-like, in every container, as recorders and muxers write it."""

import io
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from pipeline.pcm import ENCODINGS
from pipeline.types import Pcm


class Sink:
    """What a live muxer writes to: it cannot go back and fill in sizes."""

    def __init__(self) -> None:
        self.written = io.BytesIO()

    def write(self, octets: bytes) -> int:
        return self.written.write(octets)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to make one kind of file. Live ones are written without seeking."""

    container: str
    codec: str
    rate: int
    live: bool = True
    options: tuple[tuple[str, str], ...] = ()


FRAGMENTED = (("movflags", "empty_moov+frag_keyframe+default_base_moof"), ("frag_duration", "500000"))
WEBM = Recipe(
    container="webm", codec="libopus", rate=48_000, options=(("live", "1"), ("cluster_time_limit", "1000"))
)  # as a MediaRecorder: no sizes, no cues, no duration
RECIPES: Mapping[str, Recipe] = {
    "webm": WEBM,
    "finished webm": Recipe(container="webm", codec="libopus", rate=48_000, live=False),
    "ogg": Recipe(container="ogg", codec="libopus", rate=48_000, options=(("page_duration", "200000"),)),
    "fragmented mp4": Recipe(container="mp4", codec="aac", rate=44_100, options=FRAGMENTED),
    "fragmented mp4 with opus": Recipe(container="mp4", codec="libopus", rate=48_000, options=FRAGMENTED),
    "dash mp4": Recipe(
        container="mp4",
        codec="aac",
        rate=48_000,
        options=(("movflags", "dash+delay_moov"), ("frag_duration", "500000")),
    ),
    "mp3": Recipe(container="mp3", codec="libmp3lame", rate=44_100, options=(("write_xing", "0"),)),
    "finished mp3": Recipe(container="mp3", codec="libmp3lame", rate=16_000, live=False),
    "aac": Recipe(container="adts", codec="aac", rate=44_100),
    "flac": Recipe(container="flac", codec="flac", rate=44_100),
}


@cache
def voice(seconds: float, rate: int, seed: int = 0) -> Pcm:
    """A voice-like tone that never repeats, so that it can be aligned to the sample. Shapes: `(n_samples,)` float32."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * rate)) / rate
    knots = np.arange(0, seconds + 0.5, 0.1)  # pitch and loudness wander ten times a second
    pitch = np.interp(times, knots, rng.uniform(90, 240, len(knots)))
    loudness = np.interp(times, knots, rng.uniform(0.2, 1.0, len(knots)))
    phase = np.pi * np.cumsum(np.r_[0, pitch[1:] + pitch[:-1]]) / rate  # by trapezoids: the same at every rate
    tone = np.sin(phase) + 0.6 * np.sin(3 * phase + 1) + 0.4 * np.sin(7 * phase + 2)
    return (0.25 * loudness * tone).astype(np.float32)


@cache
def recording(kind: str, seconds: float = 20.0, seed: int = 0) -> bytes:
    """`voice` in the container of that name in `RECIPES`."""
    recipe = RECIPES[kind]
    return encode(voice(seconds, recipe.rate, seed), recipe)


def encode(pcm: NDArray[np.float32], recipe: Recipe) -> bytes:
    """Audio at the recipe's rate as a file. Shapes: `(n_samples,)`, or `(2, n_samples)` for stereo."""
    layout = "mono" if pcm.ndim == 1 else "stereo"
    sink, file = Sink(), io.BytesIO()
    with av.open(sink if recipe.live else file, "w", format=recipe.container, options=dict(recipe.options)) as muxer:
        stream = cast(AudioStream, muxer.add_stream(recipe.codec, rate=recipe.rate))
        stream.codec_context.layout = layout
        stream.codec_context.bit_rate = 64_000
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.atleast_2d(pcm), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = recipe.rate, 0
        codec = stream.codec_context
        converter = av.AudioResampler(codec.format, layout, recipe.rate, frame_size=codec.frame_size or 1024)
        for piece in [*converter.resample(frame), *converter.resample(None), None]:
            muxer.mux(stream.encode(piece))
    return (sink.written if recipe.live else file).getvalue()


def wav(
    pcm: NDArray[np.float32], rate: int, *, encoding: str = "pcm_s16le", length: int | None = None, extra: bytes = b""
) -> bytes:
    """A WAV file. Shapes: pcm `(n_samples,)` or `(n_samples, n_channels)`. `length` is a lie to tell about `data`."""
    tags = {"pcm_u8": 1, "pcm_s16le": 1, "pcm_s24le": 1, "pcm_s32le": 1, "pcm_f32le": 3, "pcm_f64le": 3}
    tag = {**tags, "alaw": 6, "mulaw": 7}[encoding]
    channels = 1 if pcm.ndim == 1 else pcm.shape[1]
    width = ENCODINGS[encoding].sample_bytes
    body = raw(pcm, encoding)
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * width, channels * width, 8 * width)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + extra
    data = b"data" + struct.pack("<I", len(body) if length is None else length) + body
    return b"RIFF" + struct.pack("<I", min(len(chunks) + len(data), 0xFFFFFFFF)) + chunks + data


def raw(pcm: NDArray[np.float32], encoding: str) -> bytes:
    """Bare samples, channels interleaved."""
    return ENCODINGS[encoding].encode(pcm.reshape(-1))


def video(container: str, *, audio: bool) -> bytes:
    """Two seconds of a grey picture, with a tone or without."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as muxer:
        picture = muxer.add_stream("mpeg4" if container == "mp4" else "libvpx", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound = muxer.add_stream("libopus", rate=48_000) if audio else None
        if sound is not None:
            sound.codec_context.layout = "mono"
        for index in range(20):
            shot = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 10 * index, np.uint8), format="rgb24")
            muxer.mux(picture.encode(shot))
            if sound is not None:
                for part in range(5):
                    tone = voice(2, 48_000)[(index * 5 + part) * 960 :][:960]
                    frame = av.AudioFrame.from_ndarray((tone * 32767).astype(np.int16)[None], "s16", "mono")
                    frame.sample_rate, frame.pts = 48_000, (index * 5 + part) * 960
                    muxer.mux(sound.encode(frame))
        muxer.mux(picture.encode())
        if sound is not None:
            muxer.mux(sound.encode())
    return file.getvalue()


def cut(octets: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Consecutive chunks of these sizes; the last one takes what is left."""
    chunks, at = [], 0
    for size in sizes:
        if at >= len(octets):
            break
        chunks.append(octets[at : at + size])
        at += size
    return [*chunks, octets[at:]] if at < len(octets) else chunks


def lag_of(heard: Pcm, original: Pcm) -> int:
    """By how many samples `heard` comes later than `original` (both of about the same length)."""
    size = 1 << (len(heard) + len(original) - 1).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(original, size))
    peak = int(np.argmax(np.fft.irfft(product, size)))
    return peak if peak < size // 2 else peak - size


def likeness(heard: Pcm, original: Pcm) -> float:
    """Correlation of two equally long pieces of audio, -1 to 1."""
    return float(np.corrcoef(heard, original)[0, 1])
