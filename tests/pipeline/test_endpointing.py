from hypothesis import given
from hypothesis import strategies as st

from pipeline.endpointing import QUIET, SPEAKING, STARTING, STOPPING, Change, Endpointing, Thresholds

THRESHOLDS = Thresholds(start=0.5, end=0.35, min_speech=3, silence=5)


def changes(probabilities: list[float]) -> list[Change]:
    automaton = Endpointing(THRESHOLDS)
    return [automaton.receive(p) for p in probabilities]


def test_a_cough_does_not_start_an_utterance() -> None:
    assert set(changes([0.9, 0.9, 0.1, 0.1])) == {Change.NONE}


def test_speech_begins_with_the_third_loud_window() -> None:
    assert changes([0.9, 0.9, 0.9]) == [Change.NONE, Change.NONE, Change.BEGAN]


def test_speech_ends_after_enough_silence_and_says_how_much() -> None:
    automaton = Endpointing(THRESHOLDS)
    told = [automaton.receive(p) for p in [0.9] * 4 + [0.1] * 5]
    assert told[4] is Change.PAUSED
    assert told[-1] is Change.ENDED
    assert automaton.state is QUIET
    assert automaton.lasted == 5


def test_a_pause_shorter_than_the_endpoint_is_taken_back() -> None:
    assert changes([0.9] * 3 + [0.1] * 4 + [0.9])[-1] is Change.RESUMED


def test_a_window_between_the_thresholds_changes_nothing() -> None:
    automaton = Endpointing(THRESHOLDS)
    for probability in [0.9] * 3 + [0.4] * 20:
        automaton.receive(probability)
    assert automaton.state is SPEAKING


def test_an_unsure_window_prolongs_a_start_and_a_stop() -> None:
    assert changes([0.9, 0.4, 0.9])[-1] is Change.BEGAN
    assert changes([0.9] * 3 + [0.1, 0.4, 0.4, 0.4, 0.1])[-1] is Change.ENDED


def test_one_loud_window_is_enough_where_that_is_asked_for() -> None:
    automaton = Endpointing(Thresholds(min_speech=1))
    assert automaton.receive(0.9) is Change.BEGAN


@given(st.lists(st.floats(0, 1), max_size=200))
def test_begin_and_end_alternate_for_any_probabilities(probabilities: list[float]) -> None:
    told = [c for c in changes(probabilities) if c in (Change.BEGAN, Change.ENDED)]
    assert told[::2] == [Change.BEGAN] * len(told[::2])
    assert told[1::2] == [Change.ENDED] * len(told[1::2])


@given(st.lists(st.floats(0, 1), max_size=100), st.lists(st.floats(0, 1), max_size=100))
def test_an_automaton_goes_on_where_another_stopped(before: list[float], after: list[float]) -> None:
    whole = Endpointing(THRESHOLDS)
    for probability in before:
        whole.receive(probability)
    resumed = Endpointing(THRESHOLDS, whole.state, whole.lasted)
    assert [resumed.receive(p) for p in after] == [whole.receive(p) for p in after]
    assert whole.state in (QUIET, STARTING, SPEAKING, STOPPING)
