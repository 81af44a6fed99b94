"""What a sentence may rest on."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notes.english.vocabulary import word_list
from pipeline.notes.english.wording import clean, content_words, words
from pipeline.notes.evidence.grounding import cite, grounded, support
from tests.pipeline.notes.talk import talk

VOCABULARY = word_list(
    "cough fever headache nausea left right knee 5 weeks aspirin rash asthma smoke worse stairs night"
)


def content(text: str) -> frozenset[str]:
    return content_words(words(clean(text)))


def test_the_fewest_items_that_hold_the_words_are_cited() -> None:
    items = talk("P: I have a cough.", "P: I have a fever.", "P: A cough and a fever, for two weeks.")
    assert cite("Reports a cough and a fever.", items) == ("2",)


def test_items_are_cited_in_spoken_order() -> None:
    items = talk("P: It is worse at night.", "D: Anything else?", "P: I have a cough.")
    assert cite("Reports a cough, worse at night.", items) == ("0", "2")


def test_the_earliest_of_equal_items_is_cited() -> None:
    assert cite("Reports a cough.", talk("P: I have a cough.", "P: The cough.")) == ("0",)


def test_the_reply_is_cited_although_it_holds_no_word() -> None:
    items = talk("D: Do you have any chest pain?", "P: No.")
    assert cite("Denies chest pain.", items, always=("1",)) == ("0", "1")


@given(st.lists(st.lists(st.sampled_from(VOCABULARY), max_size=4), max_size=6))
def test_no_fewer_items_would_do(held: list[list[str]]) -> None:
    items = talk(*(f"P: {' '.join(words_held)}." for words_held in held))
    sentence = " ".join(VOCABULARY)
    cited = cite(sentence, items)
    all_held = content(" ".join(item.text for item in items)) & content(sentence)
    enough = [
        count
        for count in range(5)
        for chosen in combinations(items, count)
        if all_held <= content(" ".join(item.text for item in chosen))
    ]
    if enough:
        assert len(cited) == enough[0]


def test_never_more_than_four_items_are_cited() -> None:
    items = talk(*(f"P: {word}" for word in VOCABULARY))
    assert len(cite(f"Reports {' '.join(VOCABULARY)}.", items)) == 4


def test_items_that_hold_nothing_are_not_cited() -> None:
    assert cite("Reports a cough.", talk("P: Hello.", "D: Good morning.")) == ()


@given(
    st.lists(st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=5), min_size=1, max_size=8),
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=6),
)
def test_cited_items_hold_as_much_as_four_items_can(spoken: list[list[str]], sentence: list[str]) -> None:
    items = talk(*(f"P: {' '.join(line)}" for line in spoken))
    text = " ".join(sentence)
    cited = cite(text, items)
    assert len(cited) <= 4
    assert list(cited) == sorted(cited, key=int)
    available = content(text) & content(" ".join(item.text for item in items))
    held = content(text) & content(" ".join(item.text for item in items if item.id in cited))
    assert held == available or len(cited) == 4
    for one in cited:
        others = content(" ".join(item.text for item in items if item.id in cited and item.id != one))
        assert not held <= others


def test_two_thousand_items_are_searched_quickly_and_fully() -> None:
    items = talk(*(f"P: {VOCABULARY[index % 16]} and {VOCABULARY[(index * 7) % 16]}" for index in range(2000)))
    cited = cite("Fever with nausea, a rash and asthma.", items)
    assert support("Fever with nausea, a rash and asthma.", [item for item in items if item.id in cited]) == 1.0


def test_support_is_the_share_of_words_that_were_said() -> None:
    items = talk("P: I have a cough.")
    assert support("Reports a cough.", items) == 1.0
    assert support("Reports a cough and fever.", items) == 0.5
    assert support("Reports nausea.", items) == 0.0


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Reports a cough for 3 weeks.", "I have had a cough for two weeks."),
        ("Reports pain in the left knee.", "I have pain in my right knee."),
        ("Denies chest pain.", "I have chest pain."),
        ("Reports chest pain.", "I do not have chest pain."),
        ("Reports a fever and a rash after penicillin.", "I have a fever."),
    ],
)
def test_a_sentence_that_says_something_else_does_not_stand(sentence: str, said: str) -> None:
    assert not grounded(sentence, talk(f"P: {said}"))


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("Reports a cough for 2 weeks.", "I have had a cough for two weeks."),
        ("Denies chest pain.", "I do not have any chest pain."),
        ("Reports a cough, but no fever.", "I have a cough but no fever."),
        ("Patient takes metformin 500 mg.", "I take five hundred milligrams of metformin."),
    ],
)
def test_a_sentence_that_says_the_same_stands(sentence: str, said: str) -> None:
    assert grounded(sentence, talk(f"P: {said}"))


def test_a_sentence_without_evidence_does_not_stand() -> None:
    assert not grounded("Reports a cough.", [])
