"""How long a file lasts, as its header says: fast, and not to be relied on."""

from contextlib import suppress
from io import RawIOBase

from av.error import FFmpegError

from pipeline.containers import MIN_SNIFF_BYTES, Container, sniff
from pipeline.containers.wav import WavHeader, WavHeaderReader
from pipeline.engines.pyav_demux import DEMUXERS, audio_track, open_untrusted
from pipeline.errors import InvalidAudio
from pipeline.pcm import ENCODINGS

MICROSECONDS = 1_000_000


def duration(file: RawIOBase) -> float | None:
    """Seconds, of a seekable file; None where it does not say, as what a recorder streams does not. Blocks."""
    head = file.read(4096) or b""
    container = sniff(head[:MIN_SNIFF_BYTES])
    if container is None:
        return None
    file.seek(0)
    if container is Container.WAV:
        with suppress(InvalidAudio):
            return _wav_seconds(WavHeaderReader().receive(head))
        return None
    with suppress(FFmpegError, InvalidAudio), open_untrusted(file, DEMUXERS[container]) as opened:
        stream = audio_track(opened)
        if stream.duration is not None and stream.time_base is not None:
            return float(stream.duration * stream.time_base)
        if opened.duration is not None:
            return opened.duration / MICROSECONDS
    return None


def _wav_seconds(header: WavHeader | None) -> float | None:
    if header is None or header.data_bytes is None:
        return None
    frame = header.channels * ENCODINGS[header.encoding].sample_bytes
    return header.data_bytes / (frame * header.sample_rate)
