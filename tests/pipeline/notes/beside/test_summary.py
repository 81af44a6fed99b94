"""Summaries for patients and of several visits: extracts, which say nothing that is not there."""

from dataclasses import replace

from pipeline.notes.beside.summary import Visit, patient_summary, visit_summary
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic

FIRST = Visit(date="2026-01-05", summary="Blood pressure was high. Dr. Lee started lisinopril.")
SECOND = Visit(
    date="2026-03-02",
    provider="Dr. Lee",
    subjective="Cough for two weeks",
    objective="- BP 130/84.\n- Lungs clear.",
    assessment="Hypertension, improving. Bronchitis.",
    plan="1. Continue lisinopril 1.5 mg.\n2. Come back in a month.",
)


def test_a_note_in_another_language_is_summed_up_in_its_own_words() -> None:
    sentences = (NoteSentence(text="Der Patient hat Husten.", items=("0",)),)
    section = NoteSection(key="A", title="A", sentences=sentences, topics=(Topic.ASSESSMENT,))
    german = Note(template="SOAP", title="", language="de-CH", sections=(section,))
    assert patient_summary(german) == "Was dazu gesagt wurde: Der Patient hat Husten."
    french = replace(german, language="fr", sections=(replace(section, topics=(Topic.PLAN,)),))
    assert patient_summary(french) == "La suite: Der Patient hat Husten."


def test_a_note_that_says_nothing_of_it_has_no_summary() -> None:
    assert patient_summary(Note(template="SOAP", title="", language="en", sections=())) == ""


def test_visits_are_told_from_the_oldest_on_a_line_each() -> None:
    summed = visit_summary([SECOND, FIRST])
    assert summed.narrative.splitlines() == [
        "2026-01-05: Blood pressure was high. Dr. Lee started lisinopril.",
        "2026-03-02 (Dr. Lee): Cough for two weeks. Hypertension, improving. Bronchitis. Continue lisinopril 1.5 mg."
        " Come back in a month.",
    ]
    assert summed.findings == ("BP 130/84.", "Lungs clear.")
    assert summed.diagnoses == ("Hypertension, improving.", "Bronchitis.")


def test_a_focus_leaves_what_is_about_it() -> None:
    summed = visit_summary([FIRST, SECOND], focus="Lisinopril")
    assert summed.narrative.splitlines() == [
        "2026-01-05: Dr. Lee started lisinopril.",
        "2026-03-02 (Dr. Lee): Continue lisinopril 1.5 mg.",
    ]
    assert summed.findings == ()


def test_a_focus_that_nothing_is_about_leaves_everything() -> None:
    assert visit_summary([FIRST, SECOND], focus="knee") == visit_summary([FIRST, SECOND])


def test_the_diagnoses_are_those_of_the_last_visit_that_has_some() -> None:
    later = Visit(date="2026-04-01", summary="Only the plan was gone over.")
    assert visit_summary([SECOND, later]).diagnoses == ("Hypertension, improving.", "Bronchitis.")
