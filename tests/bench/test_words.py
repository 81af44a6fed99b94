"""Forms of texts, and edits between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.words import WordErrors, Words, compare, medical_form, normalise, whisper_form

medical = medical_form("en")
whisper = whisper_form("en")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good morning. What brings you in today?", "good morning what brings you in today"),
        ("I don't - I can’t", "i dont i cant"),
        ("a follow-up, twice", "a follow up twice"),
        ("38.5 degrees, 1,000 mg. 20", "38.5 degrees 1,000 mg 20"),
        ("It was 38. Then 39.", "it was 38 then 39"),
        ("Müller's  Größe\n", "müllers größe"),
        ("…", ""),
    ],
)
def test_case_and_punctuation_do_not_count_and_numbers_stay(text: str, words: str) -> None:
    assert normalise(text) == words


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Oh, okay.", "oh ok"),
        ("Yeah. Yep, my mum's alright.", "yes yes my moms all right"),
        ("eighty milligrams of aspirin", "80 mg of aspirin"),
        ("80mg of aspirin", "80 mg of aspirin"),
        ("one twenty over eighty", "120/80"),
        ("one hundred and five", "105"),
        ("twenty-five percent", "25 %"),
        ("five per cent", "5%"),
        ("1,000 micrograms", "1000 mcg"),
        ("for one week", "for 1 week"),
        ("seven out of ten", "7 out of 10"),
        ("Um, it's, uh, hmm, an X-ray.", "It is an xray"),
        ("an m. r. i. and an x. ray", "an MRI and an x-ray"),
        ("I can't; I cannot.", "i can not i can not"),
        ("Don't worry, we'll see.", "do not worry we will see"),
        ("diarrhoea and oedema, anaemia", "diarrhea and edema, anemia"),
        ("Mm-hmm.", "Uh-huh."),
        ("I'm gonna check 'cause I wanna know", "I am going to check because I want to know"),
    ],
)
def test_what_differs_in_spelling_alone_is_the_same_in_medicine(one: str, other: str) -> None:
    assert medical(one) == medical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fifteen milligrams", "fifty milligrams"),
        ("5 milligrams", "5 micrograms"),
        ("penicillin", "penicillen"),
        ("acetaminophen", "paracetamol"),  # two names, one substance: what was said counts
        ("no pain", "pain"),
        ("I do have pain", "I don't have pain"),
        ("mm-hmm", "uh-uh"),
        ("mm-hmm", ""),
        ("vitamin K", "vitamin okay"),
        ("a 5 mm nodule", "a 5 nodule"),
        ("positive two weeks ago", "two weeks ago"),
        ("5%", "5"),
        ("ER positive", "positive"),
    ],
)
def test_what_matters_in_medicine_stays_different(one: str, other: str) -> None:
    assert medical(one) != medical(other)


def test_numbers_are_not_merged_where_they_can_be_read_in_two_ways() -> None:
    assert medical("two three days") == "two three days"
    assert medical("oh no") == "oh no"
    assert medical("at nine o'clock") == "at 9 oclock"


def test_whispers_own_form_does_what_is_said_of_it() -> None:
    """The reasons for a second form, held against the library."""
    assert whisper("Oh, yeah, okay") == "0 yeah okay"
    assert whisper("two three days") == "23 days"
    assert whisper("positive two weeks ago") == "+2 weeks ago"
    assert whisper("at nine o'clock") == "at 90 clock"
    assert whisper("I lost twenty pounds") == "i lost £20"
    assert whisper("mm-hmm, a 5 mm nodule") == "a 5 nodule"


def test_other_languages_keep_their_words() -> None:
    assert medical_form("de")("Er nimmt 80 mg. Okay, Mum!") == "er nimmt 80 mg okay mum"
    assert whisper_form("de")("Er nimmt 80 mg.") == "er nimmt 80 mg"


@given(st.text(alphabet=st.sampled_from("abmhu01259 .,-/%'’\nÉß"), max_size=60))
def test_every_text_has_a_medical_form_of_plain_words(text: str) -> None:
    form = medical(text)
    assert form == form.lower()
    assert "  " not in form
    assert form.strip() == form
    assert not set(form) & set(",-/%'’\n")


def test_edits_are_counted_by_their_kind() -> None:
    errors = compare("i have a cough", "i had a bad")  # two words are others
    assert errors == WordErrors(words=4, substitutions=2, deletions=0, insertions=0)
    # "b" is missing, "e" is too many: two edits, where comparing by place would count three
    assert compare("a b c d", "a c d e") == WordErrors(words=4, substitutions=0, deletions=1, insertions=1)
    assert Words.of(errors).rate == 0.5


def test_nothing_said_has_no_rate() -> None:
    errors = compare("", "two words")
    assert errors == WordErrors(words=0, substitutions=0, deletions=0, insertions=2)
    assert errors.rate is None
    assert (errors + compare("a b", "a b")).rate == 1.0
