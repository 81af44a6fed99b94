"""Raw audio: every encoding there and back, cut anywhere, and windows that lose nothing."""

from typing import cast

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UnsupportedAudio
from pipeline.pcm import ENCODINGS, PcmReader, Windower, encoding_of, finite, mixed
from pipeline.types import WINDOW
from tests.audio import cut, raw, voice

VOICE = voice(0.5, 16_000)
PRECISION = {  # full scale divided by the steps between neighbouring values, times half a step
    "pcm_u8": 1 / 256,
    "pcm_s16le": 1 / 65536,
    "pcm_s24le": 2**-24,
    "pcm_s32le": 2**-24,
    "pcm_f32le": 0,
    "pcm_f64le": 0,
    "mulaw": 1 / 64,
    "alaw": 1 / 64,
}
SIZES = st.lists(st.integers(1, 40), max_size=200)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_encoded_is_decoded(encoding: str) -> None:
    decoded = PcmReader(encoding).receive(raw(VOICE, encoding))
    np.testing.assert_allclose(decoded, VOICE, atol=PRECISION[encoding] * 1.001)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_full_scale_is_clipped_not_wrapped(encoding: str) -> None:
    loud = np.array([2, 1, -1, -2], np.float32)
    decoded = PcmReader(encoding).receive(raw(loud, encoding))
    np.testing.assert_allclose(decoded, [1, 1, -1, -1], atol=0.03)


@pytest.mark.parametrize(("encoding", "codec"), [("mulaw", "pcm_mulaw"), ("alaw", "pcm_alaw")])
def test_g711_agrees_with_libav_on_every_code_word(encoding: str, codec: str) -> None:
    words = bytes(range(256))
    decoder = cast(av.AudioCodecContext, av.CodecContext.create(codec, "r"))
    decoder.sample_rate, decoder.layout = 8_000, "mono"
    (frame,) = decoder.decode(av.Packet(words))
    np.testing.assert_array_equal(PcmReader(encoding).receive(words) * 32768, frame.to_ndarray().reshape(-1))


@pytest.mark.parametrize("encoding", ENCODINGS)
@settings(deadline=None)
@given(sizes=SIZES, channels=st.integers(1, 3))
def test_bytes_may_be_cut_anywhere(encoding: str, sizes: list[int], channels: int) -> None:
    octets = raw(VOICE[: 300 * channels], encoding)
    reader = PcmReader(encoding, channels)
    pieces = [reader.receive(chunk) for chunk in cut(octets, sizes)]
    np.testing.assert_array_equal(np.concatenate(pieces), PcmReader(encoding, channels).receive(octets))


def test_two_channels_stay_two() -> None:
    stereo = np.stack([VOICE, -VOICE / 2], axis=1)
    np.testing.assert_array_equal(PcmReader("pcm_f32le", 2).receive(raw(stereo, "pcm_f32le")), stereo)


def test_more_channels_are_mixed_to_their_mean() -> None:
    three = np.stack([VOICE, np.zeros_like(VOICE), VOICE], axis=1)
    heard = PcmReader("pcm_f32le", 3).receive(raw(three, "pcm_f32le"))
    np.testing.assert_allclose(heard, VOICE * 2 / 3, atol=1e-7)


def test_a_mean_of_one_channel_is_itself() -> None:
    np.testing.assert_array_equal(mixed(VOICE), VOICE)
    np.testing.assert_allclose(mixed(np.stack([VOICE, VOICE / 2], axis=1)), VOICE * 0.75, atol=1e-7)


@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_samples_that_are_no_numbers_become_silence_and_are_counted(dtype: str) -> None:
    reader = PcmReader({"<f4": "pcm_f32le", "<f8": "pcm_f64le"}[dtype])
    octets = np.array([0.5, np.nan, -0.25, np.inf, -np.inf, 3.0], dtype).tobytes()
    np.testing.assert_array_equal(reader.receive(octets), np.array([0.5, 0, -0.25, 0, 0, 1], np.float32))
    assert reader.nonfinite == 3


def test_a_double_beyond_single_precision_is_no_number() -> None:
    reader = PcmReader("pcm_f64le")
    assert reader.receive(np.array([1e300], "<f8").tobytes()).tolist() == [0]
    assert reader.nonfinite == 1


def test_finite_audio_is_left_as_it_is() -> None:
    pcm, wrong = finite(VOICE)
    np.testing.assert_array_equal(pcm, VOICE)
    assert wrong == 0


def test_an_unknown_encoding_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnsupportedAudio, match="pcm_s16le"):
        encoding_of("mp3")


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 1500), max_size=20))
def test_windows_hold_every_sample_once(sizes: list[int]) -> None:
    windower = Windower()
    samples = np.arange(sum(sizes), dtype=np.float32)
    blocks = np.split(samples, np.cumsum(sizes)[:-1]) if sizes else []
    windows = [windower.receive(block) for block in blocks]
    assert all(w.shape[1] == WINDOW for w in windows)
    whole = np.concatenate([*windows, np.zeros((0, WINDOW), np.float32)]).reshape(-1)
    assert len(whole) == len(samples) // WINDOW * WINDOW
    rest = windower.flush()
    assert len(rest) == (len(samples) % WINDOW > 0)
    np.testing.assert_array_equal(np.concatenate([whole, rest.reshape(-1)])[: len(samples)], samples)
    assert not rest.reshape(-1)[len(samples) - len(whole) :].any()
    assert not len(windower.flush())
