"""How much each passage of a talk belongs into each section of a note, by learned weights. Pure.

Two rounds of logistic regression, one answer for each section. The first looks at a passage: its words and pairs of
words, those of the question it answers and of what was said before it, and the hints of the rules. The second looks at
the answers of the first for the passages around it. The weights were learned by `auscult-bench train-notes`, and are
shipped beside this file as `sections.npz`. English only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import BytesIO
from itertools import chain, pairwise, repeat
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.notes.english.cues import Cue
from pipeline.notes.extract.exchanges import Answer, Exchange
from pipeline.notes.extract.hints import Hinted
from pipeline.notes.extract.placing import Found
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
SHORT, LONG, LONGEST = 5, 14, 30  # words
LATE = 0.6  # part of the talk from which doctors sum up
OF_SECOND = 0.6  # share of the second round in the score
SUREST = 30.0  # log-odds; beyond it 32 bits hold no more
# Rows of a product: more at once wake the threads of OpenBLAS, whose waiting takes more processor time than they save.
ROWS_AT_ONCE = 64
NOWHERE = -1  # the place of a term without weights
ARRAYS: Final = (
    "idf", "own", "asked", "before", "signs", "bias", "second", "second_bias", "snippet_said", "snippet_doctors",
    "snippet_bias",
)  # fmt: skip
HINTS: Final = tuple(Cue)
ANSWERS: Final = tuple(Answer)
ROLES: Final = tuple(Role)
PLACE_OF_ROLE: Final = {role: place for place, role in enumerate(ROLES)}
PLACE_OF_ANSWER: Final = {answer: place for place, answer in enumerate(ANSWERS)}
FIRST_PERSON: Final = frozenset({"i", "i'm", "i've", "my", "me"})
SECOND_PERSON: Final = frozenset({"you", "you're", "you've", "your"})
KINDS: Final = (len(ROLES), len(ANSWERS) + 1, PARTS)
FIGURE: Final = re.compile(r"\d").match
SIGNS: Final = 3 * len(HINTS) + sum(KINDS) + 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionWeights:
    """What `sections.npz` holds; `n_terms` words and pairs, `n_sections` as in `SECTIONS`.

    Shapes: `idf` (n_terms,); `own` (n_terms, n_sections); `asked` and `before` (n_frequent, n_sections), for the terms
    that come first; `signs` (SIGNS, n_sections); `bias` (n_sections,); `second` (n_views, n_sections); `snippet_said`
    and `snippet_doctors` (n_terms, n_headers), `snippet_bias` (n_headers,) of `pipeline.notes.extract.snippets`.
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
    snippet_said: Matrix
    snippet_doctors: Matrix
    snippet_bias: Matrix

    def scores(self, seen: Sequence[Hinted]) -> Matrix:
        """How likely each passage is told in each section, 0 to 1. Shape (n_passages, n_sections)."""
        if not seen:
            return np.zeros((0, len(SECTIONS)), dtype=np.float32)
        signs = signs_of(seen)
        first = self._first(seen, signs)
        second = sigmoid(product(np.hstack([around(first), signs]), self.second) + self.second_bias)
        mixed: Matrix = OF_SECOND * second + (1 - OF_SECOND) * first
        return mixed

    def _first(self, seen: Sequence[Hinted], signs: Matrix) -> Matrix:
        known = self.known(seen)
        total = product(signs, self.signs) + self.bias
        for found, weights in ((known.own, self.own), (known.asked, self.asked), (known.before, self.before)):
            rows, columns, values = self.vectors(found, len(weights))
            if len(columns):
                filled, begins = np.unique(rows, return_index=True)
                total[filled] += np.add.reduceat(weights[columns] * values[:, None], begins)
        return sigmoid(total)

    def known(self, seen: Sequence[Hinted]) -> "Known":
        """The terms of each passage that have weights."""
        own = [self.places(one.own) for one in seen]
        return Known(
            own=own,
            asked=[self.places(one.question) for one in seen],
            before=[frozenset().union(*own[max(0, at - BEFORE) : at]) for at in range(len(own))],
        )

    def places(self, said: Sequence[str]) -> frozenset[int]:
        """The places of the terms of these words among those that have weights."""
        if not said:
            return frozenset()
        return frozenset(map(self.terms.get, terms(said), repeat(NOWHERE))).difference((NOWHERE,))

    def vectors(
        self, found: Sequence[frozenset[int]], known: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Matrix]:
        """The terms among the first `known` ones: row, column, and value of each, every row of length 1."""
        counts = [len(each) for each in found]
        columns = np.fromiter(chain.from_iterable(found), dtype=np.int64, count=sum(counts))
        rows = np.repeat(np.arange(len(found)), counts)
        kept = columns < known
        width = len(self.idf)
        rows, columns = np.divmod(np.sort(rows[kept] * width + columns[kept]), width)
        values = self.idf[columns]
        length = np.sqrt(np.bincount(rows, weights=values**2, minlength=len(found)))
        return rows, columns, (values / length[rows]).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """For each passage the places of its terms among those that have weights."""

    own: list[frozenset[int]]
    asked: list[frozenset[int]]
    before: list[frozenset[int]]


@cache
def section_weights() -> SectionWeights:
    """The weights that are shipped. The first call reads them."""
    return unpacked(files("pipeline.notes.extract").joinpath("sections.npz").read_bytes())


def unpacked(packed: bytes) -> SectionWeights:
    """The weights in a file that `bench.train_notes` wrote: numbers of 16 bits, terms as lines of text."""
    with np.load(BytesIO(packed), allow_pickle=False) as arrays:
        listed = bytes(arrays["terms"]).decode().split("\n")
        values = {
            name: arrays[name].astype(np.float32) * np.float32(arrays[f"{name}_step"])
            if f"{name}_step" in arrays
            else arrays[name].astype(np.float32)
            for name in ARRAYS
        }
    return SectionWeights(terms={term: at for at, term in enumerate(listed)}, **values)


def sigmoid(odds: Matrix) -> Matrix:
    """Probabilities of log-odds."""
    return (1 / (1 + np.exp(-np.clip(odds, -SUREST, SUREST)))).astype(np.float32)


def product(left: Matrix, right: Matrix) -> Matrix:
    """The matrix product, in the calling thread. Shapes: (n, k), (k, m) → (n, m)."""
    made = np.empty((len(left), right.shape[1]), dtype=np.float32)
    for begin in range(0, len(left), ROWS_AT_ONCE):
        rows = slice(begin, begin + ROWS_AT_ONCE)
        np.matmul(left[rows], right, out=made[rows])
    return made


def terms(said: Sequence[str]) -> list[str]:
    """What the weights know: words, and pairs of neighbours."""
    return [*said, *map(" ".join, pairwise(said))]


def signs_of(seen: Sequence[Hinted]) -> Matrix:
    """What is not words: hints, who speaks, where in the talk, how long. Shape (n_passages, SIGNS)."""
    found = _marked([one.found for one in seen])
    return np.hstack([found, _marked([one.asked for one in seen]), _recently(found), _circumstances(seen)])


def _marked(hints: Sequence[Found]) -> Matrix:
    """1 where there is a hint of a kind. Shape (n_passages, n_kinds)."""
    marked = np.zeros((len(hints), len(HINTS)), dtype=np.float32)
    places = [(row, cue - 1) for row, found in enumerate(hints) for cue in found]
    if places:
        marked[tuple(np.array(places).T)] = 1
    return marked


def _recently(found: Matrix) -> Matrix:
    """1 where there is a hint of a kind in a passage or in one of the `RECENT` before it."""
    counted = np.vstack([np.zeros((RECENT + 1, found.shape[1]), dtype=np.float32), np.cumsum(found, axis=0)])
    return (counted[RECENT + 1 :] > counted[: len(found)]).astype(np.float32)


def _circumstances(seen: Sequence[Hinted]) -> Matrix:
    """Who speaks, what is answered, when, how much: one of each kind is 1."""
    passages = [one.passage for one in seen]
    answers = [each.answer if isinstance(each, Exchange) else None for each in passages]
    kinds = [
        np.array([PLACE_OF_ROLE[each.role] for each in passages]),
        np.array([len(ANSWERS) if answer is None else PLACE_OF_ANSWER[answer] for answer in answers]),
        np.array([min(PARTS - 1, int(each.position * PARTS)) for each in passages]),
    ]
    chosen = [np.eye(count, dtype=np.float32)[kind] for kind, count in zip(kinds, KINDS, strict=True)]
    return np.hstack([*chosen, np.array([_measures(one) for one in seen], dtype=np.float32)])


def _measures(one: Hinted) -> tuple[float, ...]:
    passage, length = one.passage, len(one.own)
    return (
        length < SHORT,
        SHORT <= length < LONG,
        length >= LONG,
        min(1.0, (len(one.question) + length) / LONGEST),
        passage.position,
        passage.role is Role.DOCTOR and passage.position > LATE,
        one.examining,
        any(map(FIGURE, one.own)) or any(map(FIGURE, one.question)),
        not FIRST_PERSON.isdisjoint(one.own),
        not SECOND_PERSON.isdisjoint(one.own),
    )


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
