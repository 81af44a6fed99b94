"""Answers about the portions of a talk → sections of one note, each given out when no portion can add to it."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.notes.evidence.lexicon import LEXICONS
from pipeline.notes.note import NoteSentence

SAME = 0.8  # share of the words of two sentences that both have, which makes one a repetition
TELLING: Final = frozenset(
    word for known in LEXICONS.values() for word in (*known.negations, *known.stopping, *known.sides, *known.numerals)
)
_WORD: Final = re.compile(r"[\w']+")


class Merging:
    """Gathers what is answered about each portion, section by section, in the template's order."""

    def __init__(self, keys: Sequence[str], portions: int) -> None:
        """`keys`: of the template's sections, in order."""
        self._keys = list(keys)
        self._told: list[dict[str, list[NoteSentence]]] = [{} for _ in range(portions)]
        self._past = [-1] * portions  # place of the last section that each portion has told
        self._given = 0  # sections that were given out, or passed over

    def add(self, portion: int, key: str, sentences: Sequence[NoteSentence]) -> None:
        """A section that the answer about a portion has finished; one of another key is passed over."""
        if key in self._keys:
            self._told[portion].setdefault(key, []).extend(sentences)
            self._past[portion] = max(self._past[portion], self._keys.index(key))

    def finish(self, portion: int) -> None:
        """The answer about a portion is whole."""
        self._past[portion] = len(self._keys)

    def missing(self, portion: int) -> list[str]:
        """Keys behind the last section that was told of a portion: what to ask for where an answer broke off."""
        return self._keys[self._past[portion] + 1 :]

    def ready(self) -> Iterator[tuple[str, tuple[NoteSentence, ...]]]:
        """Sections that became whole since the last call, in order."""
        whole = min(self._past, default=-1) + 1
        while self._given < min(whole, len(self._keys)):
            key = self._keys[self._given]
            self._given += 1
            if sentences := self.section(key):
                yield key, sentences

    def section(self, key: str) -> tuple[NoteSentence, ...]:
        """The sentences of a section, in the order of the talk; what two portions tell alike is there once."""
        kept: list[NoteSentence] = []
        for told in self._told:
            before = list(kept)
            kept += [one for one in told.get(key, ()) if one.text and not any(_same(one, other) for other in before)]
        return tuple(kept)

    def sections(self) -> Iterator[tuple[str, tuple[NoteSentence, ...]]]:
        """All sections, in order, also those that came out of order."""
        for key in self._keys:
            if sentences := self.section(key):
                yield key, sentences


def _same(one: NoteSentence, other: NoteSentence) -> bool:
    """Whether two sentences tell the same: the same words, or nearly the same of the same items.

    Never where they differ in a number, a side or a denial.
    """
    a, b = (set(_WORD.findall(each.text.lower())) for each in (one, other))
    if a == b or one.items != other.items:
        return a == b
    telling = any(word.isdigit() or word in TELLING for word in a ^ b)
    return len(a & b) / len(a | b) >= SAME and not telling
