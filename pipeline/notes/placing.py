"""What the rules that place passages have in common."""

from collections import Counter
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.notes.cues import Cue
from pipeline.notes.note import Topic
from pipeline.notes.vocabulary import word_set

Found: TypeAlias = Counter[Cue]
"""How often each kind of hint occurs in a passage."""

EXAM_FROM = 0.1  # part of the talk before which nothing is examined
FIRST_PERSON: Final = word_set("i i'm i've")
STEPS: Final = (
    Cue.ADVICE, Cue.REFERRAL, Cue.DRUG, Cue.MEDICATION, Cue.LAB, Cue.IMAGING, Cue.SURGERY, Cue.VACCINE,
)  # fmt: skip
CLINICAL: Final = frozenset(Cue) - {
    Cue.CHATTER, Cue.OPENING, Cue.RESULT, Cue.TIME, Cue.RECEIVED, Cue.TAKING, Cue.PROCEDURE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Place:
    """Where a passage belongs."""

    topic: Topic
    score: float = 1.5  # how much it says; only compared within a topic


def has(found: Found, *kinds: Cue) -> bool:
    """Whether any of the kinds occurs."""
    return any(found[kind] for kind in kinds)
