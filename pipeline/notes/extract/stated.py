"""Where to note what a doctor says. Tried from the surest rule to the vaguest; explanations get no place."""

from typing import Final

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.questions import lead_length
from pipeline.notes.english.units import Unit
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.extract.placing import EXAM_FROM, GENERAL, STEPS, TARGETS, Found, Place, forbids, has, is_talk
from pipeline.notes.note import Topic

EXAM_SCORE = 1.0

NARRATED: Final = word_set("you're you've you were been he she patient is has had")  # no instruction
THIRD_PERSON: Final = word_set("patient patient's he she his her")
NO_COMMAND: Final = word_set("you i it he she this that so your")
OF_THE_PATIENT: Final = word_set("you you're you've your")
COPULAS: Final = word_set("is was are were came looks")  # "repeat blood pressure is 130/80" commands nothing
TOLD_TAKING: Final = word_set("taking takes using uses")
POSSIBLE: Final = word_set("will would can could may might should must helps")
BEFORE_TAKING: Final = word_set("currently still also and is been now patient he she")
SUBORDINATING: Final = word_set("if until when that which what unless so because")
OBJECTS_OF_ORDERS: Final = (Cue.BODY, Cue.SYMPTOM, Cue.CONDITION, Cue.TIME, Cue.SOCIAL, Cue.VITAL)


def stated(unit: Unit, found: Found, examining: bool) -> Place | None:
    """The place of a doctor's statement; `examining` says that an examination was announced before it."""
    if is_talk(found):
        return None
    if found[Cue.CONDITIONAL]:
        return _advised(found)
    if found[Cue.RECALL] and has(found, Cue.SYMPTOM, Cue.CONDITION) and not found[Cue.INTENT]:
        return Place(Topic.HISTORY, 1.2 + 0.3 * min(3, found[Cue.SYMPTOM]))
    if found[Cue.DRUG] and _tells_of_taking(unit):
        return Place(Topic.MEDICATIONS, 2.0)
    if (has(found, Cue.INTENT, Cue.DUTY) or _commands(unit)) and (place := _planned(found)):
        return place
    if forbids(unit.words):
        return _planned(found) or Place(Topic.PLAN)
    if found[Cue.VISIT] and found[Cue.TIME]:
        return Place(Topic.APPOINTMENTS, 2.0)
    if found[Cue.ALLERGY] and not found[Cue.OPINION] and "reaction" not in unit.words:
        return Place(Topic.ALLERGIES, 2.0)
    if found[Cue.INTRODUCTION] and not examining:
        return Place(Topic.HISTORY, 2.0 + 0.3 * min(3, found[Cue.SYMPTOM]))
    return _observed(unit, found, examining) or _concluded(unit, found)


def _advised(found: Found) -> Place | None:
    """What to do if something happens: never something that happened."""
    if found[Cue.VISIT] and found[Cue.TIME] and not has(found, Cue.SYMPTOM, Cue.COURSE):
        return Place(Topic.APPOINTMENTS)
    if has(found, *STEPS, Cue.VISIT, Cue.ORDER, Cue.SYMPTOM, Cue.COURSE):
        return Place(Topic.PLAN, 1.5 + 0.3 * min(2, found[Cue.SYMPTOM]))
    return None


def _commands(unit: Unit) -> bool:
    """Whether a sentence tells the patient to do something: "rest in a dark room"."""
    if unit.words[0] in NO_COMMAND:
        return False
    said = unit.words[lead_length(unit.words) :]
    states = next((word for word in said if word in COPULAS or word in SUBORDINATING), "") in COPULAS
    return not states and has(cues(said[:2]), Cue.ADVICE, Cue.ORDER)


def _planned(found: Found) -> Place | None:
    """An intention or an instruction, if it is about anything."""
    score = 1.5 + 0.3 * min(4, found[Cue.ORDER] + found[Cue.ADVICE] + found[Cue.DRUG] + found[Cue.REFERRAL])
    if found[Cue.PRESCRIBING] and found[Cue.DRUG]:
        return Place(Topic.PRESCRIPTION, score)
    if found[Cue.VISIT]:
        return Place(Topic.APPOINTMENTS, score)
    orders = found[Cue.ORDER] > 1 or (found[Cue.ORDER] and has(found, *OBJECTS_OF_ORDERS))
    return Place(Topic.PLAN, score) if orders or has(found, *STEPS) else None


def _observed(unit: Unit, found: Found, examining: bool) -> Place | None:
    """What was measured, tested or found."""
    figure = any(word[0].isdigit() for word in unit.words)
    if found[Cue.VITAL] and TARGETS.intersection(unit.words):
        return Place(Topic.PLAN)
    if found[Cue.VITAL] and found[Cue.RECALL]:
        return Place(Topic.HISTORY)
    if found[Cue.VITAL] and (figure or found[Cue.RESULT]):
        return Place(Topic.VITALS, 2.0 + figure)
    if found[Cue.IMAGING] and has(found, Cue.RESULT, Cue.FINDING, Cue.CONDITION):
        return Place(Topic.IMAGING, 2.0)
    if found[Cue.LAB] and (found[Cue.RESULT] or figure):
        return Place(Topic.LABS, 2.0 + figure)
    near = examining or found[Cue.SENSED] > 0
    score = 0.7 * min(4, found[Cue.FINDING]) + 0.4 * (found[Cue.BODY] + min(1, found[Cue.RESULT]) + near)
    examined = found[Cue.FINDING] and unit.position >= EXAM_FROM and not found[Cue.RECALL]
    explains = not GENERAL.isdisjoint(unit.words)
    return Place(Topic.EXAM, score) if examined and not explains and score >= EXAM_SCORE else None


def _concluded(unit: Unit, found: Found) -> Place | None:
    """What the doctor makes of it, or tells of the patient."""
    if found[Cue.DRUG] and found[Cue.TAKING]:
        return Place(Topic.MEDICATIONS if NARRATED.intersection(unit.words) else Topic.PRESCRIPTION, 2.0)
    if found[Cue.OPINION] and "need" in unit.words:
        return Place(Topic.PLAN)
    if not has(found, Cue.CONDITION, Cue.SYMPTOM):
        return None
    sees = found[Cue.SENSED] and found[Cue.CONDITION] and OF_THE_PATIENT.isdisjoint(unit.words)
    if found[Cue.OPINION] or sees:  # "I see a fracture of the wrist"
        return Place(Topic.ASSESSMENT, 1.5 + 0.5 * min(2, found[Cue.CONDITION]))
    if found[Cue.INTRODUCTION] or THIRD_PERSON.intersection(unit.words):
        return Place(Topic.HISTORY, 1.2 + 0.3 * min(3, found[Cue.SYMPTOM]) + 0.8 * min(1, found[Cue.INTRODUCTION]))
    return None


def _tells_of_taking(unit: Unit) -> bool:
    """Whether a medicine is taken already, in a note without subjects: "Taking ibuprofen", not "keep taking"."""
    if not POSSIBLE.isdisjoint(unit.words):
        return False  # "taking ibuprofen may upset the stomach"
    at = next((at for at, word in enumerate(unit.words) if word in TOLD_TAKING), -1)
    return at == 0 or (at > 0 and unit.words[at - 1] in BEFORE_TAKING)
