"""Statements in the style of a note. A rewriting that loses a negation, a number or a side is thrown away."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from pipeline.notes.english.persons import doctor_in_third_person, patient_in_third_person
from pipeline.notes.english.questions import only_leads
from pipeline.notes.english.units import Unit
from pipeline.notes.english.verbs import BASE_VERBS
from pipeline.notes.english.vocabulary import word_list, word_set
from pipeline.notes.english.wording import (
    MARKS,
    WORDS_KEPT,
    clean,
    is_negation,
    join,
    negations,
    numbers,
    sides,
    split,
    words,
)
from pipeline.notes.note import Topic
from pipeline.types import Role

LEADS: Final = word_set("and so but okay ok alright then well also oh yeah yes hey hi lastly anyway gosh um sure great")
TRAILING: Final = word_set("and but or because the a an i my your")
TAGS: Final = word_set("okay ok alright right yes yeah")  # only behind a mark: not "I feel okay", "on the right"
# Words at which nobody ends a sentence.
UNFINISHED: Final = word_set(
    """
    kinda below than of is was are were which when if into based being that's it's the a they we very and or but
    because since no any
    """
)
# Verbs that begin a doctor's own thought or an order to a scribe, and no advice: "suspect she had an anxiety attack".
NO_ADVICE: Final = word_set(
    "suspect think believe feel see hear know guess mean hope understand wonder include summarize list expect note show"
)
BEFORE_LONE_TO: Final = word_set(
    "want wants wanted able going have has had used like need needed try supposed due used"
)
PERSONAL: Final = word_set(
    """
    i i'm i've i'd i'll me my mine myself we we're we've us our you your you're you've you'll
    """
)
SPEAKERS: Final = {Role.PATIENT: "Patient: ", Role.DOCTOR: "Doctor: ", Role.UNSPECIFIED: ""}
CLINICIANS: Final = word_set("order prescribe refer refill book schedule")  # what only a clinician does
PLANS: Final = frozenset({Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS})
FINDINGS: Final = frozenset({Topic.EXAM, Topic.IMAGING, Topic.LABS, Topic.VITALS})
SUBJECTIVE: Final = frozenset({Topic.COMPLAINT, Topic.HISTORY})

# What it is good to have: "I have no appetite" reports a symptom, it does not deny one.
FACULTIES: Final = word_set(
    """
    appetite energy strength feeling sensation sleep taste smell motivation interest desire balance power control
    relief motion memory breath idea time money insurance concentration hearing vision sight
    """
)
ABBREVIATIONS: Final = {
    word.lower(): word
    for word in word_list(
        """
        MRI CT EKG ECG COPD BP IV ICU UTI IBS GERD HIV A1c TSH LDL HDL CBC I I'm I've I'd I'll
        Monday Tuesday Wednesday Thursday Friday Saturday Sunday
        January February April June July August September October November December
        """
    )
}

_HAVE = (
    r"(?:i've been having|i have been having|i've been getting|i have had|i've had|i've got|i'm having|i am having|"
    r"i've|i have|i keep getting|i get)"
)
_REPORTS = re.compile(rf"{_HAVE}(?: just| also| really| still)? (?P<what>.+)")
_FEELS = re.compile(r"(?:i feel|i'm feeling|i am feeling|i've been feeling|i have been feeling) (?P<what>.+)")
_DENIES = re.compile(
    r"(?:i don't have|i do not have|i haven't had|i have not had|i'm not having|i am not having|i have no|i've had no|"
    r"i have had no|i don't get|i haven't noticed|i have not noticed|i've not had|i've never had|i have never had)"
    r"(?: any| a| an)? (?P<what>.+)"
)
_NO_OBJECT: Final = word_set(
    """
    to been not never no it that him her them the my much enough this a an as
    """
)
_ALSO = r"(?: also| just| certainly| definitely| really| still)?"
_AHEAD = r"(?: go ahead and| just| also)*"
_WILL = re.compile(
    rf"(?:(?:i'm|i am|we're|we are){_ALSO} going to|(?:i'll|we'll|i will|we will|let's){_ALSO}){_AHEAD} (?P<what>.+)"
)
_PLAN = re.compile(rf"(?:i|we|i'd|we'd)(?: would| do)?{_ALSO} (?:like|want) to{_AHEAD} (?P<what>.+)")
_ADVISED = re.compile(
    rf"(?:i|we|i'd|we'd)(?: would| do)?{_ALSO} (?:like|want|need|advise|encourage) you to{_AHEAD} (?P<what>.+)"
)
_COMMANDED = re.compile(r"(?:please )?(?:do )?(?P<not>don't |do not )?(?P<what>[a-z]+ .+)")
_WHERE = r"(?P<where>(?:on|in|with|at|over|upon|for|listening to|looking at|palpating) [^,]{2,60}?,? )?(?:and )?"
_SENSED = re.compile(
    _WHERE + r"(?:i|we)(?P<not> don't| do not| didn't| did not| can't| can not)?(?: do| can| also| still| really)*"
    r" (?P<verb>hear|see|feel|appreciate|notice|find|note|detect)(?: any| an?)? (?P<what>.+)"
)
_SENSED_FORMS: Final = {
    "hear": "heard", "see": "seen", "feel": "felt", "appreciate": "appreciated", "notice": "noticed", "find": "found",
    "note": "noted", "detect": "detected",
}  # fmt: skip
_PREPOSITIONS: Final = word_set(
    """
    in on at over with to when around across along bilaterally which that , and but there here
    """
)
_CLAUSE_SUBJECTS: Final = word_set(
    """
    you your that it there he she they the what if how where you're you've it's i
    """
)


def statement(unit: Unit, topic: Topic) -> str:
    """A unit as a sentence of a note, or as a quotation where no rewriting says the same for certain."""
    tokens = _without_asides(trimmed(unit.tokens))
    said = words(tokens)
    for rewrite in _rewritings(unit.role, topic) if not _is_idiom(said) else ():
        text = rewrite(tokens)
        if text and keeps_meaning(said, words(split(text))):
            return f"{tidy(text).rstrip('.')} …" if is_unfinished(said) else tidy(text)
    return quotation(unit.role, tokens)


def is_unfinished(said: Sequence[str]) -> bool:
    """Whether speech breaks off, so that what was said is not all that was meant: "your sugars are running below"."""
    if said[-2:] == ["based", "on"]:
        return True
    if said[-1:] == ["to"]:
        return said[-2:-1] != [] and said[-2] not in BEFORE_LONE_TO
    return bool(said) and said[-1] in UNFINISHED


def _is_idiom(said: Sequence[str]) -> bool:
    """Whether words mean something else when they are told of somebody: "I want to say 3 weeks"."""
    return "say" in said and any(list(said[at : at + 3]) == ["want", "to", "say"] for at in range(len(said) - 2))


def keeps_meaning(source: Sequence[str], rewritten: Sequence[str]) -> bool:
    """Whether a rewriting still has every negation, number and side of its source, and no others."""
    return (
        negations(source) == negations(rewritten)
        and numbers(source) == numbers(rewritten)
        and sides(source) == sides(rewritten)
    )


def trimmed(tokens: Sequence[str]) -> tuple[str, ...]:
    """Tokens without the words that only lead in (never "no") or trail off."""
    lower = [token.lower() for token in tokens]
    begin, end = 0, len(tokens)
    while end > begin + 1 and (lower[end - 1] in MARKS or lower[end - 1] in TRAILING or _is_tag(lower, end)):
        end -= 1
    while end - begin > 2 and (lower[begin] in MARKS or (lower[begin] in LEADS and only_leads(lower[:end], begin))):
        begin += 1
    if lower[begin : begin + 2] == ["all", "right"] and end - begin > 3:
        return trimmed(tokens[begin + 2 : end])
    return tuple(tokens[begin:end])


def _is_tag(lower: Sequence[str], end: int) -> bool:
    return end > 1 and lower[end - 1] in TAGS and lower[end - 2] in MARKS


def _without_asides(tokens: Sequence[str]) -> tuple[str, ...]:
    """A statement without the "yeah" and ", like," in its middle."""
    kept: list[str] = []
    for at, token in enumerate(tokens):
        follows_mark = bool(kept) and kept[-1] in MARKS
        before_mark = at + 1 < len(tokens) and tokens[at + 1] in MARKS
        word = token.lower()
        if at and (word == "yeah" or (word == "like" and follows_mark and before_mark)):
            continue
        if token in MARKS and follows_mark:
            continue
        kept.append(token)
    return tuple(tokens) if len(kept) == len(tokens) else clean(join(kept))


def quotation(role: Role, tokens: Sequence[str]) -> str:
    """The words as they were said."""
    return f'{SPEAKERS[role]}"{_spelled(join(unmarked(tokens)))}".'


def tidy(text: str) -> str:
    """A sentence: capital first, full stop last, abbreviations and days as they are written."""
    text = _spelled(text.strip(" ,;:"))
    if text.startswith(("the patient ", "the patient's ", "the doctor ", "the doctor's ")):
        text = text.removeprefix("the ")
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!")) else f"{text.rstrip('?')}."


def _spelled(text: str) -> str:
    return " ".join(map(_spelled_word, text.split(" ")))


@lru_cache(WORDS_KEPT)
def _spelled_word(word: str) -> str:
    bare = word.strip("\"'.,;:!?()")
    written = ABBREVIATIONS.get(bare.lower())
    return word.replace(bare, written) if written else word


def unmarked(tokens: Sequence[str]) -> Sequence[str]:
    """Tokens without the marks at their end."""
    end = len(tokens)
    while end and tokens[end - 1] in MARKS:
        end -= 1
    return tokens[:end]


_KNOWN = re.compile(
    r"(?:i (?:do |also |still )?(?:know|remember|see)|as (?:i|we|you) know,?)(?: here| that)*"
    r" (?P<what>(?:you|you've|you're|your) .+)"
)


def _known(tokens: Sequence[str]) -> str:
    """What a doctor knows of the patient: "I know you had a stroke" → "the patient had a stroke"."""
    text = _foldable(join(tokens))
    match = _KNOWN.fullmatch(text.lower())
    return _told_by_doctor(split(text[match.start("what") :])) if match else ""


Rewriting = Callable[[Sequence[str]], str]


def _rewritings(role: Role, topic: Topic) -> tuple[Rewriting, ...]:
    """The ways to say it, the most note-like first."""
    if role is Role.PATIENT:
        return (_reported, _told_by_patient) if topic in SUBJECTIVE else (_told_by_patient,)
    if role is Role.DOCTOR and topic in PLANS:
        return (_planned, _told_by_doctor)
    if role is Role.DOCTOR and topic in FINDINGS:
        return (_sensed, _known, _told_by_doctor)
    return (_known, _told_by_doctor) if role is Role.DOCTOR else (_impersonal,)


def _told_by_patient(tokens: Sequence[str]) -> str:
    told = patient_in_third_person(tokens)
    return join(told) if told else ""


def _told_by_doctor(tokens: Sequence[str]) -> str:
    told = doctor_in_third_person(tokens)
    return join(told) if told else ""


def _impersonal(tokens: Sequence[str]) -> str:
    """What may be written down whoever said it."""
    return "" if PERSONAL.intersection(words(tokens)) else join(tokens)


def _reported(tokens: Sequence[str]) -> str:
    """Symptoms: "Reports a cough for 3 days", "Denies chest pain"."""
    text = _foldable(join(tokens))
    for pattern, verb in ((_DENIES, "Denies"), (_FEELS, "Reports feeling"), (_REPORTS, "Reports")):
        match = pattern.fullmatch(text.lower())
        if match is None:
            continue
        what = split(text[match.start("what") :])
        said = words(what)
        if not said or said[0] in BASE_VERBS or (verb != "Reports feeling" and not _is_object(said)):
            return ""
        if verb == "Denies" and FACULTIES.intersection(said):
            return ""
        told = patient_in_third_person(what)
        return f"{verb} {join(told)}" if told else ""
    return ""


def _foldable(text: str) -> str:
    """Text whose lower case has its letters at the same places."""
    return text if len(text.lower()) == len(text) else text.lower()


def _is_object(said: Sequence[str]) -> bool:
    """Whether words behind "I have" name a thing: not "I have to", "I have been", "I have noticed"."""
    first = said[0]
    if first in ("a", "an", "this", "the", "my", "some", "these"):
        return len(said) > 1
    return first not in _NO_OBJECT and not first.endswith(("ed", "en")) and not is_negation(first)


def _planned(tokens: Sequence[str]) -> str:
    """Intentions and instructions: "Will order a chest x-ray", "Advised to rest"."""
    text = _foldable(join(tokens))
    for pattern, opening in ((_ADVISED, "Advised to"), (_PLAN, "Plan to"), (_WILL, "Will")):
        if match := pattern.fullmatch(text.lower()):
            return _done(opening, text[match.start("what") :])
    if (match := _COMMANDED.fullmatch(text.lower())) and match["what"].split(" ")[0] not in NO_ADVICE:
        orders = words(tokens)[0] in CLINICIANS  # spoken to a scribe
        advised = f"Advised {'not to' if match['not'] else 'to'}"
        return _done("Plan to" if orders else advised, text[match.start("what") :])
    return ""


def _done(opening: str, action: str) -> str:
    """An opening and what follows it, if that is a verb in its plain form."""
    tokens = split(action)
    told = doctor_in_third_person(tokens, known=True)
    if not told or tokens[0].lower() not in BASE_VERBS:
        return ""
    return f"{opening} {_continued(told)}"


def _continued(tokens: Sequence[str]) -> str:
    """Tokens that no longer begin a sentence."""
    return join((tokens[0].lower(), *tokens[1:]))


def _sensed(tokens: Sequence[str]) -> str:
    """Findings: "No crackles heard on the left"."""
    text = _foldable(join(tokens))
    match = _SENSED.fullmatch(text.lower())
    if match is None:
        return ""
    what = list(split(text[match.start("what") :]))
    if not what or what[0].lower() in _CLAUSE_SUBJECTS:
        return ""
    at = next((at for at, token in enumerate(what) if at and token.lower() in _PREPOSITIONS), len(what))
    told = doctor_in_third_person(what[at:])
    if told is None or PERSONAL.intersection(words(what[:at])):
        return ""
    where = doctor_in_third_person(split(text[: match.end("where")])) if match["where"] else []
    if where is None:
        return ""
    denied = ["no"] if match["not"] else []
    return join([*where, *denied, *what[:at], _SENSED_FORMS[match["verb"]], *told])
