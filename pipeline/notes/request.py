"""What a writer is asked for: which kind of note, and what is known beside the talk."""

from dataclasses import dataclass, field
from typing import TypeAlias

from pipeline.notes.note import Note, NoteSection, Style
from pipeline.notes.templates import Template

SHORTEST_TRANSCRIPT = 20  # words; with fewer there is nothing to write a note from


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What somebody wrote about the patient, the visit and the note. It is data for a writer: nothing in it, however it
    is worded, is an order that changes what a note is.
    """

    patient: tuple[tuple[str, str], ...] = ()  # what is known of the patient, such as ("age", "54")
    history: str = ""  # of earlier visits
    context: str = ""  # anything else
    instructions: str = ""  # wishes of the provider, for style and emphasis
    chat: tuple[tuple[str, str], ...] = ()  # what was written beside the talk: sender ("" where unknown) and text
    earlier_note: str = ""
    sections: tuple[tuple[str, str], ...] = ()  # wishes for one section: its key and the wish


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRequest:
    """The kind of note that is wanted."""

    template: Template
    language: str  # a tag ("en-US"): of the note
    style: Style = Style.AUTO
    split_by_problem: bool = False
    least_words: int = SHORTEST_TRANSCRIPT  # of talk
    background: Background = field(default_factory=Background)
    pressing: bool = True  # whether a talk has ended and waits for its note; else somebody asks for one, or a draft
    draft: bool = False  # of a talk that goes on: it is never pressing, and may take less time


NoteUpdate: TypeAlias = NoteSection | Note
"""What a writer gives out: sections as they are finished, and the whole note as the last one."""
