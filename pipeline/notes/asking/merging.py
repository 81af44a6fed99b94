"""Answers about the portions of a talk → sections of one note, each given out when no portion can add to it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.notes.asking.answering import MOST_SENTENCES
from pipeline.notes.evidence.lexicon import LEXICONS
from pipeline.notes.note import NoteSentence

SAME = 0.8  # share of the words of two sentences that both have, which makes one a repetition
MOST_IN_SECTION = 2_000  # sentences, of all portions together
MOST_COMPARED = 16  # sentences on the same items that one is compared with word by word
TELLING: Final = frozenset(
    word for known in LEXICONS.values() for word in (*known.negations, *known.stopping, *known.sides, *known.numerals)
)
_WORD: Final = re.compile(r"[\w']+")


@dataclass(frozen=True, slots=True)
class _Told:
    """A sentence, its words in lower case, and those of them on which its meaning hangs."""

    sentence: NoteSentence
    words: tuple[str, ...]
    telling: tuple[str, ...]  # numbers, sides, denials
    distinct: frozenset[str]  # each word once

    @classmethod
    def of(cls, sentence: NoteSentence) -> "_Told":
        words = tuple(_WORD.findall(sentence.text.lower()))
        telling = tuple(word for word in words if word.isdigit() or word in TELLING)
        return cls(sentence, words, telling, frozenset(words))


class Merging:
    """Gathers what is answered about each portion, section by section, in the template's order."""

    def __init__(self, keys: Sequence[str], portions: int) -> None:
        """`keys`: of the template's sections, in order."""
        self._keys = list(keys)
        self._told: list[dict[str, list[_Told]]] = [{} for _ in range(portions)]
        self._past = [-1] * portions  # place of the last section that each portion has told
        self._given = 0  # sections that were given out, or passed over
        self._merged: dict[str, tuple[NoteSentence, ...]] = {}  # until more is told of a section

    def add(self, portion: int, key: str, sentences: Sequence[NoteSentence]) -> None:
        """A section that the answer about a portion has finished; one of another key is passed over.

        Of a section that is told again and again, no more is kept than one may have.
        """
        if key not in self._keys:
            return
        told = self._told[portion].setdefault(key, [])
        told += [_Told.of(one) for one in sentences[: MOST_SENTENCES - len(told)] if one.text]
        self._merged.pop(key, None)
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
        if key not in self._merged:
            self._merged[key] = tuple(_once(told.get(key, ()) for told in self._told)[:MOST_IN_SECTION])
        return self._merged[key]

    def sections(self) -> Iterator[tuple[str, tuple[NoteSentence, ...]]]:
        """All sections, in order, also those that came out of order."""
        for key in self._keys:
            if sentences := self.section(key):
                yield key, sentences


def _once(portions: Iterable[Sequence[_Told]]) -> list[NoteSentence]:
    """The sentences without what an earlier portion told in the same words, or the one before in nearly the same."""
    kept: list[NoteSentence] = []
    earlier: set[tuple[str, ...]] = set()
    before: dict[tuple[str, ...], list[_Told]] = {}  # by items, which only neighbouring portions share
    for told in portions:
        fresh = [one for one in told if one.words not in earlier and not _is_near(one, before)]
        kept += [one.sentence for one in fresh]
        earlier.update(one.words for one in fresh)
        before = {}
        for one in told:
            before.setdefault(one.sentence.items, []).append(one)
    return kept


def _is_near(one: _Told, before: dict[tuple[str, ...], list[_Told]]) -> bool:
    """Whether nearly the same was told of the same items; never with another number, side or denial."""
    return any(
        one.telling == other.telling and len(one.distinct & other.distinct) >= SAME * len(one.distinct | other.distinct)
        for other in before.get(one.sentence.items, ())[-MOST_COMPARED:]
    )
