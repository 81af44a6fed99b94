"""ICD-10-CM codes for the problems that a note's assessment and plan name. Pure; suggestions, which a coder decides on.

Nothing is concluded: the words of a problem, as they stand, are looked up among the catalogue's own terms. Where the
problem is denied, only possible, somebody else's or of the past, or where its words fit no code, there is none, and it
is said why. (ICD-10-CM Official Guidelines 2026, IV.H: uncertain diagnoses of outpatients are not coded.)
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pipeline.notes.beside.icd10 import LINKING, Catalogue, Lead, folded, key
from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.vocabulary import phrase_set, word_set
from pipeline.notes.english.wording import is_negation
from pipeline.notes.note import Note, NoteSentence, Topic
from pipeline.types import Role, Utterance

LEAST_SCORE: Final = 0.6  # below it, none is suggested
BY_DEFAULT: Final = 0.1  # off, where the code also rules out complications
LOST: Final = 0.2  # off, for each word that the code cannot tell: a side, how bad it is
APART: Final = 0.5  # off, for each word beside the problem with which the catalogue would tell codes apart
LONGEST: Final = 8  # words of a problem, as of a key

ASSESSED: Final = frozenset({Topic.ASSESSMENT})
PLANNED: Final = frozenset({Topic.PLAN, Topic.PRESCRIPTION, Topic.APPOINTMENTS})
SYMPTOMS: Final = "R"  # the chapter: a plan that treats a symptom has not assessed it

# Lost with a loss of score where the catalogue has no code for them.
DEGREES: Final = word_set(
    "left right bilateral both acute chronic subacute mild moderate severe recurrent persistent intermittent"
)
SIDES: Final = word_set("left right bilateral both")
NO_SIDES: Final = word_set("now here there away back after before over")  # "right now", "left over"
WORSE: Final = word_set("uncontrolled poorly brittle complicated")  # beside a problem: other codes are for it
# Said beside a problem, and nothing of which codes are made.
BESIDE: Final = frozenset(
    folded(
        """
        patient has have had be is are was were been his her their your my our this that it its he she they we i you
        diagnosis assessment impression problem problems plan likely known likewise currently current today now new
        stable controlled well improving improved resolving worsening ongoing longstanding continue continued
        remains looks seems doing also still very medical history treat treated treatment manage managed management
        start take taking increase decrease order check follow up symptoms symptom due from as will would think feel
        believe here there so consistent medication medications status number test use used time year old day week
        month therapy drug disorder condition first second third initial visit encounter one two daily per more less
        high low no not need needs
        """
    )
) - frozenset(folded("high low"))
ROMAN: Final = {("i",): ("1",), ("ii",): ("2",)}
PLACING: Final = word_set("of in on at the his her their your")  # "pain in the left ear" is no pain unspecified
KIN: Final = (Cue.KIN, Cue.FAMILY)


def _phrases(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(phrase_set(text))))})(?![\w-])")


_HYPOTHETICAL: Final = _phrases(
    """
    if, unless, in case, rule out, ruled out, r/o, could, may, might, possible, possibly, potential, probable, probably,
    likely, unlikely, suspect, suspected, suspicion, suspicious, concern, concerned, concerning, worried, worry, vs,
    versus, questionable, differential, perhaps, maybe, screen, screening, test for, tested for, check for, look for,
    make sure, assess for, causes of, sources of, prevent, prevention, preventing, avoid, risk, vaccine, vaccinated,
    vaccination,
    whether, consistent with, compatible with, suggests, suggestive, looks like, sounds like, seems like, appears,
    evaluate for, wonder, wondering, working diagnosis, is it, do you, did you, are you, have you, any, rather than,
    instead of, sometimes, things like, such as, type of thing, you said, you think, you mentioned, mentioned
    """
)
_PAST: Final = _phrases(
    """
    history of, past, previous, previously, prior, resolved, status post, s/p, childhood, as a child, years ago, used
    to, patient had, he had, she had, doctor had
    """
)
_WARNING: Final = _phrases(  # what follows may happen, and has not
    "risk, risks, complication, complications, side effect, side effects, death, or even"
)
_IN_GENERAL: Final = re.compile(r"\b(?:in|like)(?: the| an?)?\W*$")  # "in meningitis one gets a rash"
_NAMES_ANOTHER: Final = re.compile(
    r"^\W*(?:clinic|diary|nurse|team|specialist|leaflet|screen|panel|test|gel|surgery)s?\b"
)
_NOT_SO: Final = _phrases("negative, is not, was not, isn't, wasn't, denied, no")
_ABOUT: Final = re.compile(  # the beginning of "For your hypertension, …"
    r"^\W*(?:(?:and|so|now|okay|alright|well|then|first|second|third|next|lastly)\W+)*"
    r"(?:for|regarding|about|as for|as far as|in terms of)\b(?: (?:the|your|his|her|patient's))*\W*$"
)

_CLAUSES: Final = re.compile(r"[.;:?!](?=\s|$)|,?\s+\b(?:but|however|though|although|except)\b", re.IGNORECASE)
_SPAN: Final = re.compile(r"[A-Za-z0-9]+(?:['’/-][A-Za-z0-9]+)*")
_STOPS: Final = re.compile(r"[,()]|\d+\.(?=\s)")


class Doubt(StrEnum):
    """Why a problem that is named gets no code."""

    DENIED = "denied"
    UNCERTAIN = "uncertain"  # possible, to be ruled out, a condition of something else
    FAMILY = "family"
    PAST = "past"
    UNCONFIRMED = "unconfirmed"  # what the clinician said was heard to doubt it, or only the patient named it
    INEXACT = "inexact"  # a code would say more than was said, or less


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A code for a problem."""

    code: str
    description: str  # the catalogue's
    billable: bool  # False: its seventh character, such as "initial encounter", is for the coder to add
    score: float  # 0.6 to 1: how much of what was said the code says, and no more
    problem: str  # in the note's words
    sentence: str
    items: tuple[str, ...]  # of the transcript, on which the sentence rests


@dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """A problem that is named, and no code for it."""

    problem: str
    sentence: str
    items: tuple[str, ...]
    why: Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoses:
    """Of one note, in its order; each code once."""

    suggestions: tuple[Suggestion, ...] = ()
    abstentions: tuple[Abstention, ...] = ()


def suggest(note: Note, items: Iterable[Utterance], catalogue: Catalogue) -> Diagnoses:
    """Codes for what the assessment and the plan name. `items`: of the transcript, as far as the note cites them."""
    said = {item.id: item for item in items}
    suggested: dict[str, Suggestion] = {}
    doubted: dict[str, Abstention] = {}
    for section in note.sections:
        topics = frozenset(section.topics)
        if not topics & (ASSESSED | PLANNED):
            continue
        for sentence in section.sentences:
            for found in _named(sentence, catalogue):
                if found.lead.entry.code.startswith(SYMPTOMS) and not topics & ASSESSED:
                    continue
                why = found.doubt or _unconfirmed(found, sentence, said, catalogue)
                code = found.lead.entry.code
                if why is None and code not in suggested:
                    suggested[code] = _suggestion(found, sentence)
                elif why is not None:
                    doubted.setdefault(found.problem.lower(), _abstention(found, sentence, why))
    named = {each.problem.lower() for each in suggested.values()}
    words = {code: frozenset(folded(each.problem)) for code, each in suggested.items()}
    return Diagnoses(
        suggestions=tuple(
            each for code, each in suggested.items() if not any(words[code] < other for other in words.values())
        ),
        abstentions=tuple(each for problem, each in doubted.items() if problem not in named),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A problem that words name."""

    problem: str
    words: frozenset[str]  # folded
    lead: Lead
    score: float
    doubt: Doubt | None


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a clause, as it stands and as keys have it."""

    begin: int
    end: int
    folded: tuple[str, ...]
    stop: bool  # whether a mark stands before it


def _named(sentence: NoteSentence, catalogue: Catalogue) -> Iterator[_Found]:
    """The problems that a sentence names, the longest names first taken, from left to right."""
    for clause in _CLAUSES.split(sentence.text):
        yield from _in_clause(clause, catalogue)


def _in_clause(clause: str, catalogue: Catalogue) -> Iterator[_Found]:
    words = _words(clause)
    at = 0
    while at < len(words):
        length, lead, lost = _longest(words, at, catalogue)
        if lead is None:
            at += 1
            continue
        unsaid = "unspecified" in lead.entry.description and not lost and _sided(words, at, at + length)
        score = (
            1.0
            - BY_DEFAULT * lead.by_default
            - LOST * (lost + unsaid)
            - APART * _apart(words, at, at + length, catalogue)
        )
        doubt = _doubt(clause, words[at].begin, words[at + length - 1].end)
        yield _Found(
            problem=clause[words[at].begin : words[at + length - 1].end],
            words=frozenset(word for each in words[at : at + length] for word in each.folded) - LINKING,
            lead=lead,
            score=round(max(0.0, score), 2),
            doubt=doubt or (None if score >= LEAST_SCORE else Doubt.INEXACT),
        )
        at += length


def _words(clause: str) -> list[_Word]:
    found: list[_Word] = []
    end = 0
    for match in _SPAN.finditer(clause):
        stop = bool(_STOPS.search(clause[end : match.end() + 2 if match[0].isdigit() else match.start()]))
        same = folded(match[0])
        if same in ROMAN and found and found[-1].folded == ("type",):
            same = ROMAN[same]
        found.append(_Word(match.start(), match.end(), same, stop))
        end = match.end()
    return found


def _longest(words: Sequence[_Word], at: int, catalogue: Catalogue) -> tuple[int, Lead | None, int]:
    """Length of the longest name that begins at a word, its code, and how many of its words the code does not tell."""
    if not words[at].folded or words[at].folded[0] in LINKING:
        return 1, None, 0
    ends = next((end for end in range(at + 1, len(words)) if words[end].stop), len(words))
    for end in range(min(ends, at + LONGEST), at, -1):
        if words[end - 1].folded[-1] in LINKING or (end < ends and words[end - 1].folded[-1] in SIDES):
            continue
        named = [word for each in words[at:end] for word in each.folded]
        for lost, kept in ((0, named), *_without_degrees(named)):
            lead = catalogue.lead(key(kept))
            if lead is not None:
                return end - at, lead, lost
    return 1, None, 0


def _without_degrees(named: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The words of a problem without those that say how bad it is, or on which side."""
    kept = [word for word in named if word not in DEGREES]
    if 0 < len(kept) < len(named):
        yield len(named) - len(kept), kept


def _sided(words: Sequence[_Word], begin: int, end: int) -> bool:
    """Whether a side is named elsewhere in the clause."""
    following = {at: words[at + 1].folded if at + 1 < len(words) else () for at in range(len(words))}
    return any(
        not SIDES.isdisjoint(words[at].folded) and NO_SIDES.isdisjoint(following[at])
        for at in (*range(begin), *range(end, len(words)))
    )


def _apart(words: Sequence[_Word], begin: int, end: int, catalogue: Catalogue) -> int:
    """How many words right beside a name might make another problem of it: "lung" of a nodule."""
    before = words[begin - 1] if begin and not words[begin].stop else None
    after = next((at for at in range(end, len(words)) if words[at].folded[0] not in PLACING), len(words))
    behind = words[after] if after < len(words) and not words[after].stop else None
    return sum(_qualifies(each, catalogue) for each in (before, behind) if each is not None)


def _qualifies(word: _Word, catalogue: Catalogue) -> bool:
    telling = [each for each in word.folded if not (each.isdigit() or each in LINKING or each in BESIDE)]
    return any(each in WORSE or catalogue.tells_apart(each) for each in telling)


def _doubt(clause: str, begin: int, end: int) -> Doubt | None:
    """What a clause says against a problem in it. One that it sets out from stands, whatever comes behind."""
    lower = clause.lower().replace("’", "'")
    before, behind = lower[:begin], lower[end:]
    if any(is_negation(word) for word in _SPAN.findall(before)):
        return Doubt.DENIED
    about = _ABOUT.search(before) is not None
    if not about and _NOT_SO.search(behind):
        return Doubt.DENIED
    if _IN_GENERAL.search(before) or _NAMES_ANOTHER.search(behind):
        return Doubt.UNCERTAIN
    if _HYPOTHETICAL.search(before if about else lower) or _WARNING.search(lower):
        return Doubt.UNCERTAIN
    if any(cues(_SPAN.findall(lower))[cue] for cue in KIN):
        return Doubt.FAMILY
    return Doubt.PAST if _PAST.search(lower) else None


def _unconfirmed(
    found: _Found, sentence: NoteSentence, said: Mapping[str, Utterance], catalogue: Catalogue
) -> Doubt | None:
    """Whether those who named a problem doubted it where the note does not. A provider's own sentence rests on none."""
    cited = [said[item] for item in sentence.items if item in said]
    naming = [item for item in cited if found.words & set(folded(item.text))]
    if not naming:
        return None
    if all(item.role is Role.PATIENT for item in naming):
        return Doubt.UNCONFIRMED
    if all(_warns(item.text, found.words) for item in naming):
        return Doubt.UNCERTAIN
    heard = [each for item in naming if item.role is not Role.PATIENT for each in _named(_whole(item), catalogue)]
    same = [each for each in heard if each.words & found.words]
    return Doubt.UNCONFIRMED if same and all(each.doubt not in (None, Doubt.INEXACT) for each in same) else None


def _warns(text: str, words: frozenset[str]) -> bool:
    """Whether what is named stands in a list of what may happen."""
    warning = _WARNING.search(text.lower())
    return warning is not None and words.isdisjoint(folded(text[: warning.start()]))


def _whole(item: Utterance) -> NoteSentence:
    return NoteSentence(text=item.text, items=(item.id,))


def _suggestion(found: _Found, sentence: NoteSentence) -> Suggestion:
    entry = found.lead.entry
    return Suggestion(
        code=entry.code,
        description=entry.description,
        billable=entry.billable,
        score=found.score,
        problem=found.problem,
        sentence=sentence.text,
        items=sentence.items,
    )


def _abstention(found: _Found, sentence: NoteSentence, why: Doubt) -> Abstention:
    return Abstention(problem=found.problem, sentence=sentence.text, items=sentence.items, why=why)
