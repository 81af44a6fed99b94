"""Who speaks, where nobody said so."""

from pipeline.notes.english.units import Unit, units
from pipeline.notes.english.wording import clean
from pipeline.notes.extract.speakers import with_guessed_roles
from pipeline.types import Role, Utterance
from tests.pipeline.notes.talk import talk, unmarked, visit, without_roles

VISIT = visit(
    "D: Do you have any chest pain?",
    "P: No, but my left knee hurts when I walk.",
    "D: Let me take a look at your knee.",
    "D: I'm going to order an x-ray of your knee.",
    "P: I've been taking ibuprofen for it.",
)


def guessed(items: list[Utterance]) -> list[Unit]:
    return with_guessed_roles(units(items, {item.id: clean(item.text) for item in items}))


def test_roles_are_guessed_from_words_with_marks_and_without() -> None:
    role = {item.id: item.role for item in VISIT}
    for items in (VISIT, unmarked(VISIT)):
        assert all(unit.role is role[unit.items[0]] for unit in guessed(without_roles(items)))


def test_a_declared_role_stands() -> None:
    items = talk("D: I have a cough and my chest hurts.", "P: I am going to order an x-ray of your chest.")
    assert [unit.role for unit in guessed(items)] == [Role.DOCTOR, Role.PATIENT]


def test_a_declared_role_tells_who_the_others_are() -> None:
    items = talk("D: How long have you had the cough?", "U: Three weeks.", "D: Any fever?", "U: No.")
    assert [unit.role for unit in guessed(items)][1::2] == [Role.PATIENT, Role.PATIENT]


def test_what_says_nothing_of_its_speaker_stays_unspecified() -> None:
    assert [unit.role for unit in guessed(talk("U: Zxqv grblf."))] == [Role.UNSPECIFIED]


def test_nothing_said_has_no_speaker() -> None:
    assert guessed([]) == []
