from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.hallucination import believed, is_phantom, without_loops
from pipeline.types import Guard
from tests.fakes import hypothesis, words


def texts(phrase: str) -> str:
    return " ".join(word.text for word in without_loops(words(phrase)))


def test_a_loop_is_said_once() -> None:
    assert texts("thank you thank you thank you thank you thank you bye") == "thank you bye"


def test_a_word_that_a_person_repeats_stays() -> None:
    assert texts("no no no i do not") == "no no no i do not"


def test_words_that_the_recogniser_itself_takes_for_silence_are_dropped() -> None:
    doubtful = replace(hypothesis("thanks for watching"), no_speech_prob=0.9, avg_logprob=-1.5)
    assert believed(doubtful) == ((), Guard.SILENCE)


def test_confident_words_stay_although_speech_is_improbable() -> None:
    sure = replace(hypothesis("yes"), no_speech_prob=0.9, avg_logprob=-0.2)
    assert believed(sure) == (sure.words, None)


def test_a_guard_that_cuts_a_loop_says_so() -> None:
    kept, guard = believed(hypothesis("no " * 8))
    assert [w.text for w in kept] == ["no"]
    assert guard is Guard.LOOP


@pytest.mark.parametrize(
    "phrase", ["Thank you.", "Thanks for watching!", "Bye-bye.", "Subtitles by the Amara.org community"]
)
def test_what_is_written_about_noise_is_a_phantom_only_where_speech_is_doubtful(phrase: str) -> None:
    assert is_phantom(words(phrase), 0.55)
    assert not is_phantom(words(phrase), 0.95)


def test_a_symptom_is_no_phantom_however_faint_the_voice() -> None:
    assert not is_phantom(words("Thank you, it hurts here."), 0.4)


def test_a_number_is_neither_a_phantom_nor_a_loop() -> None:
    assert not is_phantom(words("the 10"), 0.4)
    assert texts("call 5 5 5 5 1 2") == "call 5 5 5 5 1 2"


def test_nothing_is_no_phantom() -> None:
    assert not is_phantom((), 0.0)


@given(st.lists(st.sampled_from("abc"), max_size=30))
def test_what_is_kept_is_a_part_of_what_was_there_in_the_same_order(said: list[str]) -> None:
    kept = iter(words(" ".join(said)))
    assert all(any(word == candidate for candidate in kept) for word in without_loops(words(" ".join(said))))
