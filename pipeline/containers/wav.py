"""The header of a WAV file, read while it arrives (Microsoft RIFF; RF64: EBU Tech 3306)."""

import struct
from dataclasses import dataclass

from pipeline.errors import UndecodableAudio, UnsupportedAudio

MAX_HEADER_BYTES = 1 << 20  # what may lie before the samples: players put pictures and lyrics there
MAX_CHANNELS = 64
RATES = range(1_000, 768_001)  # hertz

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE  # WAVE_FORMAT_…, mmreg.h
ENCODINGS = {
    (PCM, 8): "pcm_u8",
    (PCM, 16): "pcm_s16le",
    (PCM, 24): "pcm_s24le",
    (PCM, 32): "pcm_s32le",
    (FLOAT, 32): "pcm_f32le",
    (FLOAT, 64): "pcm_f64le",
    (ALAW, 8): "alaw",
    (MULAW, 8): "mulaw",
}
UNKNOWN_LENGTHS = (0, 0xFFFFFFFF)  # of `data`, as written by whoever could not go back and fill it in


@dataclass(frozen=True, slots=True, kw_only=True)
class WavHeader:
    """What a WAV header says, and where it ends."""

    encoding: str  # a name of `pipeline.pcm`
    sample_rate: int  # hertz
    channels: int
    data_start: int  # byte offset of the first sample
    data_bytes: int | None  # None: until the stream ends


class WavHeaderReader:
    """Fed the bytes of a WAV in any chunking, it tells the header once it is complete."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._at = 12  # the next chunk header; the first lies behind RIFF, size, WAVE
        self._format: tuple[str, int, int] | None = None  # encoding, sample rate, channels
        self._long_data: int | None = None  # length of `data` from RF64's ds64

    def receive(self, octets: bytes) -> WavHeader | None:
        """Take the next bytes; the header, or None while it goes on.

        Raises `UndecodableAudio` for nonsense and `UnsupportedAudio` for compressed formats.
        """
        self._octets += octets
        while len(self._octets) >= self._at + 8:
            name, size = struct.unpack_from("<4sI", self._octets, self._at)
            if name == b"data":
                return self._header(size)
            if name in (b"fmt ", b"ds64"):
                if len(self._octets) < self._at + 8 + min(size, 40):
                    break
                self._read(name, bytes(self._octets[self._at + 8 : self._at + 8 + min(size, 40)]))
            self._at += 8 + size + size % 2  # chunks are padded to an even length
        if max(self._at, len(self._octets)) > MAX_HEADER_BYTES:
            raise UndecodableAudio("The WAV header has no data chunk.")
        return None

    def _header(self, size: int) -> WavHeader:
        if self._format is None:
            raise UndecodableAudio("The WAV header does not say how its samples are written (no fmt chunk).")
        encoding, sample_rate, channels = self._format
        length = self._long_data if size == 0xFFFFFFFF and self._long_data else size
        return WavHeader(
            encoding=encoding,
            sample_rate=sample_rate,
            channels=channels,
            data_start=self._at + 8,
            data_bytes=None if length in UNKNOWN_LENGTHS else length,
        )

    def _read(self, name: bytes, body: bytes) -> None:
        if name == b"ds64" and len(body) >= 16:
            (self._long_data,) = struct.unpack_from("<Q", body, 8)
        elif name == b"fmt ":
            self._format = _format(body)


def _format(body: bytes) -> tuple[str, int, int]:
    if len(body) < 16:
        raise UndecodableAudio("The WAV header's fmt chunk is too short.")
    tag, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == EXTENSIBLE and len(body) >= 26:
        (tag,) = struct.unpack_from("<H", body, 24)  # the sub-format's GUID begins with the plain tag
    if (tag, bits) not in ENCODINGS:
        raise UnsupportedAudio(f"This WAV holds format 0x{tag:04x} with {bits} bits: send PCM, float, A-law or µ-law.")
    if not (0 < channels <= MAX_CHANNELS and sample_rate in RATES and frame_bytes == channels * bits // 8):
        raise UndecodableAudio("The WAV header contradicts itself.")
    return ENCODINGS[tag, bits], sample_rate, channels
