"""Consultations as lists of lines, with and without what a recogniser may leave out."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.notes.extract.extractive import write_note
from pipeline.notes.note import Note, NoteSentence
from pipeline.notes.templates import read_templates
from pipeline.types import Role, Utterance

TEMPLATES = read_templates(Path(__file__).parents[3] / "config" / "templates")
GENERAL = TEMPLATES["GENERAL_MEDICINE"]
SOAP = TEMPLATES["SOAP"]

ROLES = {"D": Role.DOCTOR, "P": Role.PATIENT, "U": Role.UNSPECIFIED}
SECOND = 16_000  # samples

# Enough ordinary talk around a few lines under test that the transcript is long enough for a note.
OPENING = ("D: What brings you in today?", "P: I have had a headache for three days and it is getting worse.")
CLOSING = ("D: I think this is a migraine.", "D: Please rest in a dark room and drink plenty of water.")


def talk(*lines: str) -> list[Utterance]:
    """Utterances from lines such as "P: I have a cough."; the ids are "0", "1", …"""
    parted = [line.split(": ", 1) for line in lines]
    return [
        Utterance(
            id=str(index),
            stream=who,
            role=ROLES[who],
            start=index * 5 * SECOND,
            end=(index * 5 + 4) * SECOND,
            text=text,
        )
        for index, (who, text) in enumerate(parted)
    ]


def visit(*lines: str) -> list[Utterance]:
    """The lines between an opening and a closing."""
    return talk(*OPENING, *lines, *CLOSING)


def unmarked(items: Sequence[Utterance]) -> list[Utterance]:
    """The items as a recogniser writes them that knows neither capitals nor marks."""
    return [replace(item, text=re.sub(r"[.,;:?!]", "", item.text).lower()) for item in items]


def without_roles(items: Sequence[Utterance]) -> list[Utterance]:
    """The items as one stream with nobody's name on it."""
    return [replace(item, role=Role.UNSPECIFIED, stream="room") for item in items]


def general(items: Sequence[Utterance]) -> Note:
    return write_note(items, GENERAL, language="en-US")


def sentences(note: Note, key: str | None = None) -> list[NoteSentence]:
    """The sentences of a note, or of one section of it."""
    return [one for section in note.sections if key in (None, section.key) for one in section.sentences]


def texts(note: Note, key: str | None = None) -> list[str]:
    return [one.text for one in sentences(note, key)]


def written(*lines: str) -> str:
    """Everything the note of a visit with these lines says, with and without marks in the transcript, in lower case."""
    items = visit(*lines)
    return " | ".join(text.lower() for one in (items, unmarked(items)) for text in texts(general(one)))
