"""Recognising containers, walking them to restart points in any chunking, and reading WAV headers."""

import io
import struct
from contextlib import suppress
from itertools import pairwise

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.containers import MIN_SNIFF_BYTES, Container, begins_file, id3_bytes, sniff
from pipeline.containers.restart import Mp4Scanner, RestartScanner, restart_scanner
from pipeline.containers.wav import WavHeader, WavHeaderReader
from pipeline.errors import UndecodableAudio, UnsupportedAudio
from pipeline.types import RestartPoint
from tests.audio import cut, recording, voice, wav

KINDS = {
    "webm": Container.WEBM,
    "finished webm": Container.WEBM,
    "ogg": Container.OGG,
    "fragmented mp4": Container.MP4,
    "fragmented mp4 with opus": Container.MP4,
    "dash mp4": Container.MP4,
    "mp3": Container.MP3,
    "finished mp3": Container.MP3,
    "aac": Container.ADTS,
    "flac": Container.FLAC,
}
WALKED = {
    "webm": (b"\x1f\x43\xb6\x75",),
    "finished webm": (b"\x1f\x43\xb6\x75",),
    "ogg": (b"OggS",),
    "fragmented mp4": (b"moof",),
    "dash mp4": (b"styp", b"sidx"),  # the last fragment has no styp
}
SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=30)
TONE = voice(0.1, 16_000)


def walk(kind: str, chunks: list[bytes]) -> tuple[RestartScanner, list[RestartPoint]]:
    scanner = restart_scanner(KINDS[kind])
    return scanner, [point for chunk in chunks for point in scanner.feed(chunk)]


# Sniffing


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_is_known_by_its_first_bytes(kind: str) -> None:
    octets = recording(kind, 2.0)
    head = octets[id3_bytes(octets) :] if kind == "finished mp3" else octets
    assert sniff(octets[:MIN_SNIFF_BYTES]) is KINDS[kind]
    assert sniff(head[:MIN_SNIFF_BYTES]) is KINDS[kind]
    assert sniff(octets) is KINDS[kind]


@pytest.mark.parametrize("riff", [b"RIFF", b"RF64"])
def test_wav_is_known_by_two_words(riff: bytes) -> None:
    assert sniff(riff + wav(TONE, 16_000)[4:]) is Container.WAV
    assert sniff(riff + b"\0\0\0\0AVI LIST") is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"RIFF",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n",
        b"ffconcat version 1.0\nfile secret.wav\n",
        b"<html><body>not audio</body></html>",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0" * 64,
        b"%PDF-1.7 and so on",
    ],
)
def test_what_is_no_audio_is_not_taken_for_it(octets: bytes) -> None:
    assert sniff(octets) is None
    assert not begins_file(octets)


@settings(deadline=None)
@given(octets=st.binary(min_size=MIN_SNIFF_BYTES, max_size=200))
def test_more_bytes_than_needed_change_nothing(octets: bytes) -> None:
    assert sniff(octets) is sniff(octets[:MIN_SNIFF_BYTES])


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"mp3", "aac"}))
def test_a_chunk_that_begins_a_file_is_told_from_its_later_chunks(kind: str) -> None:
    octets = recording(kind, 2.0)
    assert begins_file(octets)
    assert not any(begins_file(chunk) for chunk in cut(octets, [500] * len(octets))[1:])
    _, points = walk(kind, [octets])
    assert not any(begins_file(octets[point.offset :]) for point in points)


def test_a_wav_begins_a_file() -> None:
    assert begins_file(wav(TONE, 16_000))


def test_an_id3_tag_tells_its_length() -> None:
    assert id3_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x01" + bytes(300)) == 10 + 257
    assert id3_bytes(b"ID3\x04\x00\x10\x00\x00\x02\x01" + bytes(300)) == 20 + 257
    assert id3_bytes(b"ID3") == 0


# Walking


@pytest.mark.parametrize("kind", WALKED)
def test_restart_points_are_where_the_elements_are(kind: str) -> None:
    octets = recording(kind, 5.0)
    scanner, points = walk(kind, [octets])
    assert not scanner.lost
    assert scanner.header is not None
    start, end = scanner.header
    assert start == 0
    at = 4 if KINDS[kind] is Container.MP4 else 0
    assert len(points) >= 1
    assert points[0].offset == end or kind == "dash mp4"
    for point in points:
        assert octets[point.offset + at :].startswith(WALKED[kind])
        assert point.header == scanner.header
    assert all(first.offset < second.offset for first, second in pairwise(points))


@pytest.mark.parametrize("kind", ["webm", "ogg", "fragmented mp4", "flac"])
@settings(max_examples=20, deadline=None)
@given(sizes=SIZES)
def test_any_chunking_gives_the_same_restart_points(kind: str, sizes: list[int]) -> None:
    octets = recording(kind, 2.0)
    whole, points = walk(kind, [octets])
    scanner, found = walk(kind, cut(octets, sizes * len(octets)))
    assert (scanner.header, found) == (whole.header, points)


def test_live_recordings_have_a_restart_point_every_second() -> None:
    assert len(walk("webm", [recording("webm", 20.0)])[1]) >= 19
    assert len(walk("fragmented mp4", [recording("fragmented mp4", 20.0)])[1]) >= 19
    assert len(walk("ogg", [recording("ogg", 20.0)])[1]) >= 90


@pytest.mark.parametrize("kind", ["webm", "ogg", "fragmented mp4"])
def test_behind_a_lost_chunk_the_walk_reports_nothing_false(kind: str) -> None:
    octets = recording(kind, 20.0)
    _, points = walk(kind, [octets])
    offsets = {point.offset for point in points}
    for begin in range(20_000, 60_000, 7_001):
        lost = 3_333
        _, found = walk(kind, [octets[:begin], octets[begin + lost :]])
        assert {p.offset if p.offset <= begin else p.offset + lost for p in found} <= offsets


@settings(deadline=None)
@given(octets=st.binary(max_size=300), kind=st.sampled_from(sorted(KINDS)))
def test_nonsense_is_survived(octets: bytes, kind: str) -> None:
    walk(kind, [octets, octets])
    walk(kind, [recording(kind, 2.0)[:700], octets, octets])


def test_a_flac_header_ends_with_its_metadata_and_frames_restart() -> None:
    octets = recording("flac", 2.0)
    scanner, points = walk("flac", [octets])
    assert scanner.packets_restart
    assert points == []
    assert scanner.header is not None
    assert octets[scanner.header[1] :][:2] == b"\xff\xf8"


@pytest.mark.parametrize("kind", ["mp3", "aac"])
def test_bare_frames_need_no_header(kind: str) -> None:
    scanner, points = walk(kind, [recording(kind, 2.0)])
    assert scanner.packets_restart
    assert scanner.header == (0, 0)
    assert points == []


def test_a_new_link_of_a_chained_ogg_brings_its_own_header() -> None:
    first, second = recording("ogg", 2.0), recording("ogg", 2.0, seed=1)
    (_, one), (_, two) = walk("ogg", [first]), walk("ogg", [second])
    _, both = walk("ogg", [first + second])
    shift = len(first)
    moved = [RestartPoint(header=(p.header[0] + shift, p.header[1] + shift), offset=p.offset + shift) for p in two]
    assert both == one + moved


def test_an_mp4_tells_when_its_index_comes_last() -> None:
    ftyp, moov = struct.pack(">I4s4x", 12, b"ftyp"), struct.pack(">I4s8x", 16, b"moov")
    mdat = struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8)
    last, first = Mp4Scanner(), Mp4Scanner()
    last.feed(ftyp + mdat + moov)
    first.feed(ftyp + moov + mdat)
    assert (last.index_last, first.index_last) == (True, False)
    assert first.header == (0, 28)


def test_a_stream_that_begins_with_a_fragment_is_lost_at_once() -> None:
    scanner = Mp4Scanner()
    assert scanner.feed(struct.pack(">I4s", 100, b"moof") + bytes(92)) == []
    assert scanner.lost


# WAV


def header_of(octets: bytes, sizes: list[int] | None = None) -> WavHeader | None:
    reader = WavHeaderReader()
    for chunk in cut(octets, sizes or [len(octets)]):
        header = reader.receive(chunk)
        if header is not None:
            return header
    return None


@settings(deadline=None)
@given(sizes=SIZES, rate=st.sampled_from([8_000, 44_100]), encoding=st.sampled_from(["pcm_s16le", "pcm_f32le", "alaw"]))
def test_a_wav_header_is_read_in_any_chunking(sizes: list[int], rate: int, encoding: str) -> None:
    octets = wav(TONE, rate, encoding=encoding, extra=b"LIST\x03\0\0\0abc\0")
    header = header_of(octets, sizes)
    assert header is not None
    assert (header.encoding, header.sample_rate, header.channels) == (encoding, rate, 1)
    assert header.data_start == 56
    assert header.data_bytes == len(octets) - 56


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_length_that_was_never_filled_in_is_unknown(length: int) -> None:
    header = header_of(wav(TONE, 16_000, length=length))
    assert header is not None
    assert header.data_bytes is None


def test_rf64_tells_the_long_length_elsewhere() -> None:
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 5_000_000_000, 0, 0)
    octets = wav(TONE, 16_000, length=0xFFFFFFFF)
    header = header_of(b"RF64\xff\xff\xff\xffWAVE" + ds64 + octets[12:])
    assert header is not None
    assert header.data_bytes == 5_000_000_000


def test_the_extensible_format_is_read() -> None:
    octets = io.BytesIO()
    with av.open(octets, "w", format="wav") as muxer:
        stream = muxer.add_stream("pcm_s24le", rate=96_000)
        stream.codec_context.layout = "5.1"
        frame = av.AudioFrame(format="s32", layout="5.1", samples=480)
        frame.sample_rate = 96_000
        muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode())
    header = header_of(octets.getvalue())
    assert header is not None
    assert (header.encoding, header.sample_rate, header.channels) == ("pcm_s24le", 96_000, 6)


def altered(at: int, form: str, value: int) -> bytes:
    """A WAV whose fmt chunk (at byte 20) holds something else."""
    octets = bytearray(wav(TONE, 16_000))
    struct.pack_into(form, octets, 20 + at, value)
    return bytes(octets)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (altered(0, "<H", 0x55), UnsupportedAudio),  # mp3 in a WAV
        (altered(14, "<H", 12), UnsupportedAudio),
        (altered(2, "<H", 0), UndecodableAudio),
        (altered(2, "<H", 2), UndecodableAudio),  # does not fit the frame size
        (altered(4, "<I", 3), UndecodableAudio),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd", UndecodableAudio),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0abcdLISTxxxx", UndecodableAudio),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(100), UndecodableAudio),
    ],
)
def test_a_nonsensical_wav_header_is_refused(octets: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        header_of(octets)


@settings(deadline=None)
@given(octets=st.binary(max_size=200))
def test_a_wav_header_of_noise_is_survived(octets: bytes) -> None:
    with suppress(UndecodableAudio, UnsupportedAudio):
        header_of(b"RIFF\0\0\0\0WAVE" + octets)
