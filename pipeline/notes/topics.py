"""What each passage is about and how much it says, by rules over its cues.

Who speaks decides which rules are tried: what a patient reports is never an examination finding, what a doctor explains
is never a symptom. What fits nothing gets no place in the note.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pipeline.notes.cues import Cue, cues
from pipeline.notes.exchanges import Exchange, Passage
from pipeline.notes.note import Topic
from pipeline.notes.placing import CLINICAL, Found, Place
from pipeline.notes.reported import goes_on, reported
from pipeline.notes.stated import stated
from pipeline.notes.wording import words
from pipeline.types import Role

SHORTEST_STATEMENT = 3  # words
LONGEST_STATEMENT = 45  # words; longer unmarked speech says too many things at once to be one sentence
COMPLAINT_BY = 0.4  # part of the talk in which the complaint is named
COMPLAINT_SCORE = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A passage that belongs into the note."""

    passage: Passage
    topic: Topic
    score: float  # how much it says; only compared within a topic
    order: int  # its place among the passages of the talk


def place(passages: Iterable[Passage]) -> list[Placed]:
    """The passages worth noting, each with its topic, in spoken order. At most one is the complaint."""
    return _with_complaint(list(_placed(passages)))


def _placed(passages: Iterable[Passage]) -> Iterator[Placed]:
    examining = False
    before: Topic | None = None
    for order, passage in enumerate(passages):
        found = cues(passage.words)
        examining = examining or (passage.role is not Role.PATIENT and found[Cue.PROCEDURE] > 0)
        place = _place(passage, found, examining, before)
        if place is not None:
            yield Placed(passage=passage, topic=place.topic, score=place.score, order=order)
        before = place.topic if place is not None else None


def _place(passage: Passage, found: Found, examining: bool, before: Topic | None) -> Place | None:
    count = len(passage.words)
    exchange = isinstance(passage, Exchange)
    if count > LONGEST_STATEMENT or (count < SHORTEST_STATEMENT and not exchange):
        return None
    if CLINICAL.isdisjoint(found):
        goes = before is not None and passage.role is Role.PATIENT and goes_on(passage, before)
        return Place(before) if before is not None and goes else None
    if isinstance(passage, Exchange) or passage.role is Role.PATIENT:
        return reported(passage, found, before)
    place = stated(passage, found, examining)
    return reported(passage, found, before) if place is None and passage.role is Role.UNSPECIFIED else place


def _with_complaint(placed: list[Placed]) -> list[Placed]:
    """The first thing of weight that the patient (or an introduction) names is why the patient came."""
    for index, one in enumerate(placed):
        if one.passage.position > COMPLAINT_BY:
            break
        aside = isinstance(one.passage, Exchange) and not cues(words(one.passage.question))[Cue.OPENING]
        if one.topic is Topic.HISTORY and one.score >= COMPLAINT_SCORE and not aside:
            placed[index] = replace(one, topic=Topic.COMPLAINT)
            break
    return placed
