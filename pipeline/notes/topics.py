"""What each passage is about and how much it says, by rules over its cues.

The rules are tried from the surest to the vaguest, and who speaks decides which ones: what a patient reports is never
an examination finding, what a doctor explains is never a symptom. What fits nothing gets no place in the note.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeline.notes.cues import Cue, cues
from pipeline.notes.exchanges import Answer, Exchange, Passage
from pipeline.notes.note import Topic
from pipeline.notes.questions import lead_length
from pipeline.notes.units import Unit
from pipeline.notes.vocabulary import word_set
from pipeline.notes.wording import SIDES, words
from pipeline.types import Role

SHORTEST_STATEMENT = 3  # words
LONGEST_STATEMENT = 45  # words; longer unmarked speech says too many things at once to be one sentence
COMPLAINT_BY = 0.4  # part of the talk in which the complaint is named
COMPLAINT_SCORE = 1.2
HISTORY_SCORE = 1.0
ADJACENT = 0.4  # what follows the story belongs to it more likely
EXAM_SCORE = 1.0
EXAM_FROM = 0.1  # part of the talk before which nothing is examined

# Diseases that are the present complaint more often than a past one.
ACUTE: Final = word_set(
    """
    cold flu virus viral infection sprain strain covid fracture tear broken bronchitis
    """
)
PRESENT_TAKING: Final = word_set("take takes taking use using on i'm")
PAST_TAKING: Final = word_set("took tried stopped used ran quit gave")
FIRST_PERSON: Final = word_set("i i'm i've")
NARRATED: Final = word_set("you're you've you were been he she patient is has had")  # no instruction
AFFLICTED: Final = word_set("died passed healthy alive well deceased")
ONGOING: Final = word_set("have has had diagnosed history with i've got as")
THIRD_PERSON: Final = word_set("patient patient's he she his her")
FOLLOWS_ON: Final = word_set("it it's that that's they this those these")
INHERITED: Final = frozenset({Topic.ALLERGIES, Topic.MEDICATIONS, Topic.FAMILY, Topic.SURGICAL, Topic.PAST_MEDICAL})
COPULAS: Final = word_set("is was are were came looks")  # "repeat blood pressure is 130/80" commands nothing
SUBORDINATING: Final = word_set("if until when that which what unless so because")
RELATIVES: Final = word_set(
    """
    mother father mom mum dad brother sister brothers sisters parents grandmother grandfather grandma grandpa aunt
    uncle cousin son daughter wife husband kids children
    """
)
THEM: Final = word_set("he he's she she's his her they they're")
TARGETS: Final = word_set("goal target below under above want should")  # a figure to reach, not one measured
GENERAL: Final = word_set(
    """
    usually people someone anyone generally typically sometimes often whenever
    """
)  # explanations
MEDICAL: Final = (Cue.ALLERGY, Cue.DRUG, Cue.MEDICATION, Cue.SURGERY, Cue.CONDITION, Cue.VACCINE, Cue.OBSTETRIC)
STEPS: Final = (
    Cue.ADVICE, Cue.REFERRAL, Cue.DRUG, Cue.MEDICATION, Cue.LAB, Cue.IMAGING, Cue.SURGERY, Cue.VACCINE,
)  # fmt: skip
OBJECTS_OF_ORDERS: Final = (Cue.BODY, Cue.SYMPTOM, Cue.CONDITION, Cue.TIME, Cue.SOCIAL, Cue.VITAL)
CLINICAL: Final = frozenset(Cue) - {
    Cue.CHATTER,
    Cue.OPENING,
    Cue.RESULT,
    Cue.TIME,
    Cue.RECEIVED,
    Cue.TAKING,
    Cue.PROCEDURE,
}


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
        topic, score = _judge(passage, found, examining, before)
        if topic is not None:
            yield Placed(passage=passage, topic=topic, score=score, order=order)
        before = topic


def _judge(passage: Passage, found: Counter[Cue], examining: bool, before: Topic | None) -> tuple[Topic | None, float]:
    count = len(passage.words)
    if count > LONGEST_STATEMENT or not CLINICAL.intersection(found):
        inherits = before is not None and passage.role is Role.PATIENT and _goes_on(passage, before)
        return (before, 1.0) if inherits and SHORTEST_STATEMENT <= count <= LONGEST_STATEMENT else (None, 0.0)
    if isinstance(passage, Exchange):
        return _reported(passage, found, before)
    if count < SHORTEST_STATEMENT:
        return None, 0.0
    if passage.role is Role.PATIENT:
        return _reported(passage, found, before)
    topic, score = _stated(passage, found, examining)
    if topic is None and passage.role is Role.UNSPECIFIED:
        topic, score = _reported(passage, found, before)
    return topic, score


def _reported(passage: Passage, found: Counter[Cue], before: Topic | None) -> tuple[Topic | None, float]:
    """What a patient says, or answers."""
    said = frozenset(passage.words)
    asked = isinstance(passage, Exchange)
    if before is not None and _goes_on(passage, before):
        return before, 1.5
    if _of_a_relative(passage.words) and any(found[cue] for cue in MEDICAL):
        return Topic.FAMILY, 2.0
    if found[Cue.ALLERGY] and "seasonal" not in said and not _asks_symptom(passage):
        return Topic.ALLERGIES, 3.0
    if found[Cue.FAMILY] or (found[Cue.KIN] and (found[Cue.CONDITION] or said & AFFLICTED)):
        return Topic.FAMILY, 2.0 + found[Cue.CONDITION]
    if found[Cue.OBSTETRIC]:
        return Topic.OBSTETRIC, 2.0
    if found[Cue.VACCINE]:
        return Topic.IMMUNIZATIONS, 2.0
    if found[Cue.SURGERY] and (found[Cue.RECEIVED] or asked):
        return Topic.SURGICAL, 2.0 + found[Cue.TIME]
    if asked and found[Cue.MANOEUVRE] and passage.position > EXAM_FROM:
        return Topic.EXAM, 1.5
    if _takes_now(said, found, asked):
        return Topic.MEDICATIONS, 1.5 + found[Cue.DRUG]
    if found[Cue.SOCIAL] and not found[Cue.SYMPTOM]:
        return Topic.SOCIAL, 1.5 + min(2, found[Cue.SOCIAL])
    if found[Cue.CONDITION] and not found[Cue.SYMPTOM] and said & ONGOING and not said & ACUTE:
        return Topic.PAST_MEDICAL, 1.5 + found[Cue.CONDITION]
    score = _history_score(passage, found) + (ADJACENT if before is Topic.HISTORY else 0.0)
    return (Topic.HISTORY, score) if score >= HISTORY_SCORE else (None, 0.0)


def _goes_on(passage: Passage, before: Topic) -> bool:
    """Whether a statement speaks of what the one before it named: "It gave me a rash", "He died at 60"."""
    if isinstance(passage, Exchange):
        return False
    first = passage.words[0]
    return (before in INHERITED and first in FOLLOWS_ON) or (before is Topic.FAMILY and first in THEM)


def _of_a_relative(said: Sequence[str]) -> bool:
    """Whether a relative is the subject, and nobody else: "my wife is allergic to nuts"."""
    begin = lead_length(said)
    named = said[begin : begin + 1] == ("my",) and RELATIVES.intersection(said[begin + 1 : begin + 3])
    return bool(named) and FIRST_PERSON.isdisjoint(said)


def _asks_symptom(passage: Passage) -> bool:
    """Whether only a question names allergies, and asks for something else: "short of breath with the allergies"."""
    if not isinstance(passage, Exchange) or cues(words(passage.reply))[Cue.ALLERGY]:
        return False
    return cues(words(passage.question))[Cue.SYMPTOM] > 0


def _takes_now(said: frozenset[str], found: Counter[Cue], asked: bool) -> bool:
    if asked and found[Cue.MEDICATION]:
        return True
    if found[Cue.COURSE] or found[Cue.SYMPTOM]:
        return False
    if not found[Cue.DRUG] and not (found[Cue.MEDICATION] and said & FIRST_PERSON):
        return False
    return bool(said & PRESENT_TAKING) and not said & PAST_TAKING


def _history_score(passage: Passage, found: Counter[Cue]) -> float:
    score = (
        min(3, found[Cue.SYMPTOM] + min(1, found[Cue.CONDITION]))
        + 0.5 * min(2, found[Cue.BODY])
        + 0.5 * min(2, found[Cue.COURSE])
        + 0.3 * min(2, found[Cue.TIME])
        + 0.7 * min(1, found[Cue.DRUG])
        + (0.5 if found[Cue.BODY] and SIDES.intersection(passage.words) else 0.0)
        + 0.5 * (1.0 - passage.position)
    )
    if isinstance(passage, Exchange):
        score += 0.3 if found[Cue.COURSE] or passage.answer is not Answer.OTHER else 0.0
    return score - 0.6 * found[Cue.CHATTER]


def _stated(unit: Unit, found: Counter[Cue], examining: bool) -> tuple[Topic | None, float]:
    """What a doctor says (or someone of whom nobody knows who it is)."""
    clinical = sum(found[cue] for cue in CLINICAL)
    ordered = found[Cue.ORDER] and (found[Cue.DRUG] or found[Cue.LAB] or found[Cue.IMAGING] or found[Cue.REFERRAL])
    if found[Cue.PROCEDURE] and not ordered and not (found[Cue.FINDING] and found[Cue.RESULT]):
        return None, 0.0
    if found[Cue.CHATTER] and clinical < 2:
        return None, 0.0
    if found[Cue.CONDITIONAL]:
        return _advised(found)
    if found[Cue.RECALL] and (found[Cue.SYMPTOM] or found[Cue.CONDITION]) and not found[Cue.INTENT]:
        return Topic.HISTORY, 1.2 + 0.3 * min(3, found[Cue.SYMPTOM])
    intends = found[Cue.INTENT] or found[Cue.DUTY] or _commands(unit)
    if intends and (topic := _planned(found)) is not None:
        return topic, 1.5 + 0.3 * min(4, found[Cue.ORDER] + found[Cue.ADVICE] + found[Cue.DRUG] + found[Cue.REFERRAL])
    if found[Cue.VISIT] and found[Cue.TIME]:
        return Topic.APPOINTMENTS, 2.0
    if found[Cue.ALLERGY] and not found[Cue.OPINION] and "reaction" not in unit.words:
        return Topic.ALLERGIES, 2.0
    if found[Cue.INTRODUCTION] and not examining:
        return Topic.HISTORY, 2.0 + 0.3 * min(3, found[Cue.SYMPTOM])
    topic, score = _observed(unit, found, examining)
    if topic is not None:
        return topic, score
    if found[Cue.DRUG] and found[Cue.TAKING]:
        return (Topic.MEDICATIONS if NARRATED.intersection(unit.words) else Topic.PRESCRIPTION), 2.0
    if found[Cue.OPINION] and "need" in unit.words:
        return Topic.PLAN, 1.5
    if found[Cue.OPINION] and (found[Cue.CONDITION] or found[Cue.SYMPTOM]):
        return Topic.ASSESSMENT, 1.5 + 0.5 * min(2, found[Cue.CONDITION])
    retold = found[Cue.INTRODUCTION] or THIRD_PERSON.intersection(unit.words)
    if retold and (found[Cue.SYMPTOM] or found[Cue.CONDITION]):
        return Topic.HISTORY, 1.2 + 0.3 * min(3, found[Cue.SYMPTOM]) + 0.8 * min(1, found[Cue.INTRODUCTION])
    return None, 0.0


def _advised(found: Counter[Cue]) -> tuple[Topic | None, float]:
    """What to do if something happens: never something that happened."""
    if found[Cue.VISIT] and found[Cue.TIME] and not found[Cue.SYMPTOM] and not found[Cue.COURSE]:
        return Topic.APPOINTMENTS, 1.5
    useful = any(found[cue] for cue in (*STEPS, Cue.VISIT, Cue.ORDER, Cue.SYMPTOM, Cue.COURSE))
    return (Topic.PLAN, 1.5 + 0.3 * min(2, found[Cue.SYMPTOM])) if useful else (None, 0.0)


def _commands(unit: Unit) -> bool:
    """Whether a sentence tells the patient to do something: "rest in a dark room"."""
    said = unit.words[lead_length(unit.words) :]
    found = cues(said[:2])
    states = next((word for word in said if word in COPULAS or word in SUBORDINATING), "") in COPULAS
    begins = unit.words[0] not in ("you", "i", "it", "he", "she", "this", "that", "so", "your")
    return begins and not states and bool(found[Cue.ADVICE] or found[Cue.ORDER])


def _planned(found: Counter[Cue]) -> Topic | None:
    if found[Cue.PRESCRIBING] and found[Cue.DRUG]:
        return Topic.PRESCRIPTION
    if found[Cue.VISIT]:
        return Topic.APPOINTMENTS
    if any(found[cue] for cue in STEPS):
        return Topic.PLAN
    concrete = found[Cue.ORDER] and any(found[cue] for cue in OBJECTS_OF_ORDERS)
    return Topic.PLAN if concrete or found[Cue.ORDER] > 1 else None


def _observed(unit: Unit, found: Counter[Cue], examining: bool) -> tuple[Topic | None, float]:
    """What was measured, tested or found."""
    figure = any(word[0].isdigit() for word in unit.words)
    if found[Cue.VITAL] and TARGETS.intersection(unit.words):
        return Topic.PLAN, 1.5
    if found[Cue.VITAL] and (figure or found[Cue.RESULT]):
        return Topic.VITALS, 2.0 + figure
    if found[Cue.IMAGING] and (found[Cue.RESULT] or found[Cue.FINDING] or found[Cue.CONDITION]):
        return Topic.IMAGING, 2.0
    if found[Cue.LAB] and (found[Cue.RESULT] or figure):
        return Topic.LABS, 2.0 + figure
    near = examining or found[Cue.SENSED] > 0
    score = 0.7 * min(4, found[Cue.FINDING]) + 0.4 * (found[Cue.BODY] + min(1, found[Cue.RESULT]) + near)
    if GENERAL.intersection(unit.words):
        return None, 0.0
    if found[Cue.FINDING] and score >= EXAM_SCORE and unit.position >= EXAM_FROM and not found[Cue.RECALL]:
        return Topic.EXAM, score
    return None, 0.0


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
