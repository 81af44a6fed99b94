"""Transcript items → units: one sentence or clause of one speaker, with the items in which it was said.

An item may hold half a sentence (a speaker paused) or several (a recogniser that writes no marks), so items are joined
where one hangs in the air, and split at marks and wherever `pipeline.notes.english.clauses` sees another sentence
begin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pipeline.notes.english.clauses import CLAUSE_WORDS, asks_on_condition, awaits_consequence, cuts
from pipeline.notes.english.questions import LEADS, ends_with_tag, lead_length, opens_question
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import BACK_CHANNELS, MARKS, SENTENCE_ENDS, words
from pipeline.types import Role, Utterance

JOINED_ITEMS = 3  # at most so many items in one sentence
JOINED_WORDS = 30  # what already has as many words is not joined further
LONGEST_SENTENCE = 200  # tokens; nothing near as long is ever written down, so it may be cut anywhere
FRAGMENT_WORDS = 6  # an item this short may only complete the one before it: "for about three weeks"

# A sentence that ends in one of these goes on in the speaker's next item.
HANGING: Final = word_set(
    """
    a an the of for to in on with and or but my your his her their is was have had i've about at like i it's some
    because that every very since from as than if when this these been are were i'm you're he's she's has into by
    around under over between both
    """
)
# The same where nobody says that both items are of one speaker.
SURELY_HANGING: Final = word_set("a an the my your his her their and or because every very i i've i'm")
ENDS_A_QUESTION: Final = word_set("with for to from about on in at of like")  # "who do you live with"
COMPLETE_WITH_OF: Final = frozenset({"know", "aware", "think", "heard"})  # "not that I know of"
# A short item that begins with one of these continues the sentence of the same speaker's item just before.
CONTINUING: Final = word_set(
    """
    for since with after because which on in at during until from about especially
    """
)

ACKNOWLEDGEMENTS: Final = LEADS | BACK_CHANNELS | {"you", "i", "see", "yes", "understand"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One sentence or clause of one speaker."""

    tokens: tuple[str, ...]  # cleaned words and marks, in the case in which they came
    words: tuple[str, ...]  # the words alone, in lower case
    items: tuple[str, ...]  # ids of the items in which it was said, in spoken order
    role: Role  # declared, or guessed by `pipeline.notes.extract.speakers`
    position: float  # 0 at the beginning of the talk, 1 at its end
    question: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Cleaned tokens of one item."""

    item: Utterance
    tokens: tuple[str, ...]
    position: float


def units(transcript: Sequence[Utterance], cleaned: Mapping[str, tuple[str, ...]]) -> list[Unit]:
    """The units of a transcript in spoken order. Items may come in any order; `cleaned` holds their tokens by id."""
    items = sorted(transcript, key=lambda item: (item.start, item.end))
    return [unit for run in _runs(items, cleaned) for unit in _split(run)]


def _runs(items: Sequence[Utterance], cleaned: Mapping[str, tuple[str, ...]]) -> Iterator[list[_Part]]:
    """Neighbouring items of one speaker that make one sentence; what only acknowledges is passed over."""
    run: list[_Part] = []
    for index, item in enumerate(items):
        tokens = cleaned[item.id]
        if not tokens or (item.role is Role.DOCTOR and _only_acknowledges(tokens)):
            continue
        part = _Part(item, tokens, index / max(1, len(items) - 1))
        if run and not _goes_on(run, part):
            yield run
            run = []
        run.append(part)
    if run:
        yield run


def _only_acknowledges(tokens: Sequence[str]) -> bool:
    return all(token in MARKS or token.lower() in ACKNOWLEDGEMENTS for token in tokens)


def _goes_on(run: Sequence[_Part], part: _Part) -> bool:
    """Whether an item completes the sentence of the items before it."""
    last = run[-1]
    if (last.item.role, last.item.stream) != (part.item.role, part.item.stream) or len(run) >= JOINED_ITEMS:
        return False
    if last.tokens[-1] in SENTENCE_ENDS:
        return False
    said = words(last.tokens)
    length = sum(len(one.tokens) for one in run)
    if length > JOINED_WORDS and not awaits_consequence(said):
        return False
    if not said or part.item.role is Role.UNSPECIFIED:
        return bool(said) and said[-1] in SURELY_HANGING
    asks = opens_question(said, lead_length(said))
    if said[-1] in HANGING:
        complete = said[-1] == "of" and COMPLETE_WITH_OF.intersection(said[-2:-1])
        return not complete and not (asks and said[-1] in ENDS_A_QUESTION)
    if not asks and awaits_consequence(said):
        return True
    continues = part.tokens[0].lower() in CONTINUING and len(words(part.tokens)) <= FRAGMENT_WORDS
    return continues and len(said) >= CLAUSE_WORDS and not asks


def _split(run: Sequence[_Part]) -> Iterator[Unit]:
    """The sentences and clauses of a run."""
    tokens = [token for part in run for token in part.tokens]
    owners = [part for part in run for _ in part.tokens]
    role = run[0].item.role
    for start, end in _sentences(tokens):
        span = [token.lower() for token in tokens[start:end]]
        bounds = [start, *(start + at for at in cuts(span, role)), end]
        for begin, stop in pairwise(bounds):
            unit = _unit(tokens[begin:stop], owners[begin:stop], role)
            if unit is not None:
                yield unit


def _sentences(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for at, token in enumerate(tokens):
        if token in SENTENCE_ENDS or at - start == LONGEST_SENTENCE:
            yield start, at + 1
            start = at + 1
    if start < len(tokens):
        yield start, len(tokens)


def _unit(tokens: Sequence[str], owners: Sequence[_Part], role: Role) -> Unit | None:
    tokens, agreed = _without_tag(tokens)
    said = tuple(words(tokens))
    if not said:
        return None
    asks = tokens[-1] == "?" or opens_question(said, lead_length(said)) or asks_on_condition(said)
    asks = asks or (role is not Role.PATIENT and ends_with_tag(said))
    items = tuple(dict.fromkeys(part.item.id for part in (owners if owners[0] is not owners[-1] else owners[:1])))
    return Unit(
        tokens=tuple(tokens),
        words=said,
        items=items,
        role=role,
        position=owners[0].position,
        question=asks and not agreed,
    )


def _without_tag(tokens: Sequence[str]) -> tuple[Sequence[str], bool]:
    """A statement without the "okay?" that asks for agreement, and whether there was one."""
    if tokens[-1] != "?":
        return tokens, False
    tail = [token.lower() for token in tokens[-3:]]
    for tag in (["okay", "?"], ["ok", "?"], ["alright", "?"], ["all", "right", "?"]):
        if tail[-len(tag) :] == tag and len(tokens) > len(tag) + CLAUSE_WORDS:
            kept = list(tokens[: -len(tag)])
            while kept and kept[-1] in MARKS:
                kept.pop()
            return [*kept, "."], True
    return tokens, False
