"""A history that is told problem by problem."""

from itertools import groupby

import pytest

from pipeline.errors import NoteLanguageUnsupported
from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style, Topic
from pipeline.notes.problems import REST, by_problem, symptoms, told_by_problem
from tests.pipeline.notes.talk import GENERAL, SOAP, talk

TWO_PROBLEMS = (
    "D: What brings you in today?",
    "P: I have had back pain for three weeks and I also have a cough.",
    "D: Tell me about your back.",
    "P: The back pain is worse when I bend over.",
    "P: It started after I moved some furniture.",
    "D: And the cough?",
    "P: The cough is dry and keeps me awake at night.",
    "D: Do you have a fever?",
    "P: No.",
    "D: Okay, and does the pain stay in your back?",
    "P: The pain goes down to my left leg.",
    "D: I think you strained a muscle, and the cough is from a virus.",
    "D: Please take ibuprofen 400 mg three times a day and rest.",
)


def note(*lines: str, split_by_problem: bool = True) -> Note:
    return write_note(talk(*lines), GENERAL, language="en-US", split_by_problem=split_by_problem)


def history(written: Note) -> NoteSection:
    (section,) = [each for each in written.sections if each.key == "HISTORY_OF_PRESENT_ILLNESS"]
    return section


def told(section: NoteSection) -> dict[str, list[str]]:
    """Sentences by problem; each problem is there once."""
    groups = [(name, [each.text for each in of_it]) for name, of_it in groupby(section.sentences, lambda s: s.problem)]
    assert len({name for name, _ in groups}) == len(groups)
    return dict(groups)


def test_each_problem_has_its_sentences_below_its_name() -> None:
    section = history(note(*TWO_PROBLEMS))
    problems = told(section)
    assert list(problems) == ["Back pain", "Cough"]
    assert any("bends over" in text for text in problems["Back pain"])
    assert any("furniture" in text for text in problems["Back pain"])  # says nothing of which: the one before
    assert any("left leg" in text for text in problems["Back pain"])  # "the pain" is the one in the back
    assert any("keeps" in text for text in problems["Cough"])
    assert any("fever" in text.lower() for text in problems["Cough"])  # what is denied is no problem of its own
    assert section.text.startswith("Back pain:\n")
    assert "\n\nCough:\n" in section.text


def test_nothing_is_lost_or_changed_by_it() -> None:
    plain, split = history(note(*TWO_PROBLEMS, split_by_problem=False)), history(note(*TWO_PROBLEMS))
    assert sorted((each.text, each.items) for each in split.sentences) == sorted(
        (each.text, each.items) for each in plain.sentences
    )
    assert "Cough:" not in plain.text


def test_one_problem_has_no_heading() -> None:
    lines = [line for line in TWO_PROBLEMS if "cough" not in line.lower()]
    lines.insert(1, "P: I have had back pain for three weeks.")
    assert set(told(history(note(*lines)))) == {""}


def test_other_sections_are_as_they_were() -> None:
    plain, split = note(*TWO_PROBLEMS, split_by_problem=False), note(*TWO_PROBLEMS)
    others = [
        [each for each in written.sections if each.key != "HISTORY_OF_PRESENT_ILLNESS"] for written in (plain, split)
    ]
    assert others[0] == others[1]


def test_bullet_points_stand_below_their_problem() -> None:
    written = write_note(talk(*TWO_PROBLEMS), SOAP, language="en-US", style=Style.BULLET_POINTS, split_by_problem=True)
    (section,) = [each for each in written.sections if each.key == "SOAP_SUBJECTIVE"]
    assert "Back pain:\n- " in section.text
    assert "\n\nCough:\n- " in section.text


def lines(texts: str) -> list[NoteSentence]:
    return [NoteSentence(text=text, items=(str(at),)) for at, text in enumerate(texts.split(" | ")) if text]


def layout(texts: str, rest: str = "", before: str = "") -> list[tuple[str, str]]:
    """Headings, each with the texts below it."""
    told, other = lines(texts), lines(rest)
    topics = [Topic.HISTORY for _ in told] + [Topic.MEDICATIONS for _ in other]
    split = by_problem([*told, *other], topics, lines(before))
    groups = groupby(split, lambda sentence: sentence.problem)
    return [(name, " | ".join(each.text for each in of_it)) for name, of_it in groups]


def test_what_brings_up_several_problems_stands_above_their_headings() -> None:
    assert layout(
        "Reports pain in their left knee and a sore throat. | The knee swells in the evening. | Worse on stairs."
        " | The throat hurts when they swallow. | Denies fever."
    ) == [
        ("", "Reports pain in their left knee and a sore throat."),
        ("Knee pain", "The knee swells in the evening. | Worse on stairs."),
        ("Sore throat", "The throat hurts when they swallow. | Denies fever."),
    ]


def test_a_problem_that_came_up_in_between_gets_what_is_said_of_it_later() -> None:
    told = layout("Reports back pain. | A cough keeps them awake. | The cough is dry. | The pain goes down to the leg.")
    assert told == [
        ("Back pain", "Reports back pain. | The pain goes down to the leg."),
        ("Cough", "A cough keeps them awake. | The cough is dry."),
    ]


def test_what_is_denied_is_no_problem_but_stands_where_it_belongs() -> None:
    assert layout(
        "Reports back pain and a rash. | The rash itches. | Denies numbness in the back. | Denies fever."
    ) == [
        ("", "Reports back pain and a rash."),
        ("Rash", "The rash itches."),
        ("Back pain", "Denies numbness in the back. | Denies fever."),
    ]


@pytest.mark.parametrize(
    "texts",
    [
        "Reports a headache. | The headache is on the left. | Light makes it worse.",
        "Reports a cough and a fever. | The cough is dry. | The fever was 39. | Chills at night. | Chills again.",
        "Reports a cough. | Denies chest pain. | Denies chest pain on exertion. | The cough is dry.",
        "Reports a cough. | Fears that it is cancer. | Cancer runs in the family. | The cough is dry.",
        "Reports a cough. | Their mother's asthma is bad. | Asthma frightens them. | The cough is dry.",
        "Came for a form. | Feels well.",
        "Has had a fever and chills. | The fever was 39. | The chills came at night.",
        "Has pain. | The pain is worse on stairs. | It is back pain. | The back pain is sharp.",
        "",
    ],
)
def test_where_there_is_one_problem_or_none_nothing_is_changed(texts: str) -> None:
    assert [name for name, _ in layout(texts, "Takes aspirin.")] == [""]


def test_a_disease_that_is_called_the_patients_own_is_a_problem() -> None:
    assert layout(
        "Patient's diabetes is hard to control and their back pain came back. | The diabetes makes them thirsty."
        " | The back pain is sharp."
    ) == [
        ("", "Patient's diabetes is hard to control and their back pain came back."),
        ("Diabetes", "The diabetes makes them thirsty."),
        ("Back pain", "The back pain is sharp."),
    ]


def test_medication_allergies_and_family_stand_below_no_problem() -> None:
    told = layout("Has back pain. | Has a cough. | The cough is dry.", rest="Takes aspirin. | Allergic to penicillin.")
    assert told[-1] == (REST, "Takes aspirin. | Allergic to penicillin.")
    assert [name for name, _ in told] == ["Back pain", "Cough", REST]


def test_the_complaint_counts_although_another_section_has_it() -> None:
    told = layout(
        "Worse on stairs. | The knee swells. | The shoulder clicks.", before="Pain in the knee and the shoulder."
    )
    assert [name for name, _ in told] == [""]  # "the shoulder" names no symptom
    told = layout(
        "The knee swells. | The shoulder clicks.", before="Pain in the left knee and pain in the right shoulder."
    )
    assert [name for name, _ in told] == ["Knee pain", "Shoulder pain"]


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("i have back pain", ["back pain"]),
        ("pain in my left knee and pain in the right shoulder", ["knee pain", "shoulder pain"]),
        ("a sore throat and a runny nose", ["sore throat", "runny nose"]),
        ("i have blurry vision", ["blurry vision"]),
        ("i have trouble sleeping and no appetite", ["trouble sleeping"]),
        ("i feel sick and it hurts and my neck is stiff", []),
        ("the pain comes back in the evening", ["pain"]),
        ("", []),
    ],
)
def test_symptoms_are_named_with_their_place_and_never_with_a_side(said: str, named: list[str]) -> None:
    assert symptoms(said.split()) == named


def test_it_is_done_in_two_sections_and_in_english() -> None:
    assert [told_by_problem(key, "en-GB") for key in ("HISTORY_OF_PRESENT_ILLNESS", "SOAP_SUBJECTIVE", "PLAN")] == [
        True, True, False,
    ]  # fmt: skip
    assert not any(told_by_problem("SOAP_SUBJECTIVE", language) for language in ("fr-FR", "de-CH", "enm", ""))


@pytest.mark.parametrize("language", ["fr-FR", "de"])
def test_in_other_languages_the_embedded_writer_writes_nothing_at_all(language: str) -> None:
    with pytest.raises(NoteLanguageUnsupported):
        write_note(talk(*TWO_PROBLEMS), SOAP, language=language, split_by_problem=True)
