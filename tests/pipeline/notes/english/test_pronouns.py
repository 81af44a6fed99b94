"""He and she: only where the doctor said which, and never where somebody else could be meant."""

import pytest

from pipeline.notes.english.pronouns import Sex, going_on, told_of
from pipeline.types import Utterance
from tests.pipeline.notes.talk import general, texts, visit

MAN = "D: Mr Miller is a 58 year old male who presents with a headache."
WOMAN = "D: Mrs Miller is a 58 year old female who presents with a headache."
HURTS = "P: I fell when I got up, and my neck is stiff."


def history(*lines: str) -> str:
    return " ".join(texts(general(visit(*lines)), "HISTORY_OF_PRESENT_ILLNESS"))


def test_the_patient_is_he_or_she_where_the_doctor_said_so() -> None:
    assert "when he got up, and his neck is stiff" in history(MAN, HURTS)
    assert "when she got up, and her neck is stiff" in history(WOMAN, HURTS)


@pytest.mark.parametrize(
    "lines",
    [
        (HURTS,),
        ("P: My husband is a 60 year old man.", HURTS),
        ("D: Is your wife a 50 year old woman?", HURTS),
        (MAN, WOMAN, HURTS),
    ],
)
def test_nobody_guesses(lines: tuple[str, ...]) -> None:
    told = history(*lines).lower().split()
    assert not {"he", "she", "his", "her"}.intersection(told)


@pytest.mark.parametrize("said", ["my brother and i are sick", "she told me i was ill", "they gave me pills"])
def test_a_sentence_about_others_keeps_its_words(said: str) -> None:
    assert told_of("Patient says they are ill.", said.split(), Sex.MALE) == "Patient says they are ill."


def test_verbs_follow_the_pronoun() -> None:
    told = told_of("Pain when they really cough and they were ill.", ["cough"], Sex.FEMALE)
    assert told == "Pain when she really coughs and she was ill."


def test_a_sentence_behind_another_needs_no_name() -> None:
    assert going_on("Patient's knee hurts.", Sex.MALE) == "His knee hurts."
    assert going_on("Denies chest pain.", Sex.FEMALE) == "She denies chest pain."
    assert going_on("The knee hurts.", Sex.MALE) == "The knee hurts."


def test_bullet_points_and_other_people_keep_the_name() -> None:
    lines = (MAN, "P: I take lisinopril for my heart.", "P: My father died of a stroke.", "P: I take aspirin for pain.")
    note = general(visit(*lines))
    for key in ("CURRENT_MEDICATIONS", "FAMILY_HISTORY"):
        assert not any(text.startswith(("He ", "His ")) for text in texts(note, key))


def test_the_items_stay_the_evidence() -> None:
    items: list[Utterance] = visit(MAN, HURTS)
    known = {item.id for item in items}
    for section in general(items).sections:
        assert all(one.items and known.issuperset(one.items) for one in section.sentences)
