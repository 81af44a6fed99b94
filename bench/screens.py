"""How soon a screen shows what was said, and when it stops changing: the same for every server. Pure.

A screen is the whole transcript as a user sees it, at every moment it changed. Words are compared as
`bench.score.normalise` leaves them: case and punctuation may change at any time.

*Settled*: a truth item's place in the last transcript, from its first right word to its last, is found by aligning the
two (fewest edits). The item is settled from the moment on from which every screen shows just the words of this place,
next to each other. *TTFS* is that moment − the true end of the item: of the whole screen (nobody tells a user that a
text will not change; this is when it did not), or of the part of it that the server says will not change. An item is
*lost* where the last transcript has no word in its place, or only words that stood there before anybody spoke it.

*Shown*: how far into what was said a screen reaches is the longest beginning of it that its words fit best, where a
wrong word stands for the one in its place, and words that are missing count little: what a server left out must not
make all that follows look old. When a screen reaches further than any before it, its *age* is its moment − the end of
the newest word it reaches. The *lag* of a word that is not missing in the end is the moment of the first screen that
reaches it − the end of that word. A word's time in its item is taken to be proportional to its letters.

All times are milliseconds since the first sample was spoken.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeAlias

import jiwer
import numpy as np
from numpy.typing import NDArray

from bench.calls import Shown
from bench.recordings import TruthItem
from bench.words import WordErrors, compare, normalise

Words: TypeAlias = tuple[str, ...]
Pairs: TypeAlias = list[tuple[int, int]]
"""Positions in two texts that stand for each other, in order."""

WRONG, MISSING = 10, 1  # what words cost when it is to be seen how far a screen reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of the truth."""

    text: str
    item: int
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What is shown from one moment on."""

    at_ms: float
    words: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One caller's transcript against what was said."""

    ttfs_ms: tuple[float, ...]  # of each item that is not lost
    lost: tuple[TruthItem, ...]
    ages_ms: tuple[float, ...]
    lags_ms: tuple[float, ...]
    errors: WordErrors


def judge(items: Sequence[TruthItem], screens: Sequence[Screen]) -> Verdict:
    """Everything this module can say about a transcript. `screens`: in the order of their moments."""
    truth = words_of(items)
    said = tuple(word.text for word in truth)
    last = screens[-1].words if screens else ()
    pairs = _aligned(said, last, equal_only=False)
    kept = [dict(_aligned(last, screen.words, equal_only=True)) for screen in screens]
    ttfs: list[float] = []
    lost: list[TruthItem] = []
    for item, place in zip(items, _places(items, truth, last, pairs), strict=True):
        at_ms = None if place is None else _settled_at(screens, kept, place)
        if at_ms is None or at_ms < item.start_ms:
            lost.append(item)
        else:
            ttfs.append(at_ms - item.end_ms)
    ages, lags = _reach(truth, screens, {number for number, _ in pairs})
    return Verdict(
        ttfs_ms=tuple(ttfs),
        lost=tuple(lost),
        ages_ms=tuple(ages),
        lags_ms=tuple(lags),
        errors=compare(" ".join(said), " ".join(last)),
    )


def whole(shown: Iterable[Shown]) -> list[Screen]:
    """All that a user sees."""
    return [Screen(at_ms=each.at_ms, words=tuple(normalise(each.text).split())) for each in shown]


def settled(shown: Iterable[Shown]) -> list[Screen]:
    """What a user sees that the server says will not change."""
    return [Screen(at_ms=each.at_ms, words=tuple(normalise(each.settled).split())) for each in shown]


def words_of(items: Iterable[TruthItem]) -> list[Word]:
    """What is said, word by word."""
    words: list[Word] = []
    for number, item in enumerate(items):
        texts = normalise(item.text).split()
        letters = sum(len(text) + 1 for text in texts)
        begun = 0
        for text in texts:
            ended = begun + len(text) + 1
            start, end = (item.start_ms + (item.end_ms - item.start_ms) * at / letters for at in (begun, ended))
            words.append(Word(text=text, item=number, start_ms=start, end_ms=end))
            begun = ended
    return words


def _places(items: Sequence[TruthItem], truth: Sequence[Word], last: Words, pairs: Pairs) -> list[range | None]:
    """Where each item stands in the last transcript: from its first right word to its last one.

    Wrong words at its edges may as well be its neighbour's; they count only where no word is right.
    """
    right: list[list[int]] = [[] for _ in items]
    wrong: list[list[int]] = [[] for _ in items]
    for said, shown in pairs:
        word = truth[said]
        (right if word.text == last[shown] else wrong)[word.item].append(shown)
    found = [numbers or others for numbers, others in zip(right, wrong, strict=True)]
    return [range(numbers[0], numbers[-1] + 1) if numbers else None for numbers in found]


def _settled_at(screens: Sequence[Screen], kept: Sequence[dict[int, int]], place: range) -> float:
    """The moment from which on every screen has these words. `kept`: last transcript → each screen, word by word."""
    trailing = takewhile(lambda pair: _stands(pair[1], place), zip(reversed(screens), reversed(kept), strict=True))
    return [screen.at_ms for screen, _ in trailing][-1]


def _stands(kept: dict[int, int], place: range) -> bool:
    """Whether all words of the place are there, next to each other."""
    if any(number not in kept for number in place):
        return False
    return kept[place[-1]] - kept[place[0]] == place[-1] - place[0]


def _reach(truth: Sequence[Word], screens: Iterable[Screen], kept: Collection[int]) -> tuple[list[float], list[float]]:
    """Ages and lags. `kept`: numbers of the truth's words that are not missing in the end."""
    ages: list[float] = []
    lags: list[float] = []
    fit = _Fit([word.text for word in truth])
    reached = 0
    for screen in screens:
        spoken = sum(word.start_ms <= screen.at_ms for word in truth)
        reach = fit.reach(screen.words, spoken)
        if reach > reached:
            ages.append(screen.at_ms - truth[reach - 1].end_ms)
            lags += [screen.at_ms - truth[number].end_ms for number in range(reached, reach) if number in kept]
            reached = reach
    return ages, lags


class _Fit:
    """Which beginning of the truth fits best to a screen: a table of costs, kept as far as screens are alike."""

    def __init__(self, truth: Sequence[str]) -> None:
        self._truth = np.array(truth, dtype=object)
        self._skips = MISSING * np.arange(len(truth) + 1)
        self._words: list[str] = []
        self._rows: list[NDArray[np.int64]] = [self._skips]  # costs of each screen beginning × truth beginning

    def reach(self, words: Words, spoken: int) -> int:
        """Number of words of the longest beginning that costs least, among the words that are spoken by now."""
        alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(self._words, words, strict=False)))
        del self._rows[alike + 1 :]
        self._words = list(words)
        for word in words[alike:]:
            self._rows.append(self._next(self._rows[-1], word))
        return spoken - int(np.argmin(self._rows[-1][spoken::-1]))

    def _next(self, row: NDArray[np.int64], word: str) -> NDArray[np.int64]:
        here = row + WRONG  # the word is too much
        here[1:] = np.minimum(here[1:], row[:-1] + WRONG * (self._truth != word))  # it is the next one, or in its place
        return np.minimum.accumulate(here - self._skips) + self._skips  # words before it are missing


def _aligned(one: Words, other: Words, *, equal_only: bool) -> Pairs:
    """An alignment with the fewest edits; without the words that are not the same, or with them."""
    if not one or not other:
        return []
    chunks = jiwer.process_words(" ".join(one), " ".join(other)).alignments[0]
    kinds = ("equal",) if equal_only else ("equal", "substitute")
    return [
        (chunk.ref_start_idx + step, chunk.hyp_start_idx + step)
        for chunk in chunks
        if chunk.type in kinds
        for step in range(chunk.ref_end_idx - chunk.ref_start_idx)
    ]
