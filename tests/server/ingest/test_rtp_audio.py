"""Packets of Opus become exactly as much audio as the time they cover."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.rtc import encode
from pipeline.types import SAMPLE_RATE
from server.ingest.jitter import Packet
from server.ingest.rtp_audio import NOTICEABLE_S, RTP_HZ, Downsampler, RtpAudio, Timeline

FRAME = 960
WRAP = 1 << 32


def tone(hz: float, seconds: float, level: float = 8_000) -> NDArray[np.int16]:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RTP_HZ)) / RTP_HZ)).astype(np.int16)


QUIET = encode(np.stack([tone(300, 0.4)] * 2))
FIRST = QUIET[0]


def packets(timestamps: Iterable[int], payload: bytes = FIRST) -> list[Packet]:
    """They arrive when they were recorded."""
    stamps = list(timestamps)
    return [
        Packet(1, number, stamp % WRAP, payload, (stamp - stamps[0]) / RTP_HZ) for number, stamp in enumerate(stamps)
    ]


def heard(audio: RtpAudio, came: Iterable[Packet]) -> list[NDArray[np.int16]]:
    """All audio of each stream, however the packets are handed over."""
    pieces = [piece for each in came for piece in audio.receive([each])] + audio.flush()
    return [np.frombuffer(b"".join(stream), "<i2") for stream in zip(*pieces, strict=True)]


def strength(samples: NDArray[np.int16], hz: float) -> float:
    """How much of a tone there is; 1 is the level of a full tone."""
    wave = np.exp(-2j * np.pi * hz * np.arange(len(samples)) / SAMPLE_RATE)
    return float(abs(samples @ wave) * 2 / len(samples) / 8_000)


@given(cuts=st.lists(st.integers(0, 700), min_size=1, max_size=30), seed=st.integers(0, 9))
def test_a_third_of_the_samples_comes_out_however_they_are_cut(cuts: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).integers(-9_000, 9_000, sum(cuts), np.int16)
    whole = Downsampler().receive(samples)
    cut = Downsampler()
    pieces = [cut.receive(part) for part in np.split(samples, np.cumsum(cuts)[:-1])]
    joined = np.frombuffer(b"".join(pieces), "<i2").astype(int)
    assert np.allclose(joined, np.frombuffer(whole, "<i2"), atol=1)  # products of other shapes round differently
    assert len(whole) // 2 == len(samples) // 120 * 40


@pytest.mark.parametrize(("hz", "passes"), [(100, True), (1_000, True), (6_500, True), (9_000, False), (15_000, False)])
def test_speech_passes_and_what_16_khz_cannot_hold_does_not_fold_back(hz: float, passes: bool) -> None:
    out = np.frombuffer(Downsampler().receive(tone(hz, 1)), "<i2")[400:]
    level = float(np.sqrt(2 * np.mean(out.astype(float) ** 2))) / 8_000
    assert level == pytest.approx(1, abs=0.02) if passes else level < 0.01


def test_full_scale_is_clipped_and_does_not_wrap() -> None:
    square = np.where(np.arange(RTP_HZ) // 480 % 2, 32_767, -32_768).astype(np.int16)
    out = np.frombuffer(Downsampler().receive(square), "<i2")
    assert (out.min(), out.max()) == (-32_768, 32_767)


@given(
    first=st.integers(0, WRAP - 1),
    gaps=st.lists(st.one_of(st.just(0), st.integers(0, 3 * RTP_HZ)), min_size=1, max_size=12),
)
@settings(deadline=None)
def test_there_is_as_much_audio_as_media_time_whatever_is_missing(first: int, gaps: list[int]) -> None:
    stamps = [first]
    for gap in gaps:
        stamps.append(stamps[-1] + FRAME + gap)
    audio = RtpAudio(split=False, began_s=0.0)
    (mono,) = heard(audio, packets(stamps))
    covered = stamps[-1] + FRAME - first
    assert abs(len(mono) - covered / 3) <= 40  # a block: what is less is filled up at the end
    assert audio.timeline.restarts == 0


@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5))
@settings(deadline=None)
def test_it_does_not_matter_how_many_packets_are_handed_over_together(lengths: list[int]) -> None:
    came = packets(range(0, sum(lengths) * FRAME, FRAME))
    together, apart = RtpAudio(split=False, began_s=0.0), RtpAudio(split=False, began_s=0.0)
    joined: list[tuple[bytes, ...]] = []
    for length in lengths:
        joined += together.receive(came[:length])
        came = came[length:]
    whole = b"".join(piece[0] for piece in joined)
    single = [piece[0] for each in packets(range(0, sum(lengths) * FRAME, FRAME)) for piece in apart.receive([each])]
    assert whole == b"".join(single)


def test_a_gap_of_a_minute_is_a_minute_of_silence_in_pieces_of_a_second() -> None:
    audio = RtpAudio(split=True, began_s=0.0)
    pieces = [piece for each in packets([0, FRAME + 60 * RTP_HZ]) for piece in audio.receive([each])]
    assert sum(len(piece[0]) for piece in pieces) == (60 * RTP_HZ + 2 * FRAME) // 3 * 2
    assert max(len(piece[0]) for piece in pieces) <= SAMPLE_RATE * 2.1
    assert {len(piece) for piece in pieces} == {2}


def test_much_silence_between_many_packets_does_not_become_one_piece() -> None:
    audio = RtpAudio(split=False, began_s=0.0)
    pieces = audio.receive(packets(range(0, 50 * RTP_HZ // 2, RTP_HZ // 2)))
    assert max(len(piece[0]) for piece in pieces) <= SAMPLE_RATE * 2 * 2.1


def test_left_and_right_become_streams_of_their_own() -> None:
    came = encode(np.stack([tone(440, 1), tone(1_000, 1)]))
    split = heard(RtpAudio(split=True, began_s=0.0), [Packet(1, n, n * FRAME, p, n / 50) for n, p in enumerate(came)])
    levels = [[strength(stream, hz) for hz in (440, 1_000)] for stream in split]
    assert levels[0][0] > 0.7 > 0.1 > levels[0][1]
    assert levels[1][1] > 0.7 > 0.1 > levels[1][0]


def test_without_a_split_both_channels_are_in_the_mix() -> None:
    came = encode(np.stack([tone(440, 1), tone(1_000, 1)]))
    (mono,) = heard(
        RtpAudio(split=False, began_s=0.0), [Packet(1, n, n * FRAME, p, n / 50) for n, p in enumerate(came)]
    )
    assert strength(mono, 440) == pytest.approx(0.5, abs=0.1)
    assert strength(mono, 1_000) == pytest.approx(0.5, abs=0.1)


def test_packets_with_one_channel_are_counted_as_they_cannot_be_split() -> None:
    audio = RtpAudio(split=True, began_s=0.0)
    audio.receive(packets(range(0, 5 * FRAME, FRAME), payload=bytes([FIRST[0] & ~4]) + FIRST[1:]))
    assert audio.one_channel == 5


def test_a_broken_packet_is_counted_and_becomes_silence_of_its_length() -> None:
    audio = RtpAudio(split=False, began_s=0.0)
    came = packets([0, FRAME, 2 * FRAME])
    came[1] = came[1]._replace(payload=b"\xff\xff\xff")
    (mono,) = heard(audio, came)
    assert audio.undecodable == 1
    assert abs(len(mono) - FRAME) <= 40


def test_an_empty_packet_says_nothing() -> None:
    audio = RtpAudio(split=False, began_s=0.0)
    assert audio.receive(packets([0], payload=b"")) == []


@pytest.mark.parametrize("jump", [-960, -48_000, 48_000 * 60, 1 << 31])
def test_a_timestamp_that_cannot_be_true_restarts_the_timeline_and_the_clock_says_how_long_the_pause_was(
    jump: int,
) -> None:
    timeline = Timeline(0.0)
    timeline.place(5_000, FRAME, 0.0)
    assert timeline.place((5_000 + FRAME + jump) % WRAP, FRAME, 0.02) == 0
    assert timeline.restarts == 1
    assert timeline.place((5_000 + 2 * FRAME + jump) % WRAP, FRAME, 0.04) == 0
    assert timeline.restarts == 1
    assert timeline.place(4_000_000_000, FRAME, 8.04) == 8 * RTP_HZ - FRAME


def test_packets_held_up_by_the_network_keep_their_gap_although_they_arrive_together() -> None:
    timeline = Timeline(0.0)
    timeline.place(0, FRAME, 0.0)
    assert timeline.place(3 * FRAME, FRAME, 0.0) == 2 * FRAME
    assert timeline.restarts == 0


def test_a_track_that_starts_later_than_the_connection_begins_with_silence() -> None:
    assert Timeline(10.0).place(123, FRAME, 12.5) == 2.5 * RTP_HZ
    assert Timeline(10.0).place(123, FRAME, 10.0 + NOTICEABLE_S / 2) == 0
