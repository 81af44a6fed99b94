"""ICD-10-CM codes for the problems that a note's assessment and plan name. Pure; suggestions, which a coder decides on.

Nothing is concluded: the words of a problem, as they stand, are looked up among the catalogue's own terms. Where the
problem is denied, only possible, somebody else's or of the past, or where its words fit no code, there is none, and it
is said why. (ICD-10-CM Official Guidelines 2026, IV.H: uncertain diagnoses of outpatients are not coded.)
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
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
CLAUSE_WORDS: Final = 300  # what is longer is no clause, and names nothing
CLAUSE_CHARACTERS: Final = 3_000
MOST: Final = 200  # codes of a note

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
NEAR: Final = 40  # characters before a problem, in which `_IN_GENERAL` is looked for
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
    said = _Said(items, catalogue)
    suggested: dict[str, Suggestion] = {}
    doubted: dict[str, Abstention] = {}
    for section in note.sections:
        topics = frozenset(section.topics)
        if not topics & (ASSESSED | PLANNED):
            continue
        for sentence in section.sentences:
            for found in _named(sentence.text, catalogue):
                if found.lead.entry.code.startswith(SYMPTOMS) and not topics & ASSESSED:
                    continue
                why = found.doubt or said.against(found, sentence)
                code = found.lead.entry.code
                if why is None and code not in suggested and len(suggested) < MOST:
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


class _Clause:
    """A part of a sentence that says one thing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = _words(text)

    @property
    def readable(self) -> bool:
        """Whether it is one, and no heap of words."""
        return len(self.words) <= CLAUSE_WORDS and len(self.text) <= CLAUSE_CHARACTERS

    @cached_property
    def ends(self) -> Sequence[int]:
        """For each word, before which other one a mark stands next."""
        ends = [len(self.words)] * len(self.words)
        for at in range(len(self.words) - 2, -1, -1):
            ends[at] = at + 1 if self.words[at + 1].stop else ends[at + 1]
        return ends

    @cached_property
    def _sides(self) -> Sequence[int]:
        """The words that name a side."""
        following = [*(word.folded for word in self.words[1:]), ()]
        return [
            at
            for at, (word, behind) in enumerate(zip(self.words, following, strict=True))
            if not SIDES.isdisjoint(word.folded) and NO_SIDES.isdisjoint(behind)
        ]

    def sided(self, begin: int, end: int) -> bool:
        """Whether a side is named elsewhere than in these words."""
        return bool(self._sides) and (self._sides[0] < begin or self._sides[-1] >= end)

    @cached_property
    def _lower(self) -> str:
        return self.text.lower().replace("’", "'")

    @cached_property
    def _denied_from(self) -> int:
        """The character behind the first word that denies."""
        spans = _SPAN.finditer(self._lower)
        return next((span.end() for span in spans if is_negation(span[0])), len(self._lower) + 1)

    @cached_property
    def _not_so(self) -> int:
        """The character at which it is last said not to be so."""
        return max((found.start() for found in _NOT_SO.finditer(self._lower)), default=-1)

    @cached_property
    def _hypothetical_from(self) -> int:
        """The character behind the first word that makes it only possible."""
        found = _HYPOTHETICAL.search(self._lower)
        return len(self._lower) + 1 if found is None else found.end()

    @cached_property
    def _of_the_whole(self) -> Doubt | None:
        """What it says against every problem in it."""
        hints = cues(_SPAN.findall(self._lower))
        if any(hints[cue] for cue in KIN):
            return Doubt.FAMILY
        return Doubt.PAST if _PAST.search(self._lower) else None

    @cached_property
    def _warns(self) -> bool:
        return _WARNING.search(self._lower) is not None

    def doubt(self, begin: int, end: int) -> Doubt | None:
        """What it says against a problem at these characters; one that it sets out from stands, whatever follows."""
        if self._denied_from <= begin:
            return Doubt.DENIED
        about = _ABOUT.match(self._lower[:begin]) is not None
        if not about and self._not_so >= end:
            return Doubt.DENIED
        if _IN_GENERAL.search(self._lower[max(0, begin - NEAR) : begin]) or _NAMES_ANOTHER.match(self._lower[end:]):
            return Doubt.UNCERTAIN
        if self._hypothetical_from <= (begin if about else len(self._lower)) or self._warns:
            return Doubt.UNCERTAIN
        return self._of_the_whole


class _Said:
    """What was said, as far as a note cites it; each item is read once, however often it is cited."""

    def __init__(self, items: Iterable[Utterance], catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._items = {item.id: _Heard(item) for item in items}

    def against(self, found: _Found, sentence: NoteSentence) -> Doubt | None:
        """Whether those who named a problem doubted it where the note does not. A provider's own sentence rests on
        none.
        """
        cited = [self._items[item] for item in sentence.items if item in self._items]
        naming = [item for item in cited if not found.words.isdisjoint(item.words)]
        if not naming:
            return None
        if all(item.of_patient for item in naming):
            return Doubt.UNCONFIRMED
        if all(item.warns(found.words) for item in naming):
            return Doubt.UNCERTAIN
        heard = [each for item in naming if not item.of_patient for each in item.named(self._catalogue)]
        same = [sure for words, sure in heard if not words.isdisjoint(found.words)]
        return Doubt.UNCONFIRMED if same and not any(same) else None


class _Heard:
    """One item, and what is in it."""

    def __init__(self, item: Utterance) -> None:
        self._text = item.text
        self._named: frozenset[tuple[frozenset[str], bool]] | None = None
        self.of_patient = item.role is Role.PATIENT

    @cached_property
    def words(self) -> frozenset[str]:
        """Folded."""
        return frozenset(folded(self._text))

    @cached_property
    def _unwarned(self) -> frozenset[str] | None:
        """The words before a list of what may happen; None: there is no such list."""
        warning = _WARNING.search(self._text.lower())
        return None if warning is None else frozenset(folded(self._text[: warning.start()]))

    def warns(self, words: frozenset[str]) -> bool:
        """Whether what is named stands in a list of what may happen."""
        return self._unwarned is not None and words.isdisjoint(self._unwarned)

    def named(self, catalogue: Catalogue) -> frozenset[tuple[frozenset[str], bool]]:
        """The words of each problem in it, and whether it was not doubted."""
        if self._named is None:
            found = _named(self._text, catalogue)
            self._named = frozenset((each.words, each.doubt in (None, Doubt.INEXACT)) for each in found)
        return self._named


def _named(text: str, catalogue: Catalogue) -> Iterator[_Found]:
    """The problems that a sentence names, the longest names first taken, from left to right."""
    for part in _CLAUSES.split(" ".join(text.split())):
        clause = _Clause(part)
        if clause.readable:
            yield from _in_clause(clause, catalogue)


def _in_clause(clause: _Clause, catalogue: Catalogue) -> Iterator[_Found]:
    words = clause.words
    at = 0
    while at < len(words):
        length, lead, lost = _longest(words, at, clause.ends[at], catalogue)
        if lead is None:
            at += 1
            continue
        unsaid = "unspecified" in lead.entry.description and not lost and clause.sided(at, at + length)
        score = (
            1.0
            - BY_DEFAULT * lead.by_default
            - LOST * (lost + unsaid)
            - APART * _apart(words, at, at + length, catalogue)
        )
        begin, end = words[at].begin, words[at + length - 1].end
        doubt = clause.doubt(begin, end)
        yield _Found(
            problem=clause.text[begin:end],
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


def _longest(words: Sequence[_Word], at: int, ends: int, catalogue: Catalogue) -> tuple[int, Lead | None, int]:
    """Length of the longest name that begins at a word and goes no further than `ends`, its code, and how many of its
    words the code does not tell.
    """
    if not words[at].folded or words[at].folded[0] in LINKING:
        return 1, None, 0
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


def _apart(words: Sequence[_Word], begin: int, end: int, catalogue: Catalogue) -> int:
    """How many words right beside a name might make another problem of it: "lung" of a nodule."""
    before = words[begin - 1] if begin and not words[begin].stop else None
    after = next((at for at in range(end, len(words)) if words[at].folded[0] not in PLACING), len(words))
    behind = words[after] if after < len(words) and not words[after].stop else None
    return sum(_qualifies(each, catalogue) for each in (before, behind) if each is not None)


def _qualifies(word: _Word, catalogue: Catalogue) -> bool:
    telling = [each for each in word.folded if not (each.isdigit() or each in LINKING or each in BESIDE)]
    return any(each in WORSE or catalogue.tells_apart(each) for each in telling)


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
