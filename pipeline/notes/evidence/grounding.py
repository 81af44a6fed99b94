"""Whether a sentence rests on what was said: the fewest items that hold its words, and what they must agree on.

The same checks serve every writer: they look at the text of a sentence and of transcript items only.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Final

from pipeline.notes.english.wording import (
    carries_content,
    clean,
    content_words,
    is_negation,
    negations,
    numbers,
    sides,
    stem,
    words,
)
from pipeline.types import Utterance

MOST_ITEMS = 4  # citations of one sentence
LEAST_SUPPORT = 0.6  # share of content words that the cited items must hold
MOST_CANDIDATES = 24  # items that are tried in every combination
# Content words behind a negation that it denies, unless the clause ends before. Others do not count: a rewriting puts
# "the patient" for "I".
NEGATION_REACH = 3
ENDS_DENIAL: Final = frozenset(
    {"but", "and", "except", "however", "though", "although", "because", ".", ";", "?", "!", ":"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What a text says, as far as it can be compared."""

    content: frozenset[str]  # stems
    affirmed: frozenset[str]  # stems that stand outside every denial at least once
    denied: frozenset[str]  # stems that stand within a denial at least once
    numbers: frozenset[tuple[str, int]]  # each number, and how often
    sides: frozenset[tuple[str, int]]  # left, right, both, and how often
    negations: int


def wording(text: str) -> Wording:
    """What a sentence or an item says."""
    return wording_of(clean(text))


def wording_of(tokens: Sequence[str]) -> Wording:
    """As `wording`, for cleaned tokens."""
    said = words(tokens)
    content = content_words(said)
    denied, affirmed = frozenset[str](), content
    if denials := negations(said):
        polarities = list(_polarities(tokens))
        denied = content.intersection([stem(word) for word, under in polarities if under])
        affirmed = content.intersection([stem(word) for word, under in polarities if not under])
    return Wording(
        content=content,
        affirmed=affirmed,
        denied=denied,
        numbers=frozenset(numbers(said).items()),
        sides=frozenset(sides(said).items()),
        negations=denials,
    )


def cite(sentence_text: str, candidates: Sequence[Utterance], *, always: Collection[str] = ()) -> tuple[str, ...]:
    """Ids of the fewest items that together hold every content word that any of them holds, in spoken order.

    At most four; where four cannot hold all of them, the four that hold most. Items in `always` (the answer that
    makes a question a denial) are cited whatever they hold. Candidates come in spoken order.
    """
    return cite_wording(wording(sentence_text), {one.id: wording(one.text) for one in candidates}, always)


def cite_wording(sentence: Wording, candidates: Mapping[str, Wording], always: Collection[str] = ()) -> tuple[str, ...]:
    """As `cite`, for texts that were looked at before: candidates by id, in spoken order."""
    if len(candidates) == 1:
        return tuple(one for one, said in candidates.items() if one in always or sentence.content & said.content)
    evidence = [
        _Evidence(order, item, sentence.content & said.content) for order, (item, said) in enumerate(candidates.items())
    ]
    given = [one for one in evidence if one.id in always][:MOST_ITEMS]
    missing = _held(evidence) - _held(given)
    chosen = [*given, *_fewest(missing, evidence, MOST_ITEMS - len(given))]
    return tuple(one.id for one in sorted(chosen, key=lambda one: one.order))


def support(sentence_text: str, cited: Iterable[Utterance]) -> float:
    """Share of a sentence's content words that the cited items hold, 0 to 1; 1 when it has none."""
    return _support(wording(sentence_text), [wording(item.text) for item in cited])


def grounded(sentence_text: str, cited: Sequence[Utterance]) -> bool:
    """Whether a sentence may stand: cited, supported, with no number, side, denial or affirmation of its own."""
    return grounded_wording(wording(sentence_text), [wording(item.text) for item in cited])


def grounded_wording(sentence: Wording, cited: Sequence[Wording]) -> bool:
    """As `grounded`, for texts that were looked at before."""
    if not 0 < len(cited) <= MOST_ITEMS or _support(sentence, cited) < LEAST_SUPPORT:
        return False
    if not _occur(sentence.numbers, (one.numbers for one in cited)):
        return False
    if not _occur(sentence.sides, (one.sides for one in cited)):
        return False
    if sentence.negations and not any(one.negations for one in cited):
        return False
    affirmed = frozenset[str]().union(*(one.affirmed for one in cited))
    denied = frozenset[str]().union(*(one.denied for one in cited))
    return not (sentence.affirmed - sentence.denied) & (denied - affirmed)


def _support(sentence: Wording, cited: Sequence[Wording]) -> float:
    held = frozenset[str]().union(*(one.content for one in cited))
    return len(sentence.content & held) / len(sentence.content) if sentence.content else 1.0


def _occur(counted: frozenset[tuple[str, int]], cited: Iterable[frozenset[tuple[str, int]]]) -> bool:
    """Whether everything counted in a sentence occurs in one of the items."""
    heard = {what for one in cited for what, _ in one}
    return all(what in heard for what, _ in counted)


def _polarities(tokens: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each word in lower case, and whether it stands behind a negation in the same clause."""
    reach = 0
    for token in tokens:
        word = token.lower()
        if word in ENDS_DENIAL:
            reach = 0
        yield word, reach > 0
        if is_negation(word):
            reach = NEGATION_REACH
        elif carries_content(word):
            reach = max(0, reach - 1)


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What an item holds of a sentence."""

    order: int
    id: str
    holds: frozenset[str]


def _held(evidence: Iterable[_Evidence]) -> frozenset[str]:
    return frozenset[str]().union(*(one.holds for one in evidence))


def _fewest(missing: frozenset[str], evidence: Sequence[_Evidence], most: int) -> list[_Evidence]:
    """The smallest set of items that holds all that is missing, the earliest where there are several."""
    useful = _undominated(evidence, missing)
    bits = {word: 1 << place for place, word in enumerate(missing)}
    all_bits = (1 << len(bits)) - 1
    held = [sum(bits[word] for word in one.holds & missing) for one in useful]
    sizes = sorted((one.bit_count() for one in held), reverse=True)
    for count in range(most + 1 if missing else 1):
        if sum(sizes[:count]) < len(bits):
            continue  # not even the richest could
        for places in combinations(range(len(useful)), count):
            if reduce(or_, (held[place] for place in places), 0) == all_bits:
                return [useful[place] for place in places]
    return _greediest(missing, useful, most)


def _undominated(evidence: Sequence[_Evidence], missing: frozenset[str]) -> list[_Evidence]:
    """Items that hold something no richer item holds as well, in spoken order; the richest of them if many."""
    useful = [one for one in evidence if one.holds & missing]
    kept: list[_Evidence] = []
    for one in sorted(useful, key=lambda one: (-len(one.holds & missing), one.order)):
        if len(kept) < MOST_CANDIDATES and not any(one.holds & missing <= other.holds for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.order)


def _greediest(missing: frozenset[str], evidence: Sequence[_Evidence], most: int) -> list[_Evidence]:
    """At most `most` items, each the one that adds most to those before it."""
    chosen: list[_Evidence] = []
    while len(chosen) < most and evidence:
        best = max(evidence, key=lambda one: (len(one.holds & missing), -one.order))
        if not best.holds & missing:
            break
        chosen.append(best)
        missing -= best.holds
    return chosen
