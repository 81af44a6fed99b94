"""Who speaks a unit, where nobody declared it: a guess from wording, or none.

A guess never overrides a declared role. What stays unspecified is only ever quoted.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from pipeline.notes.units import Unit
from pipeline.notes.vocabulary import word_set
from pipeline.types import Role

FIRST_PERSON: Final = word_set("i i'm i've i'd i'll my me myself")
SECOND_PERSON: Final = word_set("you your you're you've you'll")
INTENTS: Final = (
    ("i'm", "going", "to"),
    ("we're", "going", "to"),
    ("going", "to", "prescribe"),
    ("i'd", "like", "you"),
    ("i", "want", "you"),
    ("i", "would", "like"),
    ("i", "recommend"),
    ("i", "think", "you"),
    ("i", "think", "this"),
    ("i", "think", "it's"),
    ("i", "don't", "think", "this"),
    ("i", "do", "not", "think", "this"),
    ("i", "don't", "think", "you"),
    ("i", "do", "not", "think", "you"),
    ("let's",),
    ("we'll",),
    ("we", "will"),
)
REPLY_WEIGHT = 2.0  # words right behind a doctor's question are most likely the patient's
INTENT_WEIGHT = 3.0
MARGIN = 1.0  # closer than this is no guess


def with_guessed_roles(units: Iterable[Unit]) -> list[Unit]:
    """The units, those of unspecified role with the role that their wording and their place suggest."""
    guessed: list[Unit] = []
    asked = False
    for unit in units:
        if unit.role is Role.UNSPECIFIED:
            role = _guess(unit, asked)
            unit = unit if role is Role.UNSPECIFIED else replace(unit, role=role)
        asked = unit.question and unit.role is Role.DOCTOR
        guessed.append(unit)
    return guessed


def _guess(unit: Unit, asked: bool) -> Role:
    first = sum(word in FIRST_PERSON for word in unit.words)
    second = sum(word in SECOND_PERSON for word in unit.words) + ("your" in unit.words)
    if unit.question:
        return Role.PATIENT if first and not second else Role.DOCTOR
    said = f" {' '.join(unit.words)} "
    intent = any(f" {' '.join(phrase)} " in said for phrase in INTENTS)
    patient = first + (REPLY_WEIGHT if asked else 0.0)
    doctor = second + (INTENT_WEIGHT if intent else 0.0)
    if abs(patient - doctor) < MARGIN:
        return Role.UNSPECIFIED
    return Role.PATIENT if patient > doctor else Role.DOCTOR
