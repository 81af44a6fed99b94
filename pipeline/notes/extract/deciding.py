"""Where a passage is noted: what the rules are sure of stands; of the rest the weights say what is worth noting, where.

Who said it sets limits to the weights: what a patient reports is no finding and no plan, and what may happen did not.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from pipeline.notes.english.cues import Cue
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import content_words
from pipeline.notes.extract.exchanges import Exchange
from pipeline.notes.extract.hints import Hinted
from pipeline.notes.extract.placing import (
    CLINICAL,
    GENERAL,
    SELF_HARM,
    TARGETS,
    Place,
    forbids,
    has,
    is_for_a_machine,
    is_talk,
)
from pipeline.notes.note import Topic
from pipeline.types import Role

# Likelihood from which a passage is noted in a section. Found on the train files (with weights that had not seen the
# visit) and the valid file of aci-bench.
LEAST: Final[Mapping[str, float]] = {
    "history": 0.16, "past_medical": 0.06, "surgical": 0.22, "obstetric": 0.4, "family": 0.13, "social": 0.1,
    "allergies": 0.25, "medications": 0.3, "immunizations": 0.2, "review": 0.15, "vitals": 0.13, "exam": 0.06,
    "results": 0.17, "plan": 0.08,
}  # fmt: skip
TOPICS: Final[Mapping[str, Topic]] = {
    "history": Topic.HISTORY, "past_medical": Topic.PAST_MEDICAL, "surgical": Topic.SURGICAL,
    "obstetric": Topic.OBSTETRIC, "family": Topic.FAMILY, "social": Topic.SOCIAL, "allergies": Topic.ALLERGIES,
    "medications": Topic.MEDICATIONS, "immunizations": Topic.IMMUNIZATIONS, "review": Topic.HISTORY,
    "vitals": Topic.VITALS, "exam": Topic.EXAM, "results": Topic.IMAGING, "plan": Topic.PLAN,
}  # fmt: skip
SECTION_OF: Final[Mapping[Topic, str]] = {
    **{topic: section for section, topic in TOPICS.items() if section != "review"},
    Topic.COMPLAINT: "history", Topic.ASSESSMENT: "plan", Topic.LABS: "results", Topic.PRESCRIPTION: "plan",
    Topic.APPOINTMENTS: "plan",
}  # fmt: skip
DOCTORS: Final = frozenset({"vitals", "exam", "results", "plan"})  # sections that a patient's words never fill
ALL: Final = frozenset(LEAST)
PATIENTS: Final = ALL - DOCTORS
IF_EVER: Final = frozenset({"plan"})  # what a doctor's "if" or "usually" may fill
MEASURED: Final = frozenset({"vitals"})  # what no figure to reach may fill
OF_THE_PATIENT: Final = word_set("you you're you've your patient patient's he he's his she she's her")
# Topics that the rules are sure of: what is named there is too dangerous to leave out, or easily recognised.
SURE: Final = frozenset(
    {
        Topic.ALLERGIES, Topic.MEDICATIONS, Topic.PRESCRIPTION, Topic.FAMILY, Topic.VITALS, Topic.SURGICAL,
        Topic.OBSTETRIC, Topic.IMMUNIZATIONS, Topic.APPOINTMENTS, Topic.SOCIAL, Topic.PAST_MEDICAL,
    }
)  # fmt: skip
STEPS: Final = frozenset({Topic.ASSESSMENT, Topic.PRESCRIPTION, Topic.APPOINTMENTS})
OF_SURE = 1.0  # added to the likelihood of what the rules are sure of
OF_DRUG = 0.1  # what names a medicine is always noted
OF_AGREEMENT = 0.05  # added where rules and weights agree
OF_INTRODUCTION = 0.5  # "58 year old male who presents with …"
LEAST_OF_TALK = 0.25  # what sounds like a courtesy, or like what is only done in the room
LEAST_OF_RESULTS = 0.05  # what the rules hold to be a result
OF_NO_HINT = 2.0  # times as likely what holds no hint must be
LEAST_CONTENT = 2  # content words of a statement without hints
INTRODUCED_BY = 0.3  # part of the talk


def decided(one: Hinted, rule: Place | None, likely: Mapping[str, float]) -> Place | None:
    """The place of a passage, if any, from that of the rules and the likelihood of each section."""
    if one.passage.role is not Role.PATIENT and is_for_a_machine(one.own):
        return None
    if rule is not None and _is_sure(one, rule, likely):
        return Place(rule.topic, OF_SURE + likely[SECTION_OF[rule.topic]])
    if one.passage.role is Role.PATIENT and SELF_HARM.search(" ".join(one.said)):
        return Place(Topic.HISTORY, OF_SURE + likely["history"])
    if one.found[Cue.INTRODUCTION] and one.passage.position < INTRODUCED_BY and likely["history"] > LEAST["history"]:
        return Place(Topic.HISTORY, likely["history"] + OF_INTRODUCTION)
    open_to = _open_to(one)
    if not open_to or _says_nothing(one):
        return None
    section = max(open_to, key=lambda name: likely[name] / LEAST[name])
    likelihood = likely[section]
    talks = one.passage.role is not Role.PATIENT and is_talk(one.found)
    if one.found[Cue.DRUG]:
        return Place(_topic(one, rule, section), likelihood + OF_DRUG)
    least = LEAST[section] * (OF_NO_HINT if CLINICAL.isdisjoint(one.found) else 1.0)
    if likelihood < max(least, LEAST_OF_TALK if talks else 0.0):
        return None
    agrees = rule is not None and SECTION_OF[rule.topic] == section
    return Place(_topic(one, rule, section), likelihood + (OF_AGREEMENT if agrees else 0.0))


def _is_sure(one: Hinted, rule: Place, likely: Mapping[str, float]) -> bool:
    if rule.topic is Topic.EXAM:
        return isinstance(one.passage, Exchange)  # "does it hurt when I press here"
    if rule.topic in (Topic.LABS, Topic.IMAGING):
        return likely["results"] > LEAST_OF_RESULTS
    if rule.topic is Topic.ASSESSMENT:
        return one.found[Cue.CONDITION] > 0  # "I don't think you have pneumonia"
    return rule.topic in SURE or (rule.topic is Topic.PLAN and _is_surely_planned(one))


def _is_surely_planned(one: Hinted) -> bool:
    """Whether the rules are sure of a plan: "if …", medicines, "you need to go to the hospital", "we'll get an MRI"."""
    found = one.found
    if forbids(one.own) or has(found, Cue.CONDITIONAL, Cue.DRUG) or (found[Cue.DUTY] and found[Cue.ADVICE]):
        return True
    return found[Cue.INTENT] > 0 and has(found, Cue.IMAGING, Cue.LAB, Cue.REFERRAL)


def _says_nothing(one: Hinted) -> bool:
    """Whether a statement is hardly more than "it does show"."""
    if isinstance(one.passage, Exchange) or not CLINICAL.isdisjoint(one.found):
        return False
    return len(content_words(one.own)) < LEAST_CONTENT


def _open_to(one: Hinted) -> frozenset[str]:
    """The sections that may hold what this speaker said in this way."""
    if one.passage.role is Role.PATIENT:
        return PATIENTS
    said = one.said
    if one.found[Cue.CONDITIONAL] or not GENERAL.isdisjoint(said) or _supposes(said):
        return IF_EVER
    closed = frozenset[str]() if TARGETS.isdisjoint(said) else MEASURED
    if one.passage.role is Role.DOCTOR and OF_THE_PATIENT.isdisjoint(said) and not one.found[Cue.INTRODUCTION]:
        closed |= PATIENTS
    return ALL - closed


def _supposes(said: Sequence[str]) -> bool:
    """Whether a doctor says what the patient would have, feel or do in some case: "you would have swollen lips"."""
    would = "would" in said and any(pair in (("you", "would"), ("they", "would")) for pair in pairwise(said))
    return would or "you'd" in said


def _topic(one: Hinted, rule: Place | None, section: str) -> Topic:
    """The topic within a section that holds several."""
    if section == "plan" and rule is not None and rule.topic in STEPS:
        return rule.topic
    if section == "plan" and rule is None:
        concludes = has(one.found, Cue.OPINION, Cue.CONDITION)
        return Topic.ASSESSMENT if concludes and not has(one.found, Cue.INTENT, Cue.DUTY, Cue.ADVICE) else Topic.PLAN
    if section == "results" and one.found[Cue.LAB] and not one.found[Cue.IMAGING]:
        return Topic.LABS
    return TOPICS[section]
