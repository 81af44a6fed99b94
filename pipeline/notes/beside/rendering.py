"""A note as plain text and as Markdown (CommonMark). Pure."""

import re
from itertools import groupby
from typing import Final

from pipeline.notes.note import Note, NoteSection, Style

_MEANS_SOMETHING: Final = re.compile(r"([\\`*_{}\[\]<>#|~&])")  # to Markdown, wherever it stands
_OPENS_A_BLOCK: Final = re.compile(r"^([^\S\n]*)([-+=])", re.MULTILINE)
_NUMBERS_AN_ITEM: Final = re.compile(r"^([^\S\n]*\d{1,9})([.)])(?=\s|$)", re.MULTILINE)  # not the point of "2.5 mg"
_LINE_BREAK: Final = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
# Control characters, and those that turn the direction of writing, which make a text look like another one.
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain_text(note: Note, about: str = "") -> str:
    """Title, what is to be known of it (`about`), and the sections below their titles."""
    blocks = [_one_line(note.title), about]
    for section in note.sections:
        blocks.append("\n".join(filter(None, (_one_line(section.title), _seen(section.text).strip()))))
    return "\n\n".join(filter(None, blocks)) + "\n"


def markdown(note: Note, about: str = "") -> str:
    """The same in Markdown. What a note says is text there, whatever it looks like."""
    head = [_heading(1, note.title), f"*{escaped(about)}*" if about else ""]
    return "\n\n".join(filter(None, (*head, *map(_section, note.sections)))) + "\n"


def escaped(text: str) -> str:
    """Text as Markdown shows it unchanged, without characters that nobody sees."""
    marked = _MEANS_SOMETHING.sub(r"\\\1", _seen(text))
    return _NUMBERS_AN_ITEM.sub(r"\1\\\2", _OPENS_A_BLOCK.sub(r"\1\\\2", marked))


def _section(section: NoteSection) -> str:
    blocks = [_heading(2, section.title)]
    for problem, sentences in groupby(section.sentences, key=lambda sentence: sentence.problem):
        blocks.append(_heading(3, problem))
        texts = [sentence.text for sentence in sentences]
        if section.style is Style.BULLET_POINTS:
            blocks.append("\n".join(f"- {line}" for line in map(_line, texts) if line))
        else:
            blocks.append(escaped(" ".join(texts)).strip().replace("\n", "\\\n"))
    return "\n\n".join(filter(None, blocks))


def _heading(level: int, text: str) -> str:
    line = _line(text)
    return f"{'#' * level} {line}" if line else ""


def _line(text: str) -> str:
    return escaped(_one_line(text))


def _one_line(text: str) -> str:
    return " ".join(_seen(text).split())


def _seen(text: str) -> str:
    """Text of lines, without characters that nobody sees."""
    return _UNSEEN.sub("", _LINE_BREAK.sub("\n", text))
