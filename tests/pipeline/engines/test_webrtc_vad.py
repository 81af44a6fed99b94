import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.recordings import Recording
from pipeline.engines.webrtc_vad import FRAME, SAMPLE_BYTES, WebRtcModel
from pipeline.types import WINDOW

MODEL = WebRtcModel()


def windows_of(recording: Recording) -> NDArray[np.float32]:
    doctor, _ = recording.channels()
    return doctor[: len(doctor) // WINDOW * WINDOW].reshape(-1, WINDOW)


def test_speech_is_louder_than_silence_to_it(recording: Recording) -> None:
    windows = windows_of(recording)
    probabilities = MODEL.open().probabilities(windows)
    power = np.square(windows).mean(axis=1)
    assert probabilities[power > 1e-3].mean() > 0.9
    assert probabilities[power == 0].mean() < 0.3  # it holds on for a while after speech


def test_silence_is_no_speech() -> None:
    assert not MODEL.open().probabilities(np.zeros((100, WINDOW), np.float32)).any()


def test_a_probability_is_the_share_of_three_or_four_frames(recording: Recording) -> None:
    probabilities = MODEL.open().probabilities(windows_of(recording))
    assert {round(float(p) * 12) for p in probabilities} <= {0, 3, 4, 6, 8, 9, 12}


@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_how_windows_are_grouped_changes_nothing(cuts: list[int]) -> None:
    windows = np.random.default_rng(3).normal(0, 0.2, (60, WINDOW)).astype(np.float32)
    windows[20:40] = 0
    expected = MODEL.open().probabilities(windows)
    voice = MODEL.open()
    heard = [voice.probabilities(block) for block in np.split(windows, sorted(cuts))]
    assert np.array_equal(np.concatenate(heard), expected)


@given(count=st.integers(0, 20))
def test_a_state_carries_what_is_short_of_a_frame(count: int) -> None:
    voice = MODEL.open()
    voice.probabilities(np.zeros((count, WINDOW), np.float32))
    assert len(voice.state()) == count * WINDOW % FRAME * SAMPLE_BYTES
    resumed = MODEL.open(voice.state())
    resumed.probabilities(np.zeros((1, WINDOW), np.float32))
    voice.probabilities(np.zeros((1, WINDOW), np.float32))
    assert resumed.state() == voice.state()


def test_samples_beyond_full_scale_are_clipped() -> None:
    MODEL.open().probabilities(np.full((3, WINDOW), 1.7, np.float32))
