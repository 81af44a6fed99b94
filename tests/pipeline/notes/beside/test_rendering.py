"""Notes as plain text and Markdown."""

from dataclasses import replace

import pytest

from pipeline.notes.beside.rendering import escaped, markdown, plain_text
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style

BULLETS = Style.BULLET_POINTS


def section(key: str, *texts: str, style: Style = Style.PARAGRAPHS, problem: str = "") -> NoteSection:
    sentences = tuple(NoteSentence(text=text, items=("0",), problem=problem) for text in texts)
    return NoteSection(key=key, title=key.capitalize(), sentences=sentences, style=style)


NOTE = Note(
    template="SOAP",
    title="Cough",
    language="en",
    sections=(
        section("history", "Reports a cough.", "Denies fever.", problem="Cough"),
        section("plan", "Rest.", "Drink.", style=Style.BULLET_POINTS),
    ),
)


def test_plain_text_has_titles_and_texts() -> None:
    assert plain_text(NOTE, "A draft.") == (
        "Cough\n\nA draft.\n\nHistory\nCough:\nReports a cough. Denies fever.\n\nPlan\n- Rest.\n- Drink.\n"
    )


def test_markdown_has_headings_and_lists() -> None:
    assert markdown(NOTE, "A draft.") == (
        "# Cough\n\n*A draft.*\n\n## History\n\n### Cough\n\nReports a cough. Denies fever.\n\n"
        "## Plan\n\n- Rest.\n- Drink.\n"
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("BP <b>120</b>", r"BP \<b\>120\</b\>"),
        ("*bold* _x_ `y`", r"\*bold\* \_x\_ \`y\`"),
        ("[link](http://x)", r"\[link\](http://x)"),
        ("# no heading", r"\# no heading"),
        ("- no list", r"\- no list"),
        ("1. no list\n 10) either\n3.", "1\\. no list\n 10\\) either\n3\\."),
        ("120/80, 1.5 mg, 3-4 days", "120/80, 1.5 mg, 3-4 days"),
        ("2.5 mg daily\n2.5 mg at night", "2.5 mg daily\n2.5 mg at night"),
        ("\x00- no\u202e list\r- nor\x1b[1m here", "\\- no list\n\\- nor\\[1m here"),
    ],
)
def test_what_a_note_says_is_text_in_markdown(text: str, written: str) -> None:
    assert escaped(text) == written


def test_a_line_break_of_a_provider_is_one() -> None:
    note = Note(template="", title="", language="en", sections=(section("plan", "Rest.\nCome again."),))
    assert markdown(note) == "## Plan\n\nRest.\\\nCome again.\n"
    assert plain_text(note) == "Plan\nRest.\nCome again.\n"


def test_what_nobody_sees_is_left_out() -> None:
    note = Note(template="", title="\n\x00", language="en", sections=(section("plan", "Re\u202est.\x00\r\n", "\x07"),))
    note = replace(note, sections=(*note.sections, NoteSection(key="", title=" \u2066\n", sentences=())))
    assert plain_text(note) == "Plan\nRest.\n"
    assert markdown(note) == "## Plan\n\nRest.\n"


def test_no_bullet_is_empty() -> None:
    note = Note(template="", title="", language="en", sections=(section("plan", "\x00", "Rest.", style=BULLETS),))
    assert markdown(note) == "## Plan\n\n- Rest.\n"
