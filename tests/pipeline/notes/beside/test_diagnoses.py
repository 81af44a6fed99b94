"""Codes for the problems that a note names: only what a clinician said to be so, and nothing beyond the words."""

from collections import Counter
from collections.abc import Sequence

import pytest

from pipeline.notes.beside import diagnoses as diagnoses_module
from pipeline.notes.beside.diagnoses import CLAUSE_CHARACTERS, CLAUSE_WORDS, Diagnoses, Doubt, suggest
from pipeline.notes.beside.icd10 import folded, shipped_catalogue
from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic
from pipeline.types import Utterance
from tests.pipeline.notes.talk import talk

CATALOGUE = shipped_catalogue()


def diagnoses(
    *texts: str, topic: Topic = Topic.ASSESSMENT, said: tuple[Utterance, ...] = (), items: tuple[str, ...] = ()
) -> Diagnoses:
    """Of a note whose one section has these sentences, which rest on these items."""
    sentences = tuple(NoteSentence(text=text, items=items) for text in texts)
    section = NoteSection(key="S", title="S", sentences=sentences, topics=(topic,))
    return suggest(Note(template="SOAP", title="", language="en", sections=(section,)), said, CATALOGUE)


def codes(*texts: str, topic: Topic = Topic.ASSESSMENT) -> list[str]:
    return [each.code for each in diagnoses(*texts, topic=topic).suggestions]


def doubts(*texts: str) -> list[tuple[str, Doubt]]:
    found = diagnoses(*texts)
    assert not found.suggestions
    return [(each.problem, each.why) for each in found.abstentions]


def test_a_problem_that_is_named_has_a_code_with_its_words_and_its_evidence() -> None:
    said = (*talk("D: You have acute bronchitis."),)
    (one,) = diagnoses("Patient has acute bronchitis.", said=said, items=("0",)).suggestions
    assert (one.code, one.description, one.billable) == ("J20.9", "Acute bronchitis, unspecified", True)
    assert (one.problem, one.sentence, one.items) == ("acute bronchitis", "Patient has acute bronchitis.", ("0",))
    assert one.score == 1.0


def test_each_problem_of_a_sentence_has_a_code_and_each_code_is_given_once() -> None:
    assert codes("1. Hypertension, well controlled.", "Hypertension and type 2 diabetes.") == ["I10", "E11.9"]


def test_the_longest_name_counts_and_what_is_broader_is_left_out() -> None:
    assert codes("Anemia.", "This is iron deficiency anemia.") == ["D50.9"]


@pytest.mark.parametrize(
    ("text", "problem", "why"),
    [
        ("I do not think this is pneumonia.", "pneumonia", Doubt.DENIED),
        ("There is no pneumonia.", "pneumonia", Doubt.DENIED),
        ("COVID test is negative.", "COVID", Doubt.DENIED),
        ("Likely pneumonia.", "pneumonia", Doubt.UNCERTAIN),
        ("Pneumonia was ruled out.", "Pneumonia", Doubt.UNCERTAIN),
        ("Chest x-ray to look for pneumonia.", "pneumonia", Doubt.UNCERTAIN),
        ("If pneumonia develops, go to the hospital.", "pneumonia", Doubt.UNCERTAIN),
        ("Screening for colon cancer.", "colon cancer", Doubt.UNCERTAIN),
        ("Patient's mother has asthma.", "asthma", Doubt.FAMILY),
        ("Asthma runs in the family.", "Asthma", Doubt.FAMILY),
        ("History of asthma as a child.", "asthma", Doubt.PAST),
        ("Uncontrolled diabetes.", "diabetes", Doubt.INEXACT),
        ("Pregnancy induced hypertension.", "hypertension", Doubt.INEXACT),
        ("Viral bronchitis.", "bronchitis", Doubt.INEXACT),
        ("Scalp psoriasis.", "psoriasis", Doubt.INEXACT),
        ("It seems more like a chest infection rather than a lung cancer.", "lung cancer", Doubt.UNCERTAIN),
        ("That is common in meningitis.", "meningitis", Doubt.UNCERTAIN),
        ("Refer to the TIA clinic.", "TIA", Doubt.UNCERTAIN),
        ("He is vaccinated against COVID-19.", "COVID-19", Doubt.UNCERTAIN),
    ],
)
def test_what_is_doubtful_has_no_code_and_it_is_said_why(text: str, problem: str, why: Doubt) -> None:
    assert doubts(text) == [(problem, why)]


@pytest.mark.parametrize("text", ["Lung nodule.", "Right upper lobe lung nodule.", "Lumbar strain.", "Sinusitis."])
def test_what_no_code_says_exactly_has_none(text: str) -> None:
    assert diagnoses(text) == Diagnoses()


def test_a_problem_that_a_clause_sets_out_from_stands_whatever_comes_behind() -> None:
    assert codes("For the high blood pressure, it looks like the pills help.") == ["I10"]
    assert codes("Diabetes Type II.") == ["E11.9"]
    assert codes("As far as your diabetes is concerned, we will check your A1c.") == ["E11.9"]


def test_a_denial_ends_with_its_clause() -> None:
    assert codes("It is not pneumonia, but acute bronchitis.") == ["J20.9"]


@pytest.mark.parametrize(
    ("text", "code", "score"),
    [
        ("Pain in right knee.", "M25.561", 1.0),
        ("Bilateral knee pain.", "M25.569", 0.8),  # of an unspecified knee: the catalogue has none of both
        ("Left knee osteoarthritis.", "M17.9", 0.8),
        ("Knee pain on the left.", "M25.562", 1.0),
        ("Knee pain, worse on the left.", "M25.569", 0.8),
        ("Knee pain, which is quiet right now.", "M25.569", 1.0),
        ("Moderate persistent asthma.", "J45.40", 1.0),
        ("Severe headache.", "R51.9", 0.8),
        ("Ulcerative colitis.", "K51.90", 0.9),  # "without complications": by default
    ],
)
def test_a_side_and_a_degree_are_kept_or_lower_the_score(text: str, code: str, score: float) -> None:
    (one,) = diagnoses(text).suggestions
    assert (one.code, one.score) == (code, score)


def test_a_code_whose_seventh_character_nobody_said_is_not_billable_yet() -> None:
    (one,) = diagnoses("Right ankle sprain.").suggestions
    assert (one.code, one.billable) == ("S93.401", False)


def test_a_plan_names_what_is_treated_but_its_symptoms_were_not_assessed() -> None:
    assert codes("Continue lisinopril for hypertension.", topic=Topic.PLAN) == ["I10"]
    assert codes("Take Tylenol for the fever.", topic=Topic.PLAN) == []
    assert codes("Fever.") == ["R50.9"]


def test_only_assessment_and_plan_count() -> None:
    assert codes("Patient has asthma.", topic=Topic.PAST_MEDICAL) == []
    assert codes("Father has hypertension.", topic=Topic.FAMILY) == []


def test_what_only_the_patient_named_has_no_code() -> None:
    said = (*talk("P: I think I have pneumonia."),)
    found = diagnoses("Pneumonia.", said=said, items=("0",))
    assert [each.why for each in found.abstentions] == [Doubt.UNCONFIRMED]
    assert not found.suggestions


def test_what_is_warned_of_has_no_code() -> None:
    said = (*talk("D: There are risks of surgery. There is infection. Seizure, stroke, weakness."),)
    found = diagnoses("Seizure, stroke, weakness.", said=said, items=("0",))
    assert {each.why for each in found.abstentions} == {Doubt.UNCERTAIN}
    assert not found.suggestions
    assert doubts("Seizure, stroke, or even death.") == [("Seizure", Doubt.UNCERTAIN), ("stroke", Doubt.UNCERTAIN)]


def test_what_was_heard_as_a_doubt_has_no_code_where_the_note_is_sure() -> None:
    said = (*talk("D: It might be pneumonia, I am not sure."),)
    found = diagnoses("Pneumonia.", said=said, items=("0",))
    assert [each.why for each in found.abstentions] == [Doubt.UNCONFIRMED]
    assert not found.suggestions


def test_a_heap_of_words_is_no_clause() -> None:
    assert codes("it " * (CLAUSE_WORDS - 1) + "asthma") == ["J45.909"]
    assert codes("it " * CLAUSE_WORDS + "asthma", "Cough.") == ["R05.9"]
    assert codes("x" * CLAUSE_CHARACTERS + " asthma") == []


def test_white_space_of_any_kind_and_length_parts_words() -> None:
    assert codes("Acute\n" + "\n\t " * 10_000 + "bronchitis") == ["J20.9"]


def test_what_a_clause_says_of_all_its_problems_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(words: Sequence[str]) -> Counter[Cue]:
        read.append(len(words))
        return cues(words)

    monkeypatch.setattr(diagnoses_module, "cues", counted)
    assert codes("asthma and cough " * 50) == ["J45.909", "R05.9"]
    assert read == [150]


def test_an_item_is_read_once_however_often_it_is_cited(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(text: str) -> tuple[str, ...]:
        read.append(text)
        return folded(text)

    monkeypatch.setattr(diagnoses_module, "folded", counted)
    said = (*talk("D: You have asthma and a cough."),)
    diagnoses(*["You have asthma and a cough."] * 20, said=said, items=("0",) * 20)
    assert read.count(said[0].text) == 1


def test_a_note_has_only_so_many_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnoses_module, "MOST", 2)
    assert codes("Asthma.", "Cough.", "Hypertension.", "Asthma.") == ["J45.909", "R05.9"]
