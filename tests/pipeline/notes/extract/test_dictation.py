"""A clinician's own notes: telegraphic, without speakers, complete."""

import re

import pytest

from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean
from pipeline.notes.extract.dictation import heading, is_dictated
from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import Note, Topic
from tests.pipeline.notes.talk import GENERAL, SOAP, talk, texts, visit, without_roles

DICTATED = (
    "Patient is a 52-year-old male presenting with lower back pain for the past 3 weeks. Pain is rated 6/10, worsens "
    "with sitting, improves with walking. No radiculopathy. No bowel or bladder changes. Taking ibuprofen 400mg PRN "
    "with partial relief."
)
SHORTHAND = (
    "45F c/o sore throat x3 days, fever 101. No cough. PMH: HTN, asthma. Meds: lisinopril 10 mg daily, albuterol PRN. "
    "NKDA. Vitals: BP 128/82, HR 88. Exam: tonsillar exudate, tender anterior cervical LAD. Lungs clear. "
    "Rapid strep positive. A: strep pharyngitis. P: amoxicillin 500 mg BID x10 days. RTC if no improvement in 48 hours."
)


def soap(text: str) -> Note:
    return write_note(talk(f"U: {text}"), SOAP, language="en", least_words=1)


def by_sentence(text: str) -> Note:
    return write_note(talk(*(f"U: {one}" for one in re.split(r"(?<=\.)\s+", text))), GENERAL, language="en")


def test_the_example_of_soapnoteapi_keeps_all_it_says() -> None:
    note = soap(DICTATED)
    subjective = texts(note, "SOAP_SUBJECTIVE")
    assert "No radiculopathy." in subjective
    assert "No bowel or bladder changes." in subjective
    assert any(text.startswith("Taking ibuprofen 400mg PRN") for text in subjective)
    assert texts(note, "SOAP_PLAN") == []


@pytest.mark.parametrize("text", [DICTATED, SHORTHAND])
def test_nothing_of_dictated_notes_is_left_out(text: str) -> None:
    said = re.findall(r"[a-z0-9/]+", text.lower())
    assert set(said) <= set(re.findall(r"[a-z0-9/]+", " ".join(texts(soap(text))).lower()))


def test_headings_say_where_things_belong() -> None:
    note = by_sentence(SHORTHAND)
    assert texts(note, "PAST_MEDICAL_HISTORY") == ["PMH: HTN, asthma."]
    assert texts(note, "CURRENT_MEDICATIONS") == ["Meds: lisinopril 10 mg daily, albuterol PRN."]
    assert texts(note, "ALLERGIES") == ["NKDA."]
    assert texts(note, "VITALS") == ["Vitals: BP 128/82, HR 88."]
    assert texts(note, "LAB_RESULTS") == ["Rapid strep positive."]
    assert texts(note, "ASSESSMENT") == ["A: strep pharyngitis."]
    assert texts(note, "APPOINTMENTS") == ["RTC if no improvement in 48 hours."]


@pytest.mark.parametrize(
    ("text", "topic"),
    [("Plan: rest", Topic.PLAN), ("Past medical history: gout", Topic.PAST_MEDICAL), ("Pain: 6", None)],
)
def test_a_heading_is_what_stands_before_a_colon(text: str, topic: Topic | None) -> None:
    assert heading(clean(text)) is topic


def test_a_talk_without_roles_is_not_dictated() -> None:
    items = without_roles(visit("D: Do you have a fever?", "P: Yes, I have."))
    assert not is_dictated(units(items, {item.id: clean(item.text) for item in items}))


@pytest.mark.parametrize("word", ["radiculopathy", "tonsillitis", "myalgia", "hepatomegaly"])
def test_two_words_are_enough_to_deny_a_disease(word: str) -> None:
    assert f"No {word}." in texts(soap(f"Patient presents with back pain. No {word}. Pain is worse at night."))


@pytest.mark.parametrize("line", ["P: I have no sympathy.", "D: No trophy today."])
def test_words_that_only_end_like_diseases_are_none(line: str) -> None:
    note = write_note(visit(line), GENERAL, language="en")
    assert not any("sympathy" in text or "trophy" in text for text in texts(note, "PAST_MEDICAL_HISTORY"))
