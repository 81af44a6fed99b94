"""What the rules see in each passage of a talk: the same for placing it by rules and for scoring it by weights."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.notes.cues import Cue, cues
from pipeline.notes.exchanges import Exchange, Passage
from pipeline.notes.placing import Found
from pipeline.notes.wording import words
from pipeline.types import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """A passage with its hints."""

    passage: Passage
    found: Found  # of all its words
    asked: Found  # of its question alone; empty for a statement
    examining: bool  # an examination was announced before it, or by it


def hinted(passages: Iterable[Passage]) -> list[Hinted]:
    """The passages with their hints, in the same order."""
    seen: list[Hinted] = []
    examining = False
    for passage in passages:
        found = cues(passage.words)
        asked = cues(words(passage.question)) if isinstance(passage, Exchange) else Counter[Cue]()
        examining = examining or (passage.role is not Role.PATIENT and found[Cue.PROCEDURE] > 0)
        seen.append(Hinted(passage=passage, found=found, asked=asked, examining=examining))
    return seen
