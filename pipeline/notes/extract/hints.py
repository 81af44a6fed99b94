"""What the rules see in each passage of a talk: the same for placing it by rules and for scoring it by weights."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.extract.exchanges import Exchange, Passage
from pipeline.notes.extract.placing import Found
from pipeline.types import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """A passage with its hints."""

    passage: Passage
    own: Sequence[str]  # the words of a statement, or of a reply
    question: Sequence[str]  # the words of the question that it answers
    found: Found  # of all its words
    asked: Found  # of its question alone; empty for a statement
    examining: bool  # an examination was announced before it, or by it

    @property
    def said(self) -> Sequence[str]:
        """All its words."""
        return (*self.question, *self.own) if self.question else self.own


def hinted(passages: Iterable[Passage]) -> list[Hinted]:
    """The passages with their hints, in the same order."""
    seen: list[Hinted] = []
    examining = False
    for passage in passages:
        if isinstance(passage, Exchange):
            own, question = passage.replied, passage.asked
        else:
            own, question = passage.words, ()
        asked = cues(question)
        found = asked + cues(own) if asked else cues(own)
        examining = examining or (passage.role is not Role.PATIENT and found[Cue.PROCEDURE] > 0)
        one = Hinted(passage=passage, own=own, question=question, found=found, asked=asked, examining=examining)
        seen.append(one)
    return seen
