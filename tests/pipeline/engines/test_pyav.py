"""Live decoding: every container in any chunking, and every kind of bad input."""

import asyncio
import struct
from io import BytesIO
from pathlib import Path

import anyio
import numpy as np
import pytest
from av.error import FFmpegError
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.containers import Container
from pipeline.engines.pyav import open_decoder
from pipeline.engines.pyav_demux import DEMUXERS, Demuxer, open_untrusted
from pipeline.errors import NoAudioTrack, UndecodableAudio, UnsupportedAudio
from pipeline.pcm import mixed
from pipeline.types import SAMPLE_RATE, AudioFormat
from tests.audio import RECIPES, Recipe, cut, encode, lag_of, likeness, raw, recording, video, voice, wav
from tests.listening import CONTAINER, as_raw, decoded, feed, heard

MS = SAMPLE_RATE // 1000
TELLS_DELAY = RECIPES.keys() - {"mp3", "aac", "fragmented mp4"}  # how much silence the encoder put in front
LIVE = ["webm", "ogg", "fragmented mp4", "fragmented mp4 with opus", "mp3", "aac", "flac"]


# Any chunking


@pytest.mark.parametrize("kind", RECIPES)
def test_a_recording_is_heard_as_it_was_spoken(kind: str) -> None:
    pcm, original = decoded(recording(kind)), voice(20, SAMPLE_RATE)
    assert abs(len(pcm) - len(original)) < 60 * MS
    lag = lag_of(pcm[:80_000], original[:80_000])
    assert lag == 0 if kind in TELLS_DELAY else 0 < lag < 60 * MS
    assert likeness(pcm[40_000 + lag :][:200_000], original[40_000:][:200_000]) > 0.98


@pytest.mark.parametrize("kind", RECIPES)
@settings(max_examples=5, deadline=None)
@given(small=st.lists(st.integers(1, 7), min_size=20, max_size=20), size=st.integers(8, 5000))
def test_containers_may_be_cut_anywhere(kind: str, small: list[int], size: int) -> None:
    octets = recording(kind, 2.0)
    whole = decoded(octets)
    np.testing.assert_array_equal(decoded(*cut(octets, small * len(octets))), whole)
    np.testing.assert_array_equal(decoded(*cut(octets, [size] * len(octets))), whole)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("declared", [True, False])
@settings(max_examples=4, deadline=None)
@given(sizes=st.lists(st.integers(1, 4000), min_size=5, max_size=20))
def test_raw_samples_may_be_cut_anywhere(rate: int, declared: bool, sizes: list[int]) -> None:
    pcm = voice(0.1, rate)
    octets, format = (raw(pcm, "pcm_s16le"), as_raw("pcm_s16le", rate)) if declared else (wav(pcm, rate), CONTAINER)
    pieces = decoded(*cut(octets, sizes * len(octets)), format=format)
    assert len(pieces) == SAMPLE_RATE // 10
    np.testing.assert_allclose(pieces, decoded(octets, format=format), atol=1e-6)


@pytest.mark.parametrize(
    ("encoding", "rate", "channels"),
    [("pcm_s16le", 8_000, 1), ("pcm_s16le", 44_100, 2), ("pcm_f32le", 48_000, 2), ("mulaw", 8_000, 1)],
)
def test_raw_audio_keeps_its_length_and_place(encoding: str, rate: int, channels: int) -> None:
    source = np.repeat(voice(20, rate)[:, None], channels, axis=1)
    heard_of_it = decoded(raw(source, encoding), format=as_raw(encoding, rate, channels))
    pcm, original = mixed(heard_of_it), voice(20, SAMPLE_RATE)
    assert len(pcm) == len(original)
    assert lag_of(pcm, original) == 0
    assert likeness(pcm, original) > 0.99


@pytest.mark.parametrize("encoding", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "alaw", "mulaw"])
def test_every_kind_of_wav_is_heard(encoding: str) -> None:
    pcm, original = decoded(wav(voice(3, 48_000), 48_000, encoding=encoding)), voice(3, SAMPLE_RATE)
    assert len(pcm) == len(original)
    assert likeness(pcm, original) > 0.99


def test_what_follows_the_samples_of_a_wav_is_not_heard() -> None:
    assert len(decoded(wav(voice(1, 16_000), 16_000) + b"LIST\x10\0\0\0" + bytes(4000))) == SAMPLE_RATE


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_live_wav_without_a_length_is_heard_to_its_end(length: int) -> None:
    assert len(decoded(wav(voice(1, 16_000), 16_000, length=length))) == SAMPLE_RATE


@pytest.mark.parametrize("kind", RECIPES)
def test_the_two_channels_of_a_container_stay_apart(kind: str) -> None:
    rate = RECIPES[kind].rate
    pcm = decoded(encode(np.stack([voice(4, rate, 1), voice(4, rate, 2) / 2]), RECIPES[kind]))
    assert pcm.shape[1:] == (2,)
    for channel, level in ((0, 1.0), (1, 0.5)):
        original = voice(4, SAMPLE_RATE, channel + 1) * level
        lag = lag_of(pcm[:48_000, channel], original[:48_000])
        heard_of_it, middle = pcm[16_000 + lag : 48_000 + lag, channel], original[16_000:48_000]
        assert likeness(heard_of_it, middle) > 0.95
        assert np.std(heard_of_it) == pytest.approx(np.std(middle), rel=0.1)


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("declared", [True, False])
def test_the_two_channels_of_raw_samples_stay_apart(rate: int, declared: bool) -> None:
    source = np.stack([voice(2, rate, 1), voice(2, rate, 2) / 2], axis=1)
    octets, format = (
        (raw(source, "pcm_f32le"), as_raw("pcm_f32le", rate, 2))
        if declared
        else (wav(source, rate, encoding="pcm_f32le"), CONTAINER)
    )
    pcm = decoded(*cut(octets, [4_321] * 1000), format=format)
    assert pcm.shape == (2 * SAMPLE_RATE, 2)
    alone = [decoded(wav(source[:, channel], rate, encoding="pcm_f32le")) for channel in (0, 1)]
    np.testing.assert_allclose(pcm, np.stack(alone, axis=1), atol=1e-6)


def test_more_channels_than_two_are_mixed_to_their_mean() -> None:
    source = np.stack([voice(2, 16_000), np.zeros(32_000, np.float32), voice(2, 16_000)], axis=1)
    np.testing.assert_allclose(decoded(wav(source, 16_000)), voice(2, 16_000) * 2 / 3, atol=1e-4)


def test_a_hole_in_two_channels_is_silence_in_both() -> None:
    octets = encode(np.stack([voice(20, 48_000, 1), voice(20, 48_000, 2)]), RECIPES["webm"])
    whole = decoded(octets)
    pcm = decoded(*cut(octets[:60_000] + octets[75_000:], [1_700] * 1000))
    assert pcm.shape[1:] == (2,)
    assert abs(len(pcm) - len(whole)) < 60 * MS
    for channel in (0, 1):
        assert abs(lag_of(pcm[-4 * SAMPLE_RATE :, channel], whole[-4 * SAMPLE_RATE :, channel])) <= 2 * MS


def test_files_of_one_channel_and_of_two_can_be_joined() -> None:
    stereo = encode(np.stack([voice(3, 48_000, 1), voice(3, 48_000, 2)]), RECIPES["webm"])
    files = [recording("webm", 3.0), stereo, wav(voice(2, 8_000), 8_000)]

    async def shapes() -> list[int]:
        decoder = open_decoder(CONTAINER)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed, decoder, files)
            lengths = [0, 0, 0]
            part = 0
            async for block in decoder:
                two = block.pcm.ndim == 2
                part += (part == 0 and two) or (part == 1 and not two)
                lengths[part] += len(block.pcm)
        await decoder.aclose()
        return lengths

    assert asyncio.run(shapes()) == [len(decoded(file)) for file in files]


def test_samples_that_are_no_numbers_are_counted_in_each_channel() -> None:
    source = np.stack([voice(1, 16_000), voice(1, 16_000)], axis=1)
    source[100] = np.nan
    source[200, 1] = np.inf
    for result in (
        heard(source.tobytes(), format=as_raw("pcm_f32le", 16_000, 2)),
        heard(encode(np.ascontiguousarray(source.T), Recipe(container="matroska", codec="pcm_f32le", rate=16_000))),
    ):
        assert result.nonfinite == 3
        assert not result.pcm[100].any()
        assert result.pcm[200].tolist() == [source[200, 0], 0]


def test_the_sound_of_a_video_is_heard() -> None:
    assert lag_of(decoded(video("webm", audio=True)), voice(2, SAMPLE_RATE)) == 0


def test_an_mp4_with_its_index_at_the_end_is_heard_at_the_end() -> None:
    octets = encode(voice(5, 44_100), Recipe(container="mp4", codec="aac", rate=44_100, live=False))
    assert octets.index(b"mdat") < octets.index(b"moov")
    assert lag_of(decoded(*cut(octets, [999] * 1000)), voice(5, SAMPLE_RATE)) == 0


# Input that is no good


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"x",
        b"just words, and no audio at all" * 40,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/hostname\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        np.random.default_rng(2).bytes(60_000),
    ],
)
def test_what_is_no_audio_is_unsupported(octets: bytes) -> None:
    result = heard(octets)
    assert isinstance(result.error, UnsupportedAudio)
    assert not len(result.pcm)


@pytest.mark.parametrize("format", [("mp4", "fragmented mp4"), ("webm", "webm")])
def test_a_film_without_sound_has_no_audio_track(format: tuple[str, str]) -> None:
    container, kind = format
    assert isinstance(heard(video(container, audio=False)).error, NoAudioTrack)
    with_more = heard(recording(kind, 2.0), video(container, audio=False))  # what was heard before it stays
    assert isinstance(with_more.error, NoAudioTrack)
    assert len(with_more.pcm) > 1.9 * SAMPLE_RATE


@pytest.mark.parametrize("kind", [*LIVE, "dash mp4"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_broken_off_recording_is_heard_as_far_as_it_goes(kind: str, share: float) -> None:
    octets = recording(kind, 5.0)
    pcm = decoded(octets[: round(len(octets) * share)])
    assert len(pcm) == pytest.approx(5 * SAMPLE_RATE * share, abs=0.7 * SAMPLE_RATE)


@pytest.mark.parametrize(
    "octets",
    [
        recording("webm", 2.0)[:30],
        recording("webm", 2.0)[:405],
        recording("ogg", 2.0)[:129],
        recording("fragmented mp4", 2.0)[:729],
        recording("fragmented mp4", 2.0)[:600],
        recording("fragmented mp4", 2.0)[:200],
        recording("flac", 2.0)[:300],
        wav(voice(1, 16_000), 16_000)[:44],
        wav(voice(1, 16_000), 16_000)[:20],
        b"\x1a\x45\xdf\xa3" + bytes(5000),
        b"OggS\0\x02" + bytes(5000),
        struct.pack(">I4s", 24, b"ftyp") + bytes(200_000),
    ],
)
def test_a_header_without_audio_is_undecodable(octets: bytes) -> None:
    result = heard(octets)
    assert isinstance(result.error, UndecodableAudio)
    assert not len(result.pcm)


@pytest.mark.parametrize("kind", ["webm", "fragmented mp4"])
def test_a_recording_whose_beginning_is_missing_says_what_to_do(kind: str) -> None:
    octets = recording(kind, 5.0)
    begin = octets.index(b"\x1f\x43\xb6\x75") if kind == "webm" else octets.index(b"moof") - 4
    result = heard(octets[begin:])
    assert isinstance(result.error, UndecodableAudio)
    assert "from the first byte" in str(result.error)


@pytest.mark.parametrize("seed", range(20))
def test_no_damage_does_more_than_end_the_stream(seed: int) -> None:
    rng = np.random.default_rng(seed)
    octets = bytearray(recording(LIVE[seed % len(LIVE)], 2.0))
    for at in rng.integers(0, len(octets) - 64, 6):
        octets[at : at + 64] = rng.bytes(64)
    result = heard(*cut(bytes(octets), [700] * 1000))
    assert np.isfinite(result.pcm).all()
    assert len(result.pcm) < 700 * SAMPLE_RATE


@pytest.mark.parametrize("kind", RECIPES)
def test_junk_is_counted_and_nothing_else_is(kind: str) -> None:
    octets, junk = recording(kind, 3.0), [np.random.default_rng(seed).bytes(1 << 20) for seed in range(12)]
    assert heard(*cut(octets, [3000] * 1000)).skipped == 0
    assert heard(octets, *junk).skipped > 2 << 20


def test_what_comes_behind_a_failure_is_counted_as_junk() -> None:
    assert heard(bytes(100), *[bytes(1 << 20)] * 4).skipped > 2 << 20


def test_a_lost_chunk_of_a_live_recording_is_noticed_where_its_container_tells() -> None:
    octets = recording("ogg", 5.0)
    assert 0 < heard(octets[:10_000], octets[13_000:]).skipped < 10_000


def test_samples_that_are_no_numbers_are_silent_and_counted() -> None:
    pcm = voice(1, 16_000).copy()
    pcm[[100, 200, 300]] = [np.nan, np.inf, -np.inf]
    octets = pcm.tobytes()
    for result in (
        heard(octets, format=as_raw("pcm_f32le", 16_000)),
        heard(wav(np.zeros(0, np.float32), 16_000, encoding="pcm_f32le", length=0) + octets),
    ):
        assert result.nonfinite == 3
        assert result.pcm[[100, 200, 300]].tolist() == [0, 0, 0]
        np.testing.assert_array_equal(result.pcm[301:], pcm[301:])


def test_floats_in_a_container_are_checked_too() -> None:
    pcm = voice(1, 16_000).copy()
    pcm[5000:5100] = np.nan
    octets = encode(pcm, Recipe(container="matroska", codec="pcm_f32le", rate=16_000))
    result = heard(octets)
    assert result.error is None
    assert result.nonfinite == 100
    np.testing.assert_array_equal(result.pcm[5100:], pcm[5100:])


@pytest.mark.parametrize(
    "format", [as_raw("opus", 48_000), as_raw("pcm_s16le", 0), as_raw("pcm_s16le", 16_000, channels=0)]
)
async def test_a_raw_format_that_does_not_exist_is_refused_at_once(format: AudioFormat) -> None:
    with pytest.raises(UnsupportedAudio):
        open_decoder(format)


# libav opens what it is told to, and nothing else


def test_playlists_are_never_opened_even_where_they_are_asked_for(tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(wav(voice(1, 16_000), 16_000))
    scripts = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\n{secret.as_uri()}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile {secret}\n",
        "wav": secret.read_bytes().decode("latin-1"),  # known to libav, but none of ours
    }
    for name, script in scripts.items():
        with pytest.raises(FFmpegError, match="Invalid argument"):  # the whitelist, not the content
            open_untrusted(BytesIO(script.encode("latin-1")), Demuxer(name=name))


def test_every_demuxer_of_ours_is_on_the_whitelist() -> None:
    for kind, container in {"webm": Container.WEBM, "fragmented mp4": Container.MP4, "mp3": Container.MP3}.items():
        with open_untrusted(BytesIO(recording(kind, 2.0)), DEMUXERS[container]) as opened:
            assert opened.streams.audio
