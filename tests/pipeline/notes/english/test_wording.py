"""Cleaning, stems and what must survive a rewriting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notes.english.vocabulary import word_list
from pipeline.notes.english.wording import clean, content_words, is_negation, join, negations, numbers, stem, words


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Um, so I, uh, I had a, a cough.", "so I had a cough."),
        ("it started, you know, three days ago", "it started, 3 days ago"),
        ("do you know what it is", "do you know what it is"),
        ("w- we saw Dr. Smith", "we saw Dr Smith"),
        ("the m. r. i. of my x ray", "the MRI of my x-ray"),
        ("i dont have any pain and i cant sleep", "i don't have any pain and i can't sleep"),
        ("I’m okay", "I'm okay"),
        ("mm-hmm", "mm-hmm"),
        ("mm-hmm and then it hurt", "and then it hurt"),
        ("the biopsy was ER positive on the right", "the biopsy was ER positive on the right"),
        ("very very bad", "very very bad"),
        ("five five", "five five"),
        ("fever , um , chills", "fever, chills"),
    ],
)
def test_cleaning_removes_noise_and_no_meaning(said: str, kept: str) -> None:
    assert join(clean(said)) == kept


SPOKEN = st.lists(st.sampled_from(word_list("I have no pain not five mg left one , . uh never the a ?")), max_size=30)


@given(SPOKEN)
def test_cleaning_what_is_clean_changes_nothing(said: list[str]) -> None:
    once = clean(" ".join(said))
    assert clean(join(once)) == once


@given(SPOKEN)
def test_cleaning_takes_no_denial_away_and_adds_none(said: list[str]) -> None:
    once = words(clean(" ".join(said)))
    assert set(filter(is_negation, once)) == set(filter(is_negation, words(said)))


@given(st.text(max_size=300))
def test_any_text_can_be_cleaned(said: str) -> None:
    assert all(token.strip() for token in clean(said))


@pytest.mark.parametrize(
    ("one", "other"),
    [("coughing", "coughs"), ("takes", "taking"), ("allergic", "allergies"), ("stopped", "stop"), ("smoked", "smoke")],
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_negations_are_counted_in_all_their_forms() -> None:
    assert negations(["i", "don't", "have", "no", "pain", "without", "nausea", "never", "denies"]) == 5


def test_numbers_are_found_in_digits_and_in_words() -> None:
    assert set(numbers(["120/80", "two", "98.6", "96%"])) == {"120/80", "two", "98.6", "96"}


def test_content_words_leave_out_what_a_note_adds() -> None:
    assert content_words(["the", "patient", "reports", "a", "bad", "cough"]) == {"bad", "cough"}
