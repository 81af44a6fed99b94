"""What a patient is allergic to, in notes and in talk."""

import pytest

from bench.notes_allergies import NONE, noted_allergens, reference_allergens, said_allergens
from bench.notes_sets import Visit, as_items
from bench.role_dialogues import Said
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic
from pipeline.types import Role


def talk(*turns: str) -> tuple[Said, ...]:
    roles = (Role.DOCTOR, Role.PATIENT)
    return tuple(Said(role=roles[at % 2], text=text) for at, text in enumerate(turns))


def visit(reference: str, header: str = "") -> Visit:
    return Visit(name="V", corpus="x", items=(), reference=reference, header=header)


def note(topic: Topic, text: str) -> Note:
    section = NoteSection(key="S", title="S", sentences=(NoteSentence(text=text, items=("1",)),), topics=(topic,))
    return Note(template="T", title="N", language="en-US", sections=(section,))


@pytest.mark.parametrize(
    ("turns", "wanted"),
    [
        (("Any allergies?", "Penicillin and peanuts."), {"penicillin", "peanut"}),
        (("Are you allergic to anything?", "No."), {NONE}),
        (("How are you?", "I'm allergic to latex."), {"latex"}),
        (("Any allergies?", "No, but I'm allergic to bees."), {NONE, "bee"}),
        (("Do you take penicillin?", "Yes."), set()),
        (("Have you got any allergies? How old are you?", "Sixty. I have a cat."), set()),
    ],
)
def test_a_reply_belongs_to_the_question_before_it(turns: tuple[str, ...], wanted: set[str]) -> None:
    assert said_allergens(tuple(as_items(talk(*turns)))) == wanted


@pytest.mark.parametrize(
    ("reference", "header", "wanted"),
    [
        ("ALLERGIES\n\nPenicillin.", "", {"penicillin"}),
        ("HISTORY\n\nShe takes aspirin. Allergic to latex.", "", {"latex"}),
        ("Penicillin, which causes hives.", "ALLERGY", {"penicillin"}),
        ("No known drug allergies.", "", {NONE}),
        ("DH: aspirin. NKDA", "", {NONE}),
        ("Takes penicillin.", "", set()),
    ],
)
def test_a_reference_names_them_in_a_section_or_a_sentence(reference: str, header: str, wanted: set[str]) -> None:
    assert reference_allergens(visit(reference, header)) == wanted


def test_a_note_names_them_in_its_section_or_says_what_they_are() -> None:
    assert noted_allergens(note(Topic.ALLERGIES, "Penicillin.")) == {"penicillin"}
    assert noted_allergens(note(Topic.ALLERGIES, 'Allergies: "no".')) == {NONE}
    assert noted_allergens(note(Topic.HISTORY, "Allergic to pollen.")) == {"pollen"}
    assert noted_allergens(note(Topic.MEDICATIONS, "Penicillin.")) == frozenset()
