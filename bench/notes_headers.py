"""What a snippet of a consultation is about: the headers of MTS-Dialog, read off the note that is written of it. Pure.

A note has no section "ROS" or "EDCOURSE": what it puts into the history of the present illness counts as GENHX. So
headers are also compared in the groups that a note's keys can tell apart.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pipeline.notes.note import Note, Topic

HEADER_OF: Final[Mapping[Topic, str]] = {
    Topic.COMPLAINT: "CC",
    Topic.HISTORY: "GENHX",
    Topic.PAST_MEDICAL: "PASTMEDICALHX",
    Topic.SURGICAL: "PASTSURGICAL",
    Topic.OBSTETRIC: "GYNHX",
    Topic.FAMILY: "FAM/SOCHX",
    Topic.SOCIAL: "FAM/SOCHX",
    Topic.ALLERGIES: "ALLERGY",
    Topic.MEDICATIONS: "MEDICATIONS",
    Topic.IMMUNIZATIONS: "IMMUNIZATIONS",
    Topic.VITALS: "EXAM",
    Topic.LABS: "LABS",
    Topic.IMAGING: "IMAGING",
    Topic.EXAM: "EXAM",
    Topic.ASSESSMENT: "ASSESSMENT",
    Topic.PLAN: "PLAN",
    Topic.PRESCRIPTION: "PLAN",
    Topic.APPOINTMENTS: "PLAN",
}
GROUPS: Final = (
    frozenset({"GENHX", "CC", "ROS", "EDCOURSE"}),
    frozenset({"FAM/SOCHX"}),
    frozenset({"PASTMEDICALHX", "OTHER_HISTORY", "GYNHX"}),
    frozenset({"PASTSURGICAL", "PROCEDURES"}),
    frozenset({"IMMUNIZATIONS"}),
    frozenset({"ALLERGY"}),
    frozenset({"MEDICATIONS"}),
    frozenset({"ASSESSMENT", "DIAGNOSIS", "PLAN", "DISPOSITION"}),
    frozenset({"EXAM", "IMAGING", "LABS"}),
)
NONE = ""  # of a snippet of which nothing was noted


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """How often the header was right."""

    snippets: int
    accuracy: float
    macro_f1: float  # mean of the headers that occur
    grouped_accuracy: float
    grouped_macro_f1: float


def header_of(note: Note | None) -> str:
    """The header of the topic on which a note has most words; of several the first."""
    lengths: Counter[str] = Counter()
    for section in note.sections if note is not None else ():
        if section.topics:
            lengths[HEADER_OF[section.topics[0]]] += sum(len(one.text.split()) for one in section.sentences)
    return max(lengths, key=lambda header: lengths[header], default=NONE)


def classified(wanted: Sequence[str], found: Sequence[str]) -> Classified:
    """Headers of snippets against those found, in the same order."""
    groups, grouped = list(map(_group, wanted)), list(map(_group, found))
    return Classified(
        snippets=len(wanted),
        accuracy=_accuracy(wanted, found),
        macro_f1=_macro_f1(wanted, found),
        grouped_accuracy=_accuracy(groups, grouped),
        grouped_macro_f1=_macro_f1(groups, grouped),
    )


def _group(header: str) -> str:
    """A group is named by the first of its headers in alphabetical order."""
    return next((min(group) for group in GROUPS if header in group), header)


def _accuracy(wanted: Sequence[str], found: Sequence[str]) -> float:
    pairs = list(zip(wanted, found, strict=True))
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else 0.0


def _macro_f1(wanted: Sequence[str], found: Sequence[str]) -> float:
    names = set(wanted)
    return sum(_f1(name, wanted, found) for name in names) / len(names) if names else 0.0


def _f1(name: str, wanted: Sequence[str], found: Sequence[str]) -> float:
    right = sum(one == other == name for one, other in zip(wanted, found, strict=True))
    return 2 * right / (wanted.count(name) + found.count(name)) if right else 0.0
