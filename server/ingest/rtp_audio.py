"""Opus packets of one track → 16 kHz s16le for each stream in it, as long as the time they cover.

Media time is what the RTP timestamps say: what is missing between two packets (lost, dropped, or not sent in silence)
becomes silence of that length, so times never drift. A timestamp that cannot be true (it goes back, or runs ahead of
the clock) is a sender that began anew; then the arrival clock says how long the pause was. No sockets, no clock.
"""

from collections.abc import Iterable, Sequence

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE
from server.ingest.jitter import Packet

RTP_HZ = 48_000  # RFC 7587 §4.1: always, whatever the sender samples at
WRAP, HALF_WRAP = 1 << 32, 1 << 31
SLACK_S = 5.0  # how far a timestamp may run ahead of the clock: packets held up by the network arrive together
NOTICEABLE_S = 0.2  # a pause by the arrival clock: anything shorter is how unevenly packets come
FACTOR = RTP_HZ // SAMPLE_RATE
BLOCK = 120  # samples at 48 kHz (2.5 ms, the shortest Opus frame): what the filter works on
BLOCKS_AT_ONCE = 48  # larger products go to several threads in OpenBLAS, which costs more than it gains
TAPS, CUTOFF_HZ, BETA = 97, 7_600, 6.0  # passes 6.6 kHz, 60 dB down at 8.6 kHz
STEREO_FLAG = 0x04  # RFC 6716 §3.1: the packet codes two channels
PIECE_S = 1  # of long silences

Samples = NDArray[np.int16]
SILENT_PIECE = bytes(PIECE_S * SAMPLE_RATE * 2)


class Timeline:
    """Where each packet belongs. Units: samples at 48 kHz, seconds of the arrival clock."""

    def __init__(self, began_s: float) -> None:
        self.restarts = 0
        self._began_s = began_s  # when the connection's first packet came, whatever its track
        self._end: int | None = None  # timestamp after the last packet
        self._arrived_s = began_s
        self._duration = 0  # of the last packet

    def place(self, timestamp: int, duration: int, arrived_s: float) -> int:
        """The silence before a packet that lasts `duration`."""
        waited = round((arrived_s - self._arrived_s) * RTP_HZ)
        if self._end is None:
            silence = _noticeable(waited)
        else:
            ahead = (timestamp - self._end + HALF_WRAP) % WRAP - HALF_WRAP
            if 0 <= ahead <= waited + SLACK_S * RTP_HZ:
                silence = ahead
            else:
                self.restarts += 1
                silence = _noticeable(waited - self._duration)
        self._end = (timestamp + duration) % WRAP
        self._arrived_s, self._duration = arrived_s, duration
        return silence


def _noticeable(pause: int) -> int:
    return pause if pause >= NOTICEABLE_S * RTP_HZ else 0


class Downsampler:
    """48 kHz → 16 kHz of one channel, cut anywhere: three samples in, one out; 1 ms later, as the filter is.

    A filter of at most `BLOCK` taps over blocks of 120 samples is two small matrix products, which is the cheapest way
    there is from Python.
    """

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)  # less than a block
        self._before = np.zeros((1, BLOCK), np.float32)

    def receive(self, samples: Samples) -> bytes:
        """What is complete, as s16le. Shapes: `(n,)` in."""
        joined = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(joined) - len(joined) % BLOCK
        self._rest = joined[whole:].copy()
        step = BLOCK * BLOCKS_AT_ONCE
        return b"".join(self._filter(joined[at : min(at + step, whole)]) for at in range(0, whole, step))

    def _filter(self, samples: Samples) -> bytes:
        blocks = samples.astype(np.float32).reshape(-1, BLOCK)
        out = blocks @ _FROM_THIS
        out += np.concatenate([self._before, blocks[:-1]]) @ _FROM_BEFORE
        self._before = blocks[-1:]
        levels: Samples = np.clip(np.rint(out), -32_768, 32_767).astype("<i2")
        return levels.tobytes()


class RtpAudio:
    """Packets in order → pieces of PCM, one for each stream: the mix of all channels, or left and right apart."""

    def __init__(self, *, split: bool, began_s: float) -> None:
        self.undecodable = 0  # packets
        self.one_channel = 0  # packets; of a track that is split they say that both streams hear the same
        self.timeline = Timeline(began_s)
        self._channels = 2 if split else 1
        self._decoder = _opus_decoder(self._channels)
        self._downsamplers = [Downsampler() for _ in range(self._channels)]

    def receive(self, packets: Iterable[Packet]) -> list[tuple[bytes, ...]]:
        """The audio of these packets and of what is missing before them, in pieces; each has all streams."""
        pieces: list[tuple[bytes, ...]] = []
        waiting: list[Samples] = []
        for packet in packets:
            decoded = self._decode(packet.payload)
            if not decoded:
                continue
            duration = sum(samples.shape[1] for samples in decoded)
            silence = self.timeline.place(packet.timestamp, duration, packet.arrived_s)
            if silence > PIECE_S * RTP_HZ:
                self._be_silent(silence, waiting, pieces)
            elif silence:
                waiting.append(self._silence(silence))
            waiting += decoded
            if sum(samples.shape[1] for samples in waiting) > PIECE_S * RTP_HZ:
                self._downsample(waiting, pieces)
                waiting.clear()
        self._downsample(waiting, pieces)
        return pieces

    def flush(self) -> list[tuple[bytes, ...]]:
        """The end of the track: what is less than a block, filled up with silence."""
        pieces: list[tuple[bytes, ...]] = []
        self._downsample([self._silence(BLOCK - 1)], pieces)
        return pieces

    def _decode(self, payload: bytes) -> Sequence[Samples]:
        """Shapes: `(channels, n)` each. Nothing when the packet is empty or broken: the next one shows the gap."""
        if not payload:
            return ()
        self.one_channel += not payload[0] & STEREO_FLAG
        try:
            frames = self._decoder.decode(av.Packet(payload))
        except av.FFmpegError:
            self.undecodable += 1
            return ()
        return [
            np.frombuffer(memoryview(frame.planes[0]), np.int16, frame.samples * self._channels)
            .reshape(-1, self._channels)
            .T
            for frame in frames
        ]

    def _be_silent(self, samples: int, waiting: list[Samples], pieces: list[tuple[bytes, ...]]) -> None:
        """A long silence costs nothing: when the filter has run out, whole seconds are zeros."""
        seconds, rest = divmod(samples - BLOCK * 2, RTP_HZ * PIECE_S)
        waiting.append(self._silence(BLOCK * 2))
        self._downsample(waiting, pieces)
        waiting.clear()
        pieces += [(SILENT_PIECE,) * self._channels] * seconds
        if rest:
            waiting.append(self._silence(rest))

    def _downsample(self, waiting: Sequence[Samples], pieces: list[tuple[bytes, ...]]) -> None:
        if waiting:
            joined = waiting[0] if len(waiting) == 1 else np.concatenate(waiting, axis=1)
            heard = tuple(stream.receive(joined[channel]) for channel, stream in enumerate(self._downsamplers))
            if heard[0]:
                pieces.append(heard)

    def _silence(self, samples: int) -> Samples:
        return np.zeros((self._channels, samples), np.int16)


def _opus_decoder(channels: int) -> AudioCodecContext:
    """libopus decodes into as many channels as asked for, and mixes by itself (RFC 6716 §2.1.2)."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.format = "s16"
    decoder.layout = "stereo" if channels == 2 else "mono"
    decoder.sample_rate = RTP_HZ
    return decoder


def _filter_matrices() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The low-pass of the decimation as what a block gives to its own outputs, and to those of the block after it."""
    tap = np.arange(TAPS)
    low_pass = np.sinc(2 * CUTOFF_HZ / RTP_HZ * (tap - (TAPS - 1) / 2)) * np.kaiser(TAPS, BETA)
    low_pass /= low_pass.sum()
    both = np.zeros((2 * BLOCK, BLOCK // FACTOR))
    for output in range(BLOCK // FACTOR):
        both[BLOCK + FACTOR * output - tap, output] = low_pass
    return both[:BLOCK].astype(np.float32), both[BLOCK:].astype(np.float32)


_FROM_BEFORE, _FROM_THIS = _filter_matrices()
