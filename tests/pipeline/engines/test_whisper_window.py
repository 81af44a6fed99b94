from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engines.whisper_window import BUCKETS, FULL, LONGEST, PAD, EncoderWindow, padded, pieces
from pipeline.types import SAMPLE_RATE, Pcm

WINDOWS = st.sampled_from(["full", "dynamic", "1", "10", "30"]).map(EncoderWindow.parse)


def noise(seconds: float) -> Pcm:
    return np.random.default_rng(1).normal(0, 0.1, int(seconds * SAMPLE_RATE)).astype(np.float32)


# How much is encoded


def test_a_stock_model_computes_30_seconds_whatever_there_is() -> None:
    window = EncoderWindow.parse("full")
    assert {window.frames(audio) for audio in (10, 500, FULL)} == {FULL}
    assert window.samples == 30 * SAMPLE_RATE


def test_a_dynamic_window_is_a_little_longer_than_the_audio() -> None:
    window = EncoderWindow.parse("dynamic")
    assert [window.frames(audio) for audio in (50, 250, 500, 900)] == [100, 300, 600, 1000]
    assert window.samples == 0


def test_a_window_in_seconds_is_a_least() -> None:
    window = EncoderWindow.parse("10")
    assert [window.frames(audio) for audio in (50, 900, 1100)] == [1000, 1000, 1200]
    assert window.samples == 10 * SAMPLE_RATE


@pytest.mark.parametrize("text", ["", "half", "0", "-1", "31", "nan"])
def test_there_is_no_other_window(text: str) -> None:
    with pytest.raises(ValueError, match="choose full, dynamic, or seconds up to 30"):
        EncoderWindow.parse(text)


@given(window=WINDOWS, audio=st.integers(1, FULL))
def test_all_audio_is_encoded_in_one_of_few_lengths(window: EncoderWindow, audio: int) -> None:
    frames = window.frames(audio)
    assert min(audio + PAD, FULL) <= frames
    assert frames in BUCKETS


def test_no_bucket_is_more_than_twice_as_long_as_the_one_before() -> None:
    assert all(later <= 2 * earlier for earlier, later in pairwise(BUCKETS))


def test_features_are_padded_with_zeros_behind_them() -> None:
    features = np.ones((80, 250), np.float32)
    longer = padded(features, 300)
    assert longer.shape == (80, 300)
    assert (longer[:, :250] == 1).all()
    assert not longer[:, 250:].any()


# Where long audio is cut


def test_audio_that_fits_is_not_cut() -> None:
    assert pieces(noise(30)) == [range(30 * SAMPLE_RATE)]


def test_longer_audio_is_cut_in_its_pause() -> None:
    pcm = noise(40)
    pause = range(27 * SAMPLE_RATE, 27 * SAMPLE_RATE + SAMPLE_RATE // 4)
    pcm[pause.start : pause.stop] = 0
    first, second = pieces(pcm)
    assert first.stop == second.start
    assert first.stop in pause


@given(seconds=st.floats(0.1, 200))
def test_the_pieces_are_all_of_the_audio_and_each_fits(seconds: float) -> None:
    pcm = noise(seconds)
    cut = pieces(pcm)
    assert (cut[0].start, cut[-1].stop) == (0, len(pcm))
    assert all(before.stop == after.start for before, after in pairwise(cut))
    assert all(0 < len(span) <= LONGEST for span in cut)
