"""Which sentences a section keeps: the most telling ones within a budget of words, none twice, in spoken order."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeline.notes.evidence.grounding import Wording
from pipeline.notes.extract.topics import Placed
from pipeline.notes.note import NoteSentence, Topic

# Words that a topic may fill in a visit of ordinary length. What is dangerous to leave out has room for anything; of
# the history and the examination, the weights' thresholds say how much is told.
BUDGET: Final[Mapping[Topic, int]] = {
    Topic.COMPLAINT: 50,
    Topic.HISTORY: 500,
    Topic.PAST_MEDICAL: 40,
    Topic.SURGICAL: 60,
    Topic.OBSTETRIC: 60,
    Topic.FAMILY: 60,
    Topic.SOCIAL: 40,
    Topic.ALLERGIES: 400,
    Topic.MEDICATIONS: 400,
    Topic.IMMUNIZATIONS: 80,
    Topic.VITALS: 100,
    Topic.LABS: 80,
    Topic.IMAGING: 60,
    Topic.EXAM: 250,
    Topic.ASSESSMENT: 80,
    Topic.PLAN: 190,
    Topic.PRESCRIPTION: 400,
    Topic.APPOINTMENTS: 60,
}
ORDINARY_VISIT = 1500  # words of talk; longer visits get longer notes
LONGEST_GROWTH = 2.0
LEAST_ROOM = 8  # words; with less room nothing shorter is looked for
SAME = 0.8  # share of the shorter sentence's content words in the longer one that makes it a repetition


_Exact: TypeAlias = tuple[frozenset[tuple[str, int]], frozenset[tuple[str, int]], int]
"""Numbers, sides and denials of a sentence: where they differ it is not the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A sentence that could go into the note."""

    sentence: NoteSentence
    wording: Wording
    topic: Topic
    order: int  # place in the talk
    others: bool = False  # whether it speaks of somebody beside doctor and patient


class Selection:
    """Chooses topic by topic; what one topic has said no other says again.

    `written` makes sentences of a passage: only of those that there may be room for. `complete`: there is room for all.
    """

    def __init__(
        self,
        placed: Iterable[Placed],
        written: Callable[[Placed], Iterable[Candidate]],
        spoken: int,
        *,
        complete: bool = False,
    ) -> None:
        self._by_topic: dict[Topic, list[Placed]] = {topic: [] for topic in Topic}
        for one in placed:
            self._by_topic[one.topic].append(one)
        self._written = written
        self._growth = math.inf if complete else min(LONGEST_GROWTH, max(1.0, spoken / ORDINARY_VISIT))
        self._said: dict[_Exact, list[frozenset[str]]] = {}  # content of the sentences kept so far

    def take(self, topic: Topic) -> list[Candidate]:
        """The sentences of a topic that are kept, in spoken order."""
        room = BUDGET[topic] * self._growth
        kept: list[Candidate] = []
        for placed in sorted(self._by_topic[topic], key=lambda one: (-one.score, one.order)):
            if kept and room < LEAST_ROOM:
                break
            for one in self._written(placed):
                length = len(one.sentence.text.split())
                exact = (one.wording.numbers, one.wording.sides, one.wording.negations)
                said = self._said.setdefault(exact, [])
                if (kept and length > room) or _repeats(one.wording.content, said):
                    continue
                kept.append(one)
                said.append(one.wording.content)
                room -= length
        return sorted(kept, key=lambda one: one.order)


def _repeats(content: frozenset[str], said: Iterable[frozenset[str]]) -> bool:
    """Whether a sentence says the same as one of those that agree with it in numbers, sides and denials."""
    length = len(content)
    return any(len(content & other) >= SAME * min(length, len(other)) for other in said)
