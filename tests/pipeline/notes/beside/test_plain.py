"""Notes in plain language: said to the patient, in plain words, with every number, side and denial."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench
from bench.reading import grade
from pipeline.notes.beside.plain import keeps, plainly
from pipeline.notes.beside.plain_words import EXPLAINED, REPLACED
from pipeline.notes.beside.summary import patient_summary
from tests.pipeline.notes.talk import general, talk

DIALOGUES = sorted((Path(bench.__file__).parent / "dialogues").glob("*.toml"))
HARDEST = 8.0  # school year


def plain(text: str) -> str:
    return " ".join(plainly(text, set()))


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        ("Reports a bad headache for 3 days.", "You told us about a bad headache for 3 days."),
        ("Patient reports that it hurts.", "You told us that it hurts."),
        ("Denies fever or chills.", "You said no to fever or chills."),
        ("Patient denies chest pain.", "You said no to chest pain."),
        ("Advised to rest.", "Please rest."),
        ("Advised not to drive.", "Please do not drive."),
        ("Will see the patient again in 2 weeks.", "We will see you again in 2 weeks."),
        ("Plan to see them again in one week.", "We plan to see you again in one week."),
        ("The patient has a cold.", "You have a cold."),
        ("The patient doesn't have a cold.", "You don't have a cold."),
        ("If the patient feels worse, call the doctor.", "If you feel worse, call your doctor."),
        ("The patient's left knee was swollen.", "Your left knee was swollen."),
        ("The doctor does not think the patient is ill.", "Your doctor does not think you are ill."),
        (
            "Anna is a 58 year old female who presents with a cough.",
            "You are a 58-year-old woman. You came with a cough.",
        ),
        ("Doctor thinks this is a cold.", "Your doctor thinks this is a cold."),
        ('Doctor: "I want you to rest".', 'Your doctor said: "I want you to rest".'),
        ("Advised to call if they have a fever.", "Please call if you have a fever."),
        ("Advised to read it in the patient portal.", "Please read it in the patient portal."),
        ("Order a chest x-ray.", "We will order a chest X-ray."),
    ],
)
def test_a_note_is_told_to_who_is_treated(noted: str, told: str) -> None:
    assert plain(noted) == told


@pytest.mark.parametrize(
    "noted",
    [
        "Take the pills until they are gone.",  # not the patient
        "Advised to order an echocardiogram.",  # not of the patient
        "They will tell us more.",
        "Father is a 70 year old male with gout.",
        "His brother is a 70 year old man.",
    ],
)
def test_where_it_is_not_certain_who_is_meant_it_stays(noted: str) -> None:
    assert "you" not in plain(noted).lower().split()


def test_what_others_have_is_theirs() -> None:
    assert plain("Advised to keep the kids at home if they have a fever.") == (
        "Please keep the kids at home if they have a fever."
    )


def test_medical_words_are_replaced_or_explained_once() -> None:
    explained: set[str] = set()
    assert plainly("Hypertension and bronchitis.", explained) == [
        "High blood pressure and bronchitis (sore airways in the lungs)."
    ]
    assert plainly("The bronchitis is better.", explained) == ["The bronchitis is better."]


def test_what_somebody_said_stays_in_their_words() -> None:
    assert plain('Patient: "my doctor said hypertension".') == 'You said: "my doctor said hypertension".'


@pytest.mark.parametrize(
    ("noted", "told"),
    [
        (
            "Advised to rest in a quiet room for a few days, and drink plenty of water.",
            ["Please rest in a quiet room for a few days.", "Drink plenty of water."],
        ),
        (
            "The patient has a very sore throat since last Monday, and we will check it today.",
            ["You have a very sore throat since last Monday, and we will check it today."],  # "since"
        ),
        (
            "If the fever comes back at night and the patient feels weak, and you are alone, call the doctor.",
            ["If the fever comes back at night and you feel weak, and you are alone, call your doctor."],
        ),
        (
            "Will order an x-ray of the left knee today and see the patient again in 2 weeks.",
            ["We will order an X-ray of the left knee today.", "We will see you again in 2 weeks."],
        ),
        (
            "Advised to avoid heavy meals late in the day and drink coffee with lunch only.",
            ["Please avoid heavy meals late in the day and drink coffee with lunch only."],  # avoid what?
        ),
        (
            "Will discuss diet and sleep and exercise with the patient when we meet again.",
            ["We will discuss diet and sleep and exercise with you when we meet again."],
        ),
        (
            "Advised not to lift anything heavy at work this week and bend a lot.",
            ["Please do not lift anything heavy at work this week and bend a lot."],  # not: bend a lot
        ),
        (
            "The doctor thinks this is a cold of the usual kind and it will pass.",
            ["Your doctor thinks this is a cold of the usual kind and it will pass."],  # the doctor only thinks so
        ),
    ],
)
def test_long_sentences_are_cut_where_nothing_depends_on_what_stands_before(noted: str, told: list[str]) -> None:
    assert plainly(noted, set()) == told


@pytest.mark.parametrize("entries", [REPLACED, EXPLAINED])
def test_no_plain_word_brings_or_takes_a_number_a_side_or_a_denial(entries: dict[str, str]) -> None:
    assert all(keeps("", meaning) for meaning in entries.values())
    assert all(not set(entries) & set(meaning.split()) for meaning in entries.values())


WORDS = """
    the patient denies hypertension left right knee no not 3 5 mg and but you we will advised to has two if bronchitis ,
    . edema t.i.d. both never doctor thinks they them see is
    """
SAID = st.lists(st.sampled_from(WORDS.split()), max_size=30).map(" ".join)


@given(SAID)
def test_numbers_sides_and_denials_are_those_of_the_note(noted: str) -> None:
    assert keeps(noted, plain(noted))


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=lambda path: path.stem)
def test_a_summary_of_our_own_consultations_asks_for_no_more_than_the_eighth_grade(dialogue: Path) -> None:
    lines = tomllib.loads(dialogue.read_text(encoding="utf-8"))["lines"]
    note = general(talk(*(f"{line['speaker'][0].upper()}: {line['text']}" for line in lines)))
    summary = patient_summary(note)
    assert "Why you came: You " in summary
    assert "patient" not in summary.lower()
    assert grade(summary) <= HARDEST


def test_the_grade_is_the_formula_s() -> None:
    assert grade("The cat sat on the mat.") == pytest.approx(0.39 * 6 + 11.8 * 1 - 15.59)
    assert grade("Hypertension is dangerous. Avoid salt.") == pytest.approx(0.39 * 5 / 2 + 11.8 * 11 / 5 - 15.59)
    assert grade("") == 0.0
