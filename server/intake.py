"""What a client knows of an encounter when it opens it: about the patient, of consent, what its API is to answer.

All of it is stored sealed, with the encounter. Façades fill it from their own fields.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from pipeline.notes.request import Background


class Patient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is treated, as far as the client says."""

    name: str = ""
    age: int | None = None  # years
    birth_date: str = ""  # ISO 8601
    gender: str = ""  # in the client's own words
    medical_history: str = ""
    medications: tuple[str, ...] = ()
    allergies: tuple[str, ...] = ()


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was written beside the talk."""

    text: str
    sender: str = ""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """That the patient agreed to be recorded. Obtaining it is the platform's duty; this is what it told."""

    given_by: str
    at: str  # ISO 8601
    method: str  # such as "spoken" or "form"


class Intake(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """See the module."""

    patient: Patient = Patient()
    history: str = ""  # of earlier visits
    instructions: str = ""  # for the note
    context: str = ""  # anything else, as free text
    earlier_note: str = ""  # to be carried on
    sections: dict[str, str] = {}  # wishes for single sections of the note, by key
    chat: tuple[ChatMessage, ...] = ()
    consent: Consent | None = None
    expected: tuple[str, ...] = ()  # words that are likely to be said
    extra: dict[str, Any] = {}  # what only the façade reads that wrote it


NOTHING = Intake()
MAX_NAME = 64  # characters of a name that a recogniser is told: what is longer is none


def spoken_names(intake: Intake) -> tuple[str, ...]:
    """Names that are likely to be said, for the recogniser to spell as the client does."""
    name = " ".join(intake.patient.name.split())
    return (name,) if 0 < len(name) <= MAX_NAME else ()


def background(intake: Intake) -> Background:
    """What a note's writer is told. Not the consent, and nothing that only a façade reads."""
    return Background(
        patient=tuple(_known(intake.patient)),
        history=intake.history,
        context=intake.context,
        instructions=intake.instructions,
        chat=tuple((message.sender, message.text) for message in intake.chat),
        earlier_note=intake.earlier_note,
        sections=tuple(intake.sections.items()),
    )


def _known(patient: Patient) -> Iterator[tuple[str, str]]:
    """What is known of the patient. The name is left out: a note needs none, and a model elsewhere must not get it."""
    facts = {
        "age in years": "" if patient.age is None else str(patient.age),
        "date of birth": patient.birth_date,
        "gender": patient.gender,
        "medical history": patient.medical_history,
        "medications": ", ".join(patient.medications),
        "allergies": ", ".join(patient.allergies),
    }
    return ((name, fact) for name, fact in facts.items() if fact)
