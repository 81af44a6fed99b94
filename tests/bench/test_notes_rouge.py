"""ROUGE by hand, on texts short enough to count."""

import pytest

from bench.notes_rouge import Rouge, mean, rouge


def test_words_and_pairs_that_both_texts_have_are_counted() -> None:
    scores = rouge("the toe is red", "the toe is not red today")
    assert scores.one == pytest.approx(2 * 4 / (4 + 6))
    assert scores.two == pytest.approx(2 * 2 / (3 + 5))


def test_words_are_not_stemmed_and_capitals_do_not_count() -> None:
    assert rouge("Coughing", "coughing").one == 1
    assert rouge("coughing", "coughs").one == 0


def test_lines_may_stand_in_another_order() -> None:
    assert rouge("red toe\nold shoe", "old shoe\nred toe").lsum == 1
    assert rouge("red toe old shoe", "old shoe red toe").lsum == pytest.approx(0.5)


def test_an_empty_note_is_like_nothing() -> None:
    assert rouge("red toe", "") == Rouge(one=0, two=0, lsum=0)


def test_each_note_weighs_the_same() -> None:
    assert mean([Rouge(one=1, two=0.5, lsum=1), Rouge(one=0, two=0, lsum=0)]) == Rouge(one=0.5, two=0.25, lsum=0.5)
    assert mean([]) is None
