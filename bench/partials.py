"""How calm a live transcript is: what it shows of an item before it is final, and takes back again. Pure.

An item's *history* is every text that was shown of it, in order, the last one its final (empty where it was withdrawn).
Words are compared in the plain form: case and punctuation may change at any time.

A word shown is *retracted* where the next text of the item does not have it at the same place, counted from its
beginning. The *retracted-word rate* is the share of all words shown in partials that are.

A change *erases* what stands behind the common beginning of two texts: a reader has to read on from there. The
*normalised erasure* is the number of words erased ÷ the number of words in finals. 0: nothing ever changes; below 0.2
counts as calm. Source: Arivazhagan et al. 2020, Re-translation versus Streaming for Simultaneous Translation, §2.3.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from bench.wires import Message, TranscriptItem
from bench.words import normalise


class Calm(msgspec.Struct, frozen=True, kw_only=True):
    """What was shown and taken back, in words; add up as many as you like."""

    shown: int = 0  # in partials
    retracted: int = 0
    erased: int = 0
    final: int = 0

    @property
    def retracted_rate(self) -> float | None:
        """None where no partial was shown."""
        return self.retracted / self.shown if self.shown else None

    @property
    def normalised_erasure(self) -> float | None:
        """None where nothing became final."""
        return self.erased / self.final if self.final else None

    def __add__(self, other: "Calm") -> "Calm":
        return Calm(
            shown=self.shown + other.shown,
            retracted=self.retracted + other.retracted,
            erased=self.erased + other.erased,
            final=self.final + other.final,
        )


def calm(history: Sequence[str]) -> Calm:
    """Of one item. An item that never became final has its last partial for a final."""
    texts = [normalise(text).split() for text in history]
    found = Calm(final=len(texts[-1]) if texts else 0)
    for before, after in pairwise(texts):
        found += Calm(
            shown=len(before),
            retracted=len(before) - sum(old == new for old, new in zip(before, after, strict=False)),
            erased=len(before) - _common(before, after),
        )
    return found


def histories(messages: Iterable[Message]) -> Iterator[Sequence[str]]:
    """The history of each item that a client was told of."""
    found: dict[str, list[str]] = {}
    for message in messages:
        if isinstance(message, TranscriptItem):
            found.setdefault(message.id, []).append(message.text)
    yield from found.values()


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Words in the common beginning."""
    same = (old == new for old, new in zip(one, other, strict=False))
    return next((index for index, equal in enumerate(same) if not equal), min(len(one), len(other)))
