import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.recordings import Recording
from pipeline.engines.silero import SileroModel, graph_path
from pipeline.errors import RecogniserUnavailable
from pipeline.types import SAMPLE_RATE, WINDOW, Role, to_samples

MODEL = SileroModel()
LENGTH = 40  # windows


@pytest.fixture(scope="session")
def doctor(recording: Recording) -> NDArray[np.float32]:
    """The doctor's channel as windows."""
    pcm, _ = recording.channels()
    return pcm[: len(pcm) // WINDOW * WINDOW].reshape(-1, WINDOW)


def noise(seed: int, windows: int = LENGTH) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(0, 0.1, (windows, WINDOW)).astype(np.float32)


def test_speech_is_told_from_silence(doctor: NDArray[np.float32], recording: Recording) -> None:
    speaking = np.zeros(len(doctor) * WINDOW, bool)
    for item in recording.items:
        if item.speaker is Role.DOCTOR:
            speaking[to_samples(item.start_ms) : to_samples(item.end_ms)] = True
    expected = speaking.reshape(-1, WINDOW).mean(axis=1)
    probabilities = MODEL.open().probabilities(doctor)
    assert np.mean(probabilities[expected == 1] > 0.5) > 0.95
    assert np.mean(probabilities[expected == 0] < 0.5) > 0.85  # it hears speech a little longer than it lasts


def test_one_call_over_many_windows_equals_many_calls(doctor: NDArray[np.float32]) -> None:
    whole, single = MODEL.open(), MODEL.open()
    at_once = whole.probabilities(doctor[:200])
    one_by_one = np.concatenate([single.probabilities(doctor[at : at + 1]) for at in range(200)])
    assert np.array_equal(at_once, one_by_one)
    assert whole.state() == single.state()


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(0, LENGTH), max_size=6))
def test_going_on_from_a_state_changes_nothing(seed: int, cuts: list[int]) -> None:
    windows = noise(seed)
    undisturbed = MODEL.open()
    expected = undisturbed.probabilities(windows)
    state, heard = b"", []
    for block in np.split(windows, sorted(cuts)):
        voice = MODEL.open(state)
        heard.append(voice.probabilities(block))
        state = voice.state()
    assert np.array_equal(np.concatenate(heard), expected)
    assert state == undisturbed.state()


def test_a_state_does_not_change_while_its_detector_goes_on() -> None:
    voice = MODEL.open()
    voice.probabilities(noise(1))
    state = voice.state()
    first = voice.probabilities(noise(2))
    assert np.array_equal(MODEL.open(state).probabilities(noise(2)), first)


def test_no_windows_give_no_probabilities() -> None:
    voice = MODEL.open()
    assert len(voice.probabilities(np.zeros((0, WINDOW), np.float32))) == 0


def test_minutes_of_silence_are_no_speech() -> None:
    minute = np.zeros((SAMPLE_RATE * 60 // WINDOW, WINDOW), np.float32)
    voice = MODEL.open()
    assert max(voice.probabilities(minute).max() for _ in range(5)) < 0.5


@pytest.mark.parametrize("minutes", [1, 5])
def test_speech_behind_a_long_silence_is_noticed_as_early_as_at_the_start(
    doctor: NDArray[np.float32], minutes: int
) -> None:
    first, late = MODEL.open(), MODEL.open()
    expected = np.flatnonzero(first.probabilities(doctor[:200]) > 0.5)[0]
    late.probabilities(np.zeros((minutes * 60 * SAMPLE_RATE // WINDOW, WINDOW), np.float32))
    assert abs(int(np.flatnonzero(late.probabilities(doctor[:200]) > 0.5)[0]) - int(expected)) <= 2


def test_it_starts_afresh_at_the_same_window_however_silence_is_cut() -> None:
    at_once, in_pieces = MODEL.open(), MODEL.open()
    quiet = np.zeros((700, WINDOW), np.float32)
    at_once.probabilities(quiet)
    for at in range(0, 700, 37):
        in_pieces.probabilities(quiet[at : at + 37])
    assert at_once.state() == in_pieces.state()


def test_a_state_of_another_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="no state of a silero detector"):
        MODEL.open(bytes(100))


def test_where_the_model_is_missing_the_error_says_how_to_get_it() -> None:
    with pytest.raises(RecogniserUnavailable, match="pip install 'faster-whisper"):
        graph_path("msgspec")  # a package, but without the file
    with pytest.raises(RecogniserUnavailable, match="pip install 'faster-whisper"):
        graph_path("no_such_package")
