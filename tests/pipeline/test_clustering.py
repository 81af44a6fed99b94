from itertools import count

import numpy as np

from pipeline.clustering import SPAN, STEP, Clustering, ClusterState, Scale, windows
from pipeline.types import Voiceprints
from tests.voices import DIFFERENT, SAME, Voices

SCALE = Scale(same=SAME, different=DIFFERENT)


def prints(vectors: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> Voiceprints:
    return Voiceprints(spans=tuple((at * STEP, at * STEP + SPAN) for at in range(len(vectors))), vectors=vectors)


def test_windows_reach_to_the_end_and_are_whole_where_speech_is_long_enough() -> None:
    assert windows(0, SPAN // 2) == [(0, SPAN // 2)]
    assert windows(100, 100 + SPAN) == [(100, 100 + SPAN)]
    spans = windows(0, 3 * SPAN + 77)
    assert spans[0] == (0, SPAN)
    assert spans[-1] == (2 * SPAN + 77, 3 * SPAN + 77)
    assert all(end - start == SPAN for start, end in spans)


def test_a_voice_becomes_a_speaker_when_enough_is_heard_of_it() -> None:
    voices, subject = Voices("a"), Clustering(SCALE, count(1))
    subject.learn(prints(voices.of("a", 1)))
    assert subject.speakers == []
    subject.learn(prints(voices.of("a", 4)))
    assert subject.speakers == [1]


def test_likelihoods_name_the_voice() -> None:
    voices, subject = Voices("a", "b"), Clustering(SCALE, count(1))
    for _ in range(5):
        subject.learn(prints(voices.of("a", 6)))
        subject.learn(prints(voices.of("b", 6)))
    assert subject.speakers == [1, 2]
    fit = subject.log_likelihoods(voices.of("b", 50))
    assert (fit.argmax(axis=1) == 1).mean() > 0.95


def test_one_more_than_expected_needs_more_to_be_heard() -> None:
    voices, subject = Voices("a", "b", "c"), Clustering(SCALE, count(1))
    for _ in range(4):
        subject.learn(prints(voices.of("a", 8)))
        subject.learn(prints(voices.of("b", 8)))
    subject.learn(prints(voices.of("c", 4)))
    assert subject.speakers == [1, 2]
    subject.learn(prints(voices.of("c", 8)))
    assert subject.speakers == [1, 2, 3]


def test_two_voices_that_were_taken_for_one_are_split() -> None:
    voices = Voices("a", "b", alike=0.6)
    subject = Clustering(Scale(same=SAME, different=0.1), count(1))  # too generous: both pass for one voice
    for _ in range(8):
        subject.learn(prints(voices.of("a", 8)))
        subject.learn(prints(voices.of("b", 8)))
    assert len(subject.speakers) == 2


def test_it_goes_on_from_its_state() -> None:
    voices, subject = Voices("a", "b"), Clustering(SCALE, count(1))
    for _ in range(4):
        subject.learn(prints(voices.of("a", 6)))
        subject.learn(prints(voices.of("b", 6)))
    again = Clustering(SCALE, count(10), subject.state())
    vectors = voices.of("a", 10)
    assert np.array_equal(again.log_likelihoods(vectors), subject.log_likelihoods(vectors))
    assert again.speakers == subject.speakers
    assert again.learn(prints(vectors)) == subject.learn(prints(vectors)) == []
    assert again.state() == subject.state()


def test_an_empty_state_is_a_fresh_start() -> None:
    assert Clustering(SCALE, count(1), ClusterState()).state() == ClusterState()


def test_there_are_never_more_than_six() -> None:
    names = "abcdefghij"
    voices, subject = Voices(*names, alike=0.05), Clustering(Scale(same=SAME, different=0.3, expected=6), count(1))
    for _ in range(4):
        for name in names:
            subject.learn(prints(voices.of(name, 10)))
    assert len(subject.speakers) <= 6
