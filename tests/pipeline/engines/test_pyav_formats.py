"""The shared recordings: each behaves as its manifest says, as far as decoding goes. Skipped where they are absent."""

import asyncio
import json
from pathlib import Path

import anyio
import pytest

from pipeline.containers import sniff
from pipeline.engines.pyav import open_decoder
from pipeline.errors import InvalidAudio, NoAudioTrack
from pipeline.types import SAMPLE_RATE
from tests.audio import cut, lag_of, likeness
from tests.listening import CONTAINER, again, follow, heard

ENTRIES = [
    *("consult.wav", "consult.flac", "consult.mp3", "consult.ogg", "consult.opus", "consult.m4a", "consult.mp4"),
    *("consult.webm", "consult.mediarecorder.webm", "consult.stereo.webm", "clip_3s.wav", "clip_200ms.wav"),
    *("rate_96k_float.wav", "surround_5_1.flac", "opposite_phase_stereo.wav", "noise_30s.wav"),
    *("wrong_ext_ogg_named.mp3", "no_extension", "video_track.webm", "video_only.mp4", "truncated.webm"),
    *("header_only.wav", "nan_inf_float.wav", "damaged_middle.mp3", "empty.wav", "text.mp3", "random.webm"),
    *("concat_script.wav", pytest.param("silence_2h.flac", marks=pytest.mark.slow)),
]


@pytest.fixture(scope="module")
def formats(test_data: Path) -> Path:
    return test_data / "audio" / "formats"


@pytest.fixture(scope="module")
def manifest(formats: Path) -> dict[str, dict[str, object]]:
    lines = (formats / "manifest.jsonl").read_text().splitlines()
    return {entry["file"]: entry for entry in map(json.loads, lines)}


@pytest.mark.parametrize("name", ENTRIES)
def test_every_file_is_decoded_as_far_as_its_manifest_says(
    formats: Path, manifest: dict[str, dict[str, object]], name: str
) -> None:
    octets, entry = (formats / name).read_bytes(), manifest[name]
    result = heard(*cut(octets, [20_000] * 1000))
    if entry["outcome"] == "reject":
        assert isinstance(result.error, InvalidAudio)
        assert not len(result.pcm)
        assert sniff(octets) is None or isinstance(result.error, NoAudioTrack) or len(octets) < 100
    else:
        assert result.error is None
        seconds = entry["ffmpeg_seconds"]
        assert isinstance(seconds, float)
        assert len(result.pcm) / SAMPLE_RATE == pytest.approx(seconds, abs=0.15)


def test_samples_that_are_no_numbers_are_counted(formats: Path) -> None:
    assert heard((formats / "nan_inf_float.wav").read_bytes()).nonfinite > 0


@pytest.mark.parametrize("name", ["consult.webm", "consult.ogg", "consult.opus", "consult.mp3", "consult.flac"])
def test_a_recording_taken_up_again_sounds_the_same(formats: Path, name: str) -> None:
    octets = (formats / name).read_bytes()
    positions = [seconds * SAMPLE_RATE for seconds in (17, 58, 101, 199)]
    original, points = asyncio.run(follow(cut(octets, [20_000] * 1000), CONTAINER, positions))
    for position, point in zip(positions, points, strict=True):
        second = again(octets, point, [7_777] * 1000)[position - point.position :]
        length = 20 * SAMPLE_RATE
        assert lag_of(second[:length], original[position:][:length]) == 0
        assert likeness(second[:length], original[position:][:length]) > 0.99
        assert abs(len(second) - (len(original) - position)) <= 1


async def test_a_media_recorder_is_heard_while_it_records(formats: Path) -> None:
    octets = (formats / "consult.mediarecorder.webm").read_bytes()
    chunks = json.loads((formats / "consult.mediarecorder.chunks.json").read_text())["chunks"]
    decoder = open_decoder(CONTAINER)
    heard_until = 0
    with anyio.fail_after(60):
        for number, (offset, size) in enumerate(chunks[:60]):
            await decoder.feed(octets[offset : offset + size])
            while heard_until < (number - 0.1) * SAMPLE_RATE:  # without another byte; the first chunk is almost empty
                block = await anext(aiter(decoder))
                heard_until = block.start + len(block.pcm)
    await decoder.aclose()
