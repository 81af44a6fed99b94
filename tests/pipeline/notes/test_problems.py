"""A history that is told problem by problem."""

from itertools import groupby

from pipeline.notes.extractive import write_note
from pipeline.notes.note import Note, NoteSection, Style
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
