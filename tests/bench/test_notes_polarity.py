"""What is affirmed and what is denied."""

import pytest

from bench.notes_polarity import contradicted, flipped, polarity_of, polarity_of_talk
from bench.notes_sets import as_items
from bench.role_dialogues import Said
from pipeline.types import Role


def spoken(*turns: str) -> dict[str, bool]:
    roles = (Role.DOCTOR, Role.PATIENT)
    said = [Said(role=roles[at % 2], text=text) for at, text in enumerate(turns)]
    return dict(polarity_of_talk(tuple(as_items(said))))


@pytest.mark.parametrize(
    ("sentence", "cited", "wrong"),
    [
        ("Denies fever.", ["Any fever?", "No."], False),
        ("Denies fever.", ["Any fever?", "Yes."], True),
        ("Reports fever.", ["I have no fever."], True),
        ("Reports fever.", ["I have a fever."], False),
    ],
)
def test_a_sentence_may_not_say_the_opposite_of_its_items(sentence: str, cited: list[str], wrong: bool) -> None:
    assert flipped(sentence, cited) is wrong


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("Denies nausea. Has a fever.", {"nausea": False, "fever": True}),
        ('Cough: "no, not really".', {"cough": False}),
        ('Cough: "yes, at night".', {"cough": True}),
        ('Cough: "now and then".', {}),
        ("Has nausea. Later no nausea.", {}),
    ],
)
def test_only_what_a_note_says_in_one_way_counts(text: str, known: dict[str, bool]) -> None:
    assert polarity_of(text) == known


def test_a_question_is_answered_by_the_first_word_of_the_reply() -> None:
    assert spoken("Any nausea?", "No.") == {"nausea": False}
    assert spoken("Any nausea?", "Yeah, often.") == {"nausea": True}
    assert spoken("Any nausea?", "Well, often.") == {}
    assert spoken("Any nausea? Do you sleep?", "No.") == {"sleep": False}
    assert spoken("Hello.", "I have no fever. But nausea.") == {"fever": False, "nausea": True}


def test_a_note_that_contradicts_its_witness_is_found() -> None:
    witness = spoken("Any nausea?", "No.", "Any fever?", "Yes.")
    assert contradicted("Reports nausea. Has a fever.", witness) == {"nausea"}
    assert contradicted("Denies nausea. Has a cough.", witness) == frozenset()
