"""A clinician's own notes, dictated or typed: nobody asks or answers, and headings may say where things belong."""

from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.units import Unit
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.note import Topic
from pipeline.types import Role

LONGEST_HEADING = 4  # words
LONGEST_DICTATION = 2_000  # words
TALKING = 0.1  # share of units with "I" or "you" from which a text is a talk
PERSONAL: Final = word_set("i i'm i've i'd my me you your you're you've")
HEADINGS: Final = {
    **dict.fromkeys(("cc", "chief complaint", "complaint", "reason for visit"), Topic.HISTORY),
    **dict.fromkeys(("s", "subjective", "hpi", "history of present illness"), Topic.HISTORY),
    **dict.fromkeys(("ros", "review of systems"), Topic.HISTORY),
    **dict.fromkeys(("pmh", "pmhx", "past medical history", "medical history", "past history"), Topic.PAST_MEDICAL),
    **dict.fromkeys(("psh", "pshx", "past surgical history", "surgical history"), Topic.SURGICAL),
    **dict.fromkeys(("ob", "obstetric history"), Topic.OBSTETRIC),
    **dict.fromkeys(("fh", "fhx", "family history"), Topic.FAMILY),
    **dict.fromkeys(("sh", "shx", "social history"), Topic.SOCIAL),
    **dict.fromkeys(("allergies", "allergy"), Topic.ALLERGIES),
    **dict.fromkeys(("meds", "medications", "current medications", "current meds"), Topic.MEDICATIONS),
    **dict.fromkeys(("immunizations", "vaccinations"), Topic.IMMUNIZATIONS),
    **dict.fromkeys(("vitals", "vs", "vital signs"), Topic.VITALS),
    **dict.fromkeys(("o", "objective", "exam", "pe", "physical exam", "examination", "on exam"), Topic.EXAM),
    **dict.fromkeys(("labs", "lab results", "results"), Topic.LABS),
    **dict.fromkeys(("imaging", "x-ray", "mri", "ct", "ekg", "ecg"), Topic.IMAGING),
    **dict.fromkeys(("a", "assessment", "impression", "dx", "diagnosis", "imp"), Topic.ASSESSMENT),
    **dict.fromkeys(("p", "plan", "a/p", "assessment and plan", "recommendations"), Topic.PLAN),
    **dict.fromkeys(("rx", "prescription", "prescriptions"), Topic.PRESCRIPTION),
    **dict.fromkeys(("f/u", "follow up", "follow-up", "disposition"), Topic.APPOINTMENTS),
}  # fmt: skip


def is_dictated(units: Sequence[Unit]) -> bool:
    """Whether a text is one clinician's notes: no speaker is named, nobody asks, hardly anybody says "I" or "you"."""
    if not units or sum(len(unit.words) for unit in units) > LONGEST_DICTATION:
        return False
    if any(unit.role is not Role.UNSPECIFIED or unit.question for unit in units):
        return False
    return sum(not PERSONAL.isdisjoint(unit.words) for unit in units) < TALKING * len(units) or (
        len(units) < 1 / TALKING and all(PERSONAL.isdisjoint(unit.words) for unit in units)
    )


def heading(tokens: Sequence[str]) -> Topic | None:
    """Where the heading before a colon sends what follows: "PMH: asthma"."""
    for length in range(1, min(LONGEST_HEADING, len(tokens) - 1) + 1):
        if tokens[length] == ":":
            return HEADINGS.get(" ".join(token.lower() for token in tokens[:length]))
    return None
