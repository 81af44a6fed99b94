"""Streams that are taken up again in their middle, that lost bytes, and that hold several files."""

import asyncio
import random
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.containers import Container
from pipeline.containers.restart import restart_scanner
from pipeline.engines.pyav import open_decoder
from pipeline.types import SAMPLE_RATE, AudioFormat, RestartPoint
from tests.audio import RECIPES, cut, encode, lag_of, likeness, raw, recording, voice, wav
from tests.listening import CONTAINER, again, as_raw, decoded, feed, follow, heard

MS = SAMPLE_RATE // 1000
STREAMS = [
    *RECIPES,
    "stereo webm",
    "stereo wav",
    *(f"{how} {rate}" for how in ("wav", "raw") for rate in (8_000, 16_000, 44_100, 48_000)),
]


def stream(kind: str) -> tuple[bytes, AudioFormat]:
    """Twenty seconds: a container of `RECIPES`, or WAV or declared samples at a rate."""
    if kind in RECIPES:
        return recording(kind), CONTAINER
    if kind.startswith("stereo"):
        two = np.stack([voice(20, 48_000, 1), voice(20, 48_000, 2)])
        return (encode(two, RECIPES["webm"]) if kind == "stereo webm" else wav(two.T, 48_000)), CONTAINER
    rate = int(kind.split()[1])
    if kind.startswith("wav"):
        return wav(voice(20, rate), rate), CONTAINER
    return raw(voice(20, rate), "pcm_s16le"), as_raw("pcm_s16le", rate)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_taken_up_again_sounds_the_same(kind: str) -> None:
    octets, format = stream(kind)
    chance = random.Random(kind)
    positions = sorted(chance.randrange(3 * SAMPLE_RATE, 18 * SAMPLE_RATE) for _ in range(6))
    original, points = asyncio.run(follow(cut(octets, [2_345] * 2000), format, positions))
    for position, point in zip(positions, points, strict=True):
        sizes = [chance.randrange(1, 6000) for _ in range(2000)]
        second = again(octets, point, sizes, format)[position - point.position :]
        expected = original[position:]
        assert abs(len(second) - len(expected)) <= 1
        length = min(len(second), len(expected))
        assert second.shape[1:] == expected.shape[1:]
        for channel, whole in zip(
            second[:length].T.reshape(-1, length), expected[:length].T.reshape(-1, length), strict=True
        ):
            assert lag_of(channel, whole) == 0
            assert likeness(channel, whole) > 0.99
        if kind not in RECIPES:
            np.testing.assert_allclose(second, expected, atol=1e-6)


@pytest.mark.parametrize("kind", STREAMS)
def test_a_restart_leads_in_shortly_before_its_position(kind: str) -> None:
    octets, format = stream(kind)
    positions = range(3 * SAMPLE_RATE, 18 * SAMPLE_RATE, SAMPLE_RATE)
    _, points = asyncio.run(follow([octets], format, positions))
    for position, point in zip(positions, points, strict=True):
        lead_in = position - point.position
        if kind.startswith("raw"):
            assert 0 <= lead_in < 200 * MS
        else:
            assert lead_in >= 500 * MS
            assert lead_in < (6_000 if kind == "finished webm" else 2_000) * MS  # it has a cluster every 5 s
    assert sorted(points, key=lambda point: point.offset) == points


@pytest.mark.parametrize("kind", ["webm", "ogg", "mp3", "wav 44100", "raw 44100"])
def test_a_stream_can_be_taken_up_again_and_again(kind: str) -> None:
    octets, format = stream(kind)
    original = decoded(octets, format=format)
    point, position = RestartPoint(), 0
    while position < 15 * SAMPLE_RATE:
        position += 5 * SAMPLE_RATE
        rest = [octets[slice(*point.header)], *cut(octets[point.offset :], [999] * 1000)]
        point = asyncio.run(_restart_point(rest, format, point, position))
        second = again(octets, point, [4000] * 1000, format)[position - point.position :]
        assert likeness(second[: 4 * SAMPLE_RATE], original[position:][: 4 * SAMPLE_RATE]) > 0.99


async def _restart_point(
    chunks: Sequence[bytes], format: AudioFormat, restart: RestartPoint, position: int
) -> RestartPoint:
    decoder = open_decoder(format, restart=restart)
    feeding = asyncio.create_task(feed(decoder, chunks))
    async for _ in decoder:
        pass
    await feeding
    await decoder.aclose()
    return decoder.restart_point(position)


def test_before_anything_was_heard_a_stream_restarts_at_its_beginning() -> None:
    _, points = asyncio.run(follow([recording("webm")], CONTAINER, [0, 100]))
    assert points == [RestartPoint(), RestartPoint()]


@pytest.mark.parametrize("kind", ["webm", "ogg", "fragmented mp4", "mp3", "wav 16000", "raw 16000"])
def test_nothing_behind_a_restart_is_no_failure(kind: str) -> None:
    octets, format = stream(kind)
    _, (point,) = asyncio.run(follow([octets], format, [19 * SAMPLE_RATE]))
    header = octets[slice(*point.header)]
    chunks = [header] if header else []
    result = heard(*chunks, format=format, restart=point)
    assert result.error is None
    assert not len(result.pcm)


# Lost bytes


@pytest.mark.parametrize("kind", ["webm", "ogg", "flac"])
@pytest.mark.parametrize("seed", range(8))
def test_a_lost_chunk_is_silence_and_times_stay(kind: str, seed: int) -> None:
    octets, original = recording(kind), decoded(recording(kind))
    chance = random.Random(seed)
    begin = chance.randrange(len(octets) // 4, len(octets) // 2)
    lost = chance.randrange(1_000, 20_000)
    pcm = decoded(*cut(octets[:begin] + octets[begin + lost :], [1_700] * 1000))
    assert abs(len(pcm) - len(original)) < 60 * MS
    tail = slice(15 * SAMPLE_RATE, 19 * SAMPLE_RATE)
    assert abs(lag_of(pcm[tail], original[tail])) <= 2 * MS


def test_lost_fragments_of_an_mp4_are_silence_and_times_stay() -> None:
    octets, original = recording("fragmented mp4"), decoded(recording("fragmented mp4"))
    begins = [p.offset for p in restart_scanner(Container.MP4).feed(octets)]
    pcm = decoded(octets[: begins[10]], octets[begins[14] :])
    assert len(pcm) == pytest.approx(len(original), abs=2)
    hole = pcm[round(5.3 * SAMPLE_RATE) : round(6.7 * SAMPLE_RATE)]
    assert not hole.any()
    tail = slice(10 * SAMPLE_RATE, 19 * SAMPLE_RATE)
    assert abs(lag_of(pcm[tail], original[tail])) <= 1


@pytest.mark.parametrize("kind", ["webm", "ogg"])
def test_a_restart_behind_a_hole_keeps_the_times(kind: str) -> None:
    whole = recording(kind)
    octets = whole[:40_000] + whole[52_000:]
    position = 15 * SAMPLE_RATE
    original, (point,) = asyncio.run(follow([octets], CONTAINER, [position]))
    second = again(octets, point, [3000] * 100)[position - point.position :]
    assert len(second) == len(original) - position
    assert likeness(second, original[position:]) > 0.99


# Several files in one stream


@pytest.mark.parametrize("kind", [*RECIPES, "wav"])
def test_files_sent_one_behind_the_other_are_joined_without_a_gap(kind: str) -> None:
    files = [wav(voice(3, 16_000, seed), 16_000) if kind == "wav" else recording(kind, 3.0, seed) for seed in (1, 2, 3)]
    if kind in ("mp3", "aac"):  # bare frames: nothing says that another file begins
        files[1:] = [b"ID3\x04\x00\x00\x00\x00\x00\x05hello" + file for file in files[1:]]
    joined = decoded(*[chunk for file in files for chunk in cut(file, [5_000] * 100)])
    np.testing.assert_array_equal(joined, np.concatenate([decoded(file) for file in files]))


def test_files_of_different_kinds_can_be_joined() -> None:
    files = [recording("webm", 3.0), wav(voice(2, 8_000), 8_000), recording("fragmented mp4", 3.0)]
    assert len(decoded(*files)) == sum(len(decoded(file)) for file in files)


def test_a_recorder_that_begins_again_within_a_chunk_goes_on() -> None:
    first, second = recording("webm", 3.0, 1), recording("webm", 3.0, 2)
    pcm = decoded(first + second)
    assert abs(len(pcm) - 6 * SAMPLE_RATE) < 60 * MS
    assert likeness(pcm[4 * SAMPLE_RATE : 5 * SAMPLE_RATE], decoded(second)[SAMPLE_RATE : 2 * SAMPLE_RATE]) < 0.99
    assert abs(lag_of(pcm[3 * SAMPLE_RATE :], decoded(second))) < 60 * MS


@pytest.mark.parametrize("kind", ["webm", "ogg", "fragmented mp4", "flac", "wav"])
def test_a_joined_stream_can_be_taken_up_again_in_every_file(kind: str) -> None:
    files = [wav(voice(6, 44_100, seed), 44_100) if kind == "wav" else recording(kind, 6.0, seed) for seed in (1, 2, 3)]
    octets = b"".join(files)
    positions = [2 * SAMPLE_RATE, 6 * SAMPLE_RATE + 100, 8 * SAMPLE_RATE, 14 * SAMPLE_RATE]
    original, points = asyncio.run(follow(files, CONTAINER, positions))
    for position, point in zip(positions, points, strict=True):
        header = octets[slice(*point.header)]
        chunks, at = [header] if header else [], 0
        for file in files:  # as they were sent
            if at + len(file) > point.offset:
                chunks.append(file[max(0, point.offset - at) :])
            at += len(file)
        second = heard(*chunks, restart=point)
        assert second.error is None
        pcm, expected = second.pcm[position - point.position :], original[position:]
        assert abs(len(pcm) - len(expected)) <= 1
        length = min(len(pcm), len(expected))
        assert lag_of(pcm[:length], expected[:length]) == 0
        assert likeness(pcm[:length], expected[:length]) > 0.99


def test_a_file_that_breaks_off_before_its_first_sound_does_not_spoil_the_others() -> None:
    webm = recording("webm", 3.0)
    assert len(decoded(webm, webm[:300])) == len(decoded(webm))
    assert len(decoded(webm, webm[:300], webm)) == 2 * len(decoded(webm))
