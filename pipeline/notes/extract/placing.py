"""What the rules that place passages have in common."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

from pipeline.notes.english.cues import Cue
from pipeline.notes.english.questions import lead_length
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.note import Topic

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


LEAST_BESIDE_CHATTER = 3  # hints that make a sentence with a courtesy in it worth noting
TARGETS: Final = word_set("goal target below under above want should")  # a figure to reach, not one measured
GENERAL: Final = word_set("usually people someone anyone generally typically sometimes often whenever")


# Talk of self-harm: too dangerous to leave out.
SELF_HARM: Final = re.compile(
    r"\b(?:(?:hurt|harm|kill|cut)(?:ing)? (?:myself|yourself|themselves|himself|herself)|suicid\w+|overdos\w+"
    r"|end(?:ing)? (?:my|your) (?:own )?life|better off dead"
    r"|(?:want(?:ed|ing)?|wish(?:ed)?) (?:to die|i (?:was|were) dead)"
    r"|want(?:ed|ing)? to (?:live|be alive|be here) any ?more|not (?:want(?:ed|ing)?) to (?:live|be alive|wake up))\b"
)


def has(found: Found, *kinds: Cue) -> bool:
    """Whether any of the kinds occurs."""
    return not found.keys().isdisjoint(kinds)


def forbids(said: Sequence[str]) -> bool:
    """Whether a doctor tells what not to do: "please don't put any weight on your foot"."""
    begin = lead_length(said)
    told = tuple(said[begin + (list(said[begin : begin + 1]) == ["please"]) :][:2])
    return told[:1] == ("don't",) or told == ("do", "not")


def is_for_a_machine(said: Sequence[str]) -> bool:
    """Whether a doctor asks somebody, or a machine, to show something: "show me the x-ray"."""
    return ("show" in said and ("show", "me") in pairwise(said)) or said[0] == "dragon"


def is_talk(found: Found) -> bool:
    """Courtesies, and what is only done in the room: "let me listen to your heart"."""
    if found[Cue.CHATTER] and sum(found[cue] for cue in found.keys() & CLINICAL) < LEAST_BESIDE_CHATTER:
        return True
    orders = found[Cue.ORDER] and has(found, Cue.DRUG, Cue.LAB, Cue.IMAGING, Cue.REFERRAL)
    return bool(found[Cue.PROCEDURE]) and not orders and not (found[Cue.FINDING] and found[Cue.RESULT])
