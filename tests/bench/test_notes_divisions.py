"""Notes and references cut into the four divisions that can be compared."""

from bench.notes_divisions import (
    Division,
    headed_lines,
    note_divisions,
    note_text,
    reference_divisions,
    said_in,
    said_in_reference,
)
from pipeline.notes.note import Note, NoteSection, NoteSentence, Topic

REFERENCE = """Seen with her son.

CC:

Toe pain.
VITALS REVIEWED
Pulse 70.
EXAM
MSK: Red toe.
RESULTS
Normal.
ASSESSMENT AND PLAN: Gout.
INSTRUCTIONS
Rest."""


def section(title: str, topic: Topic | None, *texts: str) -> NoteSection:
    sentences = tuple(NoteSentence(text=text, items=("1",)) for text in texts)
    return NoteSection(key=title.upper(), title=title, sentences=sentences, topics=(topic,) if topic else ())


NOTE = Note(
    template="T",
    title="Note",
    language="en-US",
    sections=(
        section("Complaint", Topic.COMPLAINT, "Toe pain."),
        section("Exam", Topic.EXAM, "Red toe.", "Warm."),
        section("Plan", Topic.PLAN, "Rest."),
        section("Prescription", Topic.PRESCRIPTION, "Colchicine."),
        section("Other", None, "Lives alone."),
    ),
)


def test_a_reference_is_cut_at_its_headings_and_keeps_them() -> None:
    assert reference_divisions(REFERENCE) == {
        Division.SUBJECTIVE: "Seen with her son.\n\nCC:\n\nToe pain.",
        Division.EXAM: "VITALS REVIEWED\nPulse 70.\nEXAM\nMSK: Red toe.",
        Division.RESULTS: "RESULTS\nNormal.",
        Division.PLAN: "ASSESSMENT AND PLAN: Gout.\nINSTRUCTIONS\nRest.",
    }


def test_what_a_reference_says_is_all_but_its_headings() -> None:
    said = "Seen with her son.\nToe pain.\nPulse 70.\nMSK: Red toe.\nNormal.\nGout.\nRest."
    assert said_in_reference(REFERENCE) == said


def test_each_line_stands_behind_its_heading() -> None:
    assert list(headed_lines("Hello.\nALLERGIES: Latex.\nPenicillin.")) == [
        ("", "Hello."),
        ("ALLERGIES:", "Latex."),
        ("ALLERGIES:", "Penicillin."),
    ]


def test_a_reference_without_headings_has_no_divisions() -> None:
    assert reference_divisions("3/7 toe pain. Imp: gout. Plan: rest.") == {}


def test_capitals_within_a_line_are_no_heading() -> None:
    assert list(headed_lines("EXAM results pending")) == [("", "EXAM results pending")]


def test_sections_of_a_note_go_where_their_topics_belong() -> None:
    assert note_divisions(NOTE) == {
        Division.SUBJECTIVE: "Complaint\n\nToe pain.\n\nOther\n\nLives alone.",
        Division.EXAM: "Exam\n\nRed toe. Warm.",
        Division.PLAN: "Plan\n\nRest.\n\nPrescription\n\nColchicine.",
    }


def test_a_note_is_read_with_its_titles_and_says_its_sentences() -> None:
    assert note_text(NOTE).startswith("Complaint\n\nToe pain.\n\nExam\n\nRed toe. Warm.\n\n")
    assert said_in(NOTE) == "Toe pain.\nRed toe.\nWarm.\nRest.\nColchicine.\nLives alone."
