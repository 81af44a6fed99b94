"""How much each passage of a talk belongs into each section of a note, by learned weights. Pure.

Two rounds of logistic regression, one answer for each section. The first looks at a passage: its words and pairs of
words, those of the question it answers and of what was said before it, and the hints of the rules. The second looks at
the answers of the first for the passages around it. The weights were learned by `auscult-bench train-notes`, and are
shipped beside this file as `sections.npz`. English only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.notes.cues import Cue
from pipeline.notes.exchanges import Answer, Exchange, Passage
from pipeline.notes.hints import Hinted
from pipeline.notes.wording import words
from pipeline.types import Role

Matrix: TypeAlias = NDArray[np.float32]

SECTIONS: Final = (
    "history", "past_medical", "surgical", "obstetric", "family", "social", "allergies", "medications",
    "immunizations", "review", "vitals", "exam", "results", "plan",
)  # fmt: skip
BEFORE = 2  # passages before one whose words are looked at
AROUND = 3  # passages before and behind one whose first answers the second round sees
FAR_AROUND = 8  # the same for their mean
RECENT = 12  # passages for which a hint counts as recent
PARTS = 10  # of a talk
SHORT, LONG = 5, 14  # words
OF_SECOND = 0.6  # share of the second round in the score
SUREST = 30.0  # log-odds; beyond it 32 bits hold no more
HINTS: Final = tuple(Cue)
ANSWERS: Final = tuple(Answer)
ROLES: Final = tuple(Role)
FIRST_PERSON: Final = frozenset({"i", "i'm", "i've", "my", "me"})
SECOND_PERSON: Final = frozenset({"you", "you're", "you've", "your"})
SIGNS: Final = 3 * len(HINTS) + len(ROLES) + len(ANSWERS) + PARTS + 11


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionWeights:
    """What `sections.npz` holds; `n_terms` words and pairs, `n_sections` as in `SECTIONS`.

    Shapes: `idf` (n_terms,); `own` (n_terms, n_sections); `asked` and `before` (n_frequent, n_sections), for the terms
    that come first; `signs` (SIGNS, n_sections); `bias` (n_sections,); `second` (n_views, n_sections).
    """

    terms: Mapping[str, int]
    idf: Matrix
    own: Matrix
    asked: Matrix
    before: Matrix
    signs: Matrix
    bias: Matrix
    second: Matrix
    second_bias: Matrix

    def scores(self, seen: Sequence[Hinted]) -> Matrix:
        """How likely each passage is told in each section, 0 to 1. Shape (n_passages, n_sections)."""
        if not seen:
            return np.zeros((0, len(SECTIONS)), dtype=np.float32)
        signs = signs_of(seen)
        first = self._first(seen, signs)
        second = sigmoid(np.hstack([around(first), signs]) @ self.second + self.second_bias)
        mixed: Matrix = OF_SECOND * second + (1 - OF_SECOND) * first
        return mixed

    def _first(self, seen: Sequence[Hinted], signs: Matrix) -> Matrix:
        own = [terms(own_words(one.passage)) for one in seen]
        total = signs @ self.signs + self.bias
        total += self._sum(own, self.own)
        total += self._sum([terms(asked_words(one.passage)) for one in seen], self.asked)
        total += self._sum(list(before(own)), self.before)
        return sigmoid(total)

    def _sum(self, found: Sequence[Sequence[str]], weights: Matrix) -> Matrix:
        """The mean-like sum of weights of each passage's terms. Shape (n_passages, n_sections)."""
        rows, columns, values = self.vectors(found, len(weights))
        total = np.zeros((len(found), len(SECTIONS)), dtype=np.float32)
        if len(columns):
            filled, begins = np.unique(rows, return_index=True)
            total[filled] = np.add.reduceat(weights[columns] * values[:, None], begins)
        return total

    def vectors(
        self, found: Sequence[Sequence[str]], known: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix]:
        """The terms among the first `known` ones: row, column, and value of each, every row of length 1."""
        index = self.terms
        pairs = [
            (row, at)
            for row, each in enumerate(found)
            for at in sorted({index[term] for term in each if term in index})
            if at < known
        ]
        if not pairs:
            empty = np.zeros(0, dtype=np.int64)
            return empty, empty, np.zeros(0, dtype=np.float32)
        rows, columns = np.array(pairs, dtype=np.int64).T
        values = self.idf[columns]
        length = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(found)))
        return rows, columns, (values / length[rows]).astype(np.float32)


@cache
def section_weights() -> SectionWeights:
    """The weights that are shipped. The first call reads them."""
    return unpacked(files("pipeline.notes").joinpath("sections.npz").read_bytes())


def unpacked(packed: bytes) -> SectionWeights:
    """The weights in a file that `bench.train_notes` wrote: numbers of 16 bits, terms as lines of text."""
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        listed = bytes(arrays["terms"]).decode().split("\n")
        values = {
            name: arrays[name].astype(np.float32) * np.float32(arrays[f"{name}_step"])
            if f"{name}_step" in arrays
            else arrays[name].astype(np.float32)
            for name in ("idf", "own", "asked", "before", "signs", "bias", "second", "second_bias")
        }
    return SectionWeights(terms={term: at for at, term in enumerate(listed)}, **values)


def sigmoid(odds: Matrix) -> Matrix:
    """Probabilities of log-odds."""
    return (1 / (1 + np.exp(-np.clip(odds, -SUREST, SUREST)))).astype(np.float32)


def own_words(passage: Passage) -> Sequence[str]:
    """The words of a statement, or of a reply."""
    return words(passage.reply) if isinstance(passage, Exchange) else passage.words


def asked_words(passage: Passage) -> Sequence[str]:
    """The words of the question that a passage answers."""
    return words(passage.question) if isinstance(passage, Exchange) else ()


def terms(said: Sequence[str]) -> list[str]:
    """What the weights know: words, and pairs of neighbours."""
    return [*said, *(f"{one} {other}" for one, other in pairwise(said))]


def before(own: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """For each passage the terms of those before it."""
    for at in range(len(own)):
        yield [term for each in own[max(0, at - BEFORE) : at] for term in each]


def signs_of(seen: Sequence[Hinted]) -> Matrix:
    """What is not words: hints, who speaks, where in the talk, how long. Shape (n_passages, SIGNS)."""
    signs = np.zeros((len(seen), SIGNS), dtype=np.float32)
    last = dict.fromkeys(HINTS, -RECENT - 1)
    kinds = len(HINTS)
    for row, one in enumerate(seen):
        passage = one.passage
        for cue in one.found:
            signs[row, cue - 1] = 1
            last[cue] = row
        for cue in one.asked:
            signs[row, kinds + cue - 1] = 1
        for cue, at in last.items():
            if row - at <= RECENT:
                signs[row, 2 * kinds + cue - 1] = 1
        said = passage.words
        own = own_words(passage)
        asks = isinstance(passage, Exchange)
        doctor = passage.role is Role.DOCTOR
        base = 3 * kinds
        signs[row, base + ROLES.index(passage.role)] = 1
        base += len(ROLES)
        if isinstance(passage, Exchange):
            signs[row, base + ANSWERS.index(passage.answer)] = 1
        base += len(ANSWERS)
        signs[row, base + min(PARTS - 1, int(passage.position * PARTS))] = 1
        base += PARTS
        signs[row, base : base + 11] = (
            asks,
            len(own) < SHORT,
            SHORT <= len(own) < LONG,
            len(own) >= LONG,
            min(1.0, len(said) / 30),
            passage.position,
            doctor and passage.position > 0.6,
            one.examining,
            any(word[0].isdigit() for word in said),
            not FIRST_PERSON.isdisjoint(own),
            not SECOND_PERSON.isdisjoint(own),
        )
    return signs


def around(first: Matrix) -> Matrix:
    """First answers of each passage, of its neighbours, and of the part of the talk. Shape (n_passages, n_views)."""
    count = len(first)
    views = [first]
    for step in (*range(-AROUND, 0), *range(1, AROUND + 1)):
        shifted = np.zeros_like(first)
        if step < 0:
            shifted[-step:] = first[: max(0, count + step)]
        else:
            shifted[: max(0, count - step)] = first[step:]
        views.append(shifted)
    sums = np.vstack([np.zeros((1, first.shape[1]), dtype=np.float32), np.cumsum(first, axis=0)])
    begin = np.maximum(0, np.arange(count) - FAR_AROUND)
    end = np.minimum(count, np.arange(count) + FAR_AROUND + 1)
    views.append((sums[end] - sums[begin]) / (end - begin)[:, None])
    return np.hstack(views).astype(np.float32)
