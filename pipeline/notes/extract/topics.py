"""What each passage is about and how much it says: rules over its cues, and learned weights.

Who speaks decides which rules are tried: what a patient reports is never an examination finding, what a doctor explains
is never a symptom. What fits nothing gets no place in the note.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.units import Unit
from pipeline.notes.english.wording import negations
from pipeline.notes.extract.deciding import SURE, decided
from pipeline.notes.extract.dictation import heading
from pipeline.notes.extract.exchanges import Exchange, Passage
from pipeline.notes.extract.hints import Hinted, hinted
from pipeline.notes.extract.placing import CLINICAL, Place
from pipeline.notes.extract.reported import goes_on, reported
from pipeline.notes.extract.scoring import SECTIONS, Matrix, section_weights
from pipeline.notes.extract.stated import stated
from pipeline.notes.note import Topic
from pipeline.types import Role

SHORTEST_STATEMENT = 3  # words
SHORTEST_FINDING = 2  # the same for "no radiculopathy", "lungs clear"
LONGEST_STATEMENT = 45  # words; longer unmarked speech says too many things at once to be one sentence
NAMED: Final = SURE | {Topic.LABS, Topic.IMAGING}  # topics that need no heading
LONGEST_WITH_DRUG = 75  # the same for what names a medicine, which must not get lost
SINGLE_SIDES: Final = frozenset({"left", "right"})
COMPLAINT_BY = 0.4  # part of the talk in which the complaint is named
COMPLAINT_SCORE = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A passage that belongs into the note."""

    passage: Passage
    topic: Topic
    score: float  # how much it says; only compared within a topic
    told: float  # how much of the present illness the rules see in it
    order: int  # its place among the passages of the talk


def place(passages: Iterable[Passage], *, dictated: bool = False) -> list[Placed]:
    """The passages worth noting, each with its topic, in spoken order. At most one is the complaint.

    `dictated`: they are a clinician's own notes, of which nothing is left out.
    """
    seen = hinted(passages)
    return _with_complaint(list(_of_dictation(seen) if dictated else _of_talk(seen, section_weights().scores(seen))))


def _of_talk(seen: Sequence[Hinted], scores: Matrix) -> Iterator[Placed]:
    before: Topic | None = None
    for order, (one, likely) in enumerate(zip(seen, scores.tolist(), strict=True)):
        is_sentence = _is_sentence(one)
        rule = _by_rules(one, before) if is_sentence else None
        before = rule.topic if rule is not None else None
        if not is_sentence:
            continue
        following = seen[order + 1] if order + 1 < len(seen) else None
        if following is not None and is_set_right(one, following):
            continue
        if (place := decided(one, rule, dict(zip(SECTIONS, likely, strict=True)))) is not None:
            yield _placed(one, place, rule, order)


def _of_dictation(seen: Sequence[Hinted]) -> Iterator[Placed]:
    """Each passage below its heading, or else where the rules put it, or with the one before it."""
    headed: Topic | None = None
    before = Topic.HISTORY
    for order, one in enumerate(seen):
        own = heading(one.passage.tokens) if isinstance(one.passage, Unit) else None
        rule = _by_rules(one, before)
        headed = own or headed
        sure = rule.topic if rule is not None and rule.topic in NAMED else None
        before = own or sure or headed or (rule.topic if rule is not None else before)
        yield _placed(one, Place(before), rule, order)


def is_set_right(one: Hinted, following: Hinted) -> bool:
    """Whether a patient takes the side that the doctor named for the wrong one: "it's not the right knee"."""
    if one.passage.role is not Role.DOCTOR or following.passage.role is not Role.PATIENT:
        return False
    reply = following.own
    wrong = SINGLE_SIDES.intersection(one.own).intersection(reply)
    return bool(wrong) and negations(reply) > 0 and not (SINGLE_SIDES - wrong).isdisjoint(reply)


def _placed(one: Hinted, place: Place, rule: Place | None, order: int) -> Placed:
    told = rule.score if rule is not None and rule.topic is Topic.HISTORY else 0.0
    return Placed(passage=one.passage, topic=place.topic, score=place.score, told=told, order=order)


def _is_sentence(one: Hinted) -> bool:
    """Whether a passage is neither too short nor too long to say one thing."""
    count = len(one.own) + len(one.question)
    longest = LONGEST_WITH_DRUG if one.found[Cue.DRUG] else LONGEST_STATEMENT
    if isinstance(one.passage, Exchange):
        return count <= longest
    finds = one.own[0] == "no" or one.found[Cue.FINDING]
    shortest = SHORTEST_FINDING if finds and not CLINICAL.isdisjoint(one.found) else SHORTEST_STATEMENT
    return shortest <= count <= longest


def _by_rules(one: Hinted, before: Topic | None) -> Place | None:
    passage, found = one.passage, one.found
    if CLINICAL.isdisjoint(found):
        goes = before is not None and passage.role is Role.PATIENT and goes_on(passage, before)
        return Place(before) if before is not None and goes else None
    if isinstance(passage, Exchange) or passage.role is Role.PATIENT:
        return reported(passage, found, before)
    place = stated(passage, found, one.examining)
    return reported(passage, found, before) if place is None and passage.role is Role.UNSPECIFIED else place


def _with_complaint(placed: list[Placed]) -> list[Placed]:
    """The first thing of weight that the patient (or an introduction) names is why the patient came."""
    for index, one in enumerate(placed):
        if one.passage.position > COMPLAINT_BY:
            break
        aside = isinstance(one.passage, Exchange) and not cues(one.passage.asked)[Cue.OPENING]
        if one.topic is Topic.HISTORY and one.told >= COMPLAINT_SCORE and not aside:
            placed[index] = replace(one, topic=Topic.COMPLAINT)
            break
    return placed
