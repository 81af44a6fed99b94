"""libav, kept on a short lead: the demuxer is the one the bytes were recognised as, and it opens nothing else.

Left alone, libav guesses a format from the bytes, and some formats (HLS playlists, ffconcat scripts, mp4 with outside
references) make it open files and addresses that those bytes name. So the demuxer is forced, every other one and every
protocol is off the whitelists, and whatever it still tried to open is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.codec.context import Flags2
from av.container import InputContainer

from pipeline.containers import Container
from pipeline.errors import NoAudioTrack, UndecodableAudio, UnsupportedAudio


class Readable(Protocol):
    """What libav reads from. One that has `seek` and `tell` too is seekable."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Demuxer:
    """How libav reads one container."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    first_bytes: int = 1  # that its first read must bring
    resyncs: bool = True  # finds its way again behind bytes that make no sense


# How far libav may read ahead to learn about tracks, in microseconds; its default of five seconds delays a webm with
# video. Frames of mp3 and AAC say everything themselves, and with the defaults their first audio comes 1.25 s late.
_BRIEF = MappingProxyType({"analyzeduration": "500000"})
_SHORTEST = MappingProxyType({"probesize": "1024", "analyzeduration": "0"})
# Bytes. There it looks at two frames and goes back to the first, which it cannot where a short read came in between.
_TWO_FRAMES = 2048
DEMUXERS: Mapping[Container, Demuxer] = MappingProxyType(
    {
        Container.WEBM: Demuxer(name="matroska", options=_BRIEF),
        Container.MP4: Demuxer(name="mp4", options=_BRIEF, resyncs=False),
        Container.OGG: Demuxer(name="ogg", options=_BRIEF),
        Container.MP3: Demuxer(name="mp3", options=_SHORTEST, first_bytes=_TWO_FRAMES),
        Container.ADTS: Demuxer(name="aac", options=_SHORTEST, first_bytes=_TWO_FRAMES),
        Container.FLAC: Demuxer(name="flac"),
    }
)
CODECS = frozenset(
    {"opus", "vorbis", "aac", "mp3", "mp3float", "flac", "alac"}
    | {f"pcm_{kind}" for kind in ("u8", "s16le", "s16be", "s24le", "s24be", "s32le", "f32le", "f64le", "alaw", "mulaw")}
)
BUFFER_BYTES = 1 << 15  # of one read, which may always bring less
_WHITELISTS = MappingProxyType(
    {
        "format_whitelist": ",".join(demuxer.name for demuxer in DEMUXERS.values()),
        "protocol_whitelist": "",
        "codec_whitelist": ",".join(sorted(CODECS)),
    }
)


def open_untrusted(file: Readable, demuxer: Demuxer) -> InputContainer:
    """Open bytes that a stranger sent. Raises `FFmpegError`, also when the demuxer is not one of `DEMUXERS`."""
    return av.open(
        file,
        "r",
        format=demuxer.name,
        container_options={**demuxer.options, **_WHITELISTS},
        metadata_errors="ignore",
        buffer_size=BUFFER_BYTES,
        io_open=_refuse,
    )


def audio_track(opened: InputContainer) -> AudioStream:
    """The first audio track, ready to decode. Raises `NoAudioTrack`, `UnsupportedAudio`, `UndecodableAudio`."""
    if not opened.streams.audio:
        raise NoAudioTrack if opened.streams.video else UndecodableAudio  # without any track, its header is cut off
    track = opened.streams.audio[0]
    codec = track.codec_context
    if codec is None or codec.name not in CODECS:
        raise UnsupportedAudio("The audio track's codec is not supported: send Opus, AAC, MP3, Vorbis, FLAC or PCM.")
    codec.thread_count = 1  # a thread per stream is enough, and a packet must come out when it goes in
    codec.flags2 |= Flags2.skip_manual  # encoder delay is cut here, where it is known whether this is a beginning
    return track


def _refuse(url: str, flags: int, options: Mapping[str, str]) -> Readable:
    raise PermissionError("audio files open nothing else")
