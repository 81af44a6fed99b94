"""A note as plain text and as Markdown (CommonMark). Pure."""

import re
from itertools import groupby
from typing import Final

from pipeline.notes.note import Note, NoteSection, Style

_MEANS_SOMETHING: Final = re.compile(r"([\\`*_{}\[\]<>#|~&])")  # to Markdown, wherever it stands
_OPENS_A_BLOCK: Final = re.compile(r"^(\s*)([-+=]|\d{1,9}(?=[.)]))", re.MULTILINE)


def plain_text(note: Note, about: str = "") -> str:
    """Title, what is to be known of it (`about`), and the sections below their titles."""
    head = [note.title, about]
    body = [f"{section.title}\n{section.text}" if section.title else section.text for section in note.sections]
    return "\n\n".join(filter(None, (*head, *body))) + "\n"


def markdown(note: Note, about: str = "") -> str:
    """The same in Markdown. What a note says is text there, whatever it looks like."""
    head = [f"# {_line(note.title)}" if note.title else "", f"*{escaped(about)}*" if about else ""]
    return "\n\n".join(filter(None, (*head, *map(_section, note.sections)))) + "\n"


def escaped(text: str) -> str:
    """Text as Markdown shows it unchanged."""
    return _OPENS_A_BLOCK.sub(r"\1\\\2", _MEANS_SOMETHING.sub(r"\\\1", text))


def _section(section: NoteSection) -> str:
    blocks = [f"## {_line(section.title)}"] if section.title else []
    for problem, sentences in groupby(section.sentences, key=lambda sentence: sentence.problem):
        if problem:
            blocks.append(f"### {_line(problem)}")
        texts = [sentence.text for sentence in sentences]
        if section.style is Style.BULLET_POINTS:
            blocks.append("\n".join(f"- {_line(text)}" for text in texts))
        else:
            blocks.append(escaped(" ".join(texts)).replace("\n", "\\\n"))
    return "\n\n".join(blocks)


def _line(text: str) -> str:
    return escaped(" ".join(text.split()))
