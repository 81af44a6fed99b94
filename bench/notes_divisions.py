"""Parts of a note that can be compared whatever its headings are: our notes and references, cut in four. Pure.

The four divisions are those of aci-bench's evaluation (Yim et al. 2023).
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from pipeline.notes.note import Note, Topic


class Division(StrEnum):
    SUBJECTIVE = "subjective"
    EXAM = "exam"
    RESULTS = "results"
    PLAN = "assessment and plan"


DIVISION_OF: Final[Mapping[Topic, Division]] = {
    Topic.VITALS: Division.EXAM,
    Topic.EXAM: Division.EXAM,
    Topic.LABS: Division.RESULTS,
    Topic.IMAGING: Division.RESULTS,
    Topic.ASSESSMENT: Division.PLAN,
    Topic.PLAN: Division.PLAN,
    Topic.PRESCRIPTION: Division.PLAN,
    Topic.APPOINTMENTS: Division.PLAN,
}  # everything else is subjective

_HEADINGS: Final = {
    Division.SUBJECTIVE: (
        r"CHIEF COMPLAINTS?|CC|HISTORY OF PRESENT ILLNESS|HPI|SUBJECTIVE|REVIEW OF SYSTEMS|ROS|SOCIAL HISTORY"
        r"|FAMILY HISTORY|(?:PAST )?(?:MEDICAL |SURGICAL )?HISTORY|BIRTH HISTORY|(?:CURRENT )?MEDICATIONS|ALLERGIES"
    ),
    Division.EXAM: r"PHYSICAL EXAM(?:INATION)?|EXAM(?:INATION)?|VITALS(?: REVIEWED)?|VITAL SIGNS",
    Division.RESULTS: r"(?:LAB |IMAGING )?RESULTS",
    Division.PLAN: r"ASSESSMENT(?: AND PLAN)?|PLAN|IMPRESSION|INSTRUCTIONS|PROCEDURES?|ORDERS",
}
_HEADING: Final = {
    division: re.compile(rf"\s*(?:{names})\s*(?::|$)") for division, names in _HEADINGS.items()
}  # in capitals, alone in its line or before a colon


def note_text(note: Note) -> str:
    """A note as it is read: each section below its title."""
    return "\n\n".join(f"{section.title}\n\n{section.text}" for section in note.sections)


def said_in(note: Note) -> str:
    """What a note says, without its titles; a sentence a line."""
    return "\n".join(sentence.text for section in note.sections for sentence in section.sentences)


def note_divisions(note: Note) -> dict[Division, str]:
    """The sections of each division, with their titles; a section goes where its first topic does."""
    found: dict[Division, list[str]] = {}
    for section in note.sections:
        division = DIVISION_OF.get(section.topics[0], Division.SUBJECTIVE) if section.topics else Division.SUBJECTIVE
        found.setdefault(division, []).append(f"{section.title}\n\n{section.text}")
    return {division: "\n\n".join(texts) for division, texts in found.items()}


def reference_divisions(reference: str) -> dict[Division, str]:
    """The same of a reference note, whose headings stand in capitals; empty where it has none.

    What comes before the first heading is subjective.
    """
    lines = [(line, _found(line)) for line in reference.splitlines()]
    if all(found is None for _, found in lines):
        return {}
    division = Division.SUBJECTIVE
    texts: dict[Division, list[str]] = {}
    for line, found in lines:
        division = division if found is None else found[0]
        texts.setdefault(division, []).append(line)
    joined = {division: "\n".join(of).strip() for division, of in texts.items()}
    return {division: text for division, text in joined.items() if text}


def said_in_reference(reference: str) -> str:
    """What a reference note says, without its headings."""
    return "\n".join(text for _, text in headed_lines(reference))


def headed_lines(reference: str) -> Iterator[tuple[str, str]]:
    """Each line with something to say, behind the heading above it; that is empty before the first one."""
    heading = ""
    for line in reference.splitlines():
        found = _found(line)
        heading = line[: found[1]].strip() if found is not None else heading
        text = line[found[1] :].strip() if found is not None else line.strip()
        if text:
            yield heading, text


def _found(line: str) -> tuple[Division, int] | None:
    """Whether a line begins with a heading: its division, and where it ends."""
    tried = ((division, pattern.match(line)) for division, pattern in _HEADING.items())
    return next(((division, found.end()) for division, found in tried if found is not None), None)
