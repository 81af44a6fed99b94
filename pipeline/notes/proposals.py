"""Billing codes that a language model proposes for a consultation; `coding` checks them."""

from dataclasses import dataclass
from enum import StrEnum


class System(StrEnum):
    """Whose code it is."""

    ICD10CM = "ICD-10-CM"
    CPT = "CPT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A code that a model returned, with the transcript items that it names for it."""

    system: System
    code: str
    description: str = ""
    items: tuple[str, ...] = ()
