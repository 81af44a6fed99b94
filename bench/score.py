"""How well a transcript fits what was said: words, speakers, times. Pure; what each figure means is stated here.

All times are milliseconds. Times *in the recording* count its audio; times *on the send clock* count real time since
its first sample was sent. Audio of time t in the recording is sent at t / speed on the send clock.

Two spans *overlap* when they share any time, and one *covers* the other when they share at least half of the shorter
one: padding round an item must not make it answer for what its neighbour says.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import msgspec
import numpy as np

from bench.recordings import TruthItem
from bench.words import Form, compare
from bench.words import WordErrors as WordErrors
from bench.words import normalise as normalise
from pipeline.types import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """A final transcript item as a client got it. `start_ms` and `end_ms` in the recording, the rest on its clock."""

    role: Role
    start_ms: int
    end_ms: int
    text: str
    arrived_ms: float
    first_partial_ms: float | None = None  # when the first partial with text came under the same id, if one did


class Span(Protocol):
    """Anything with a beginning and an end in the recording."""

    @property
    def start_ms(self) -> int: ...

    @property
    def end_ms(self) -> int: ...


class Spoken(Span, Protocol):
    """Words in a span."""

    @property
    def text(self) -> str: ...


class Item(Spoken, Protocol):
    """What a transcript says: a `Final`, or an utterance of the pipeline."""

    @property
    def role(self) -> Role: ...


AnyItem = TypeVar("AnyItem", bound=Item)


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution in a few numbers."""

    count: int
    median: float
    p95: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """None where there is nothing to describe."""
        if not values:
            return None
        return cls(
            count=len(values),
            median=round(float(np.percentile(values, 50)), 3),
            p95=round(float(np.percentile(values, 95)), 3),
            p99=round(float(np.percentile(values, 99)), 3),
            max=round(max(values), 3),
        )


def word_errors(truth: Iterable[TruthItem], items: Iterable[Item], role: Role, form: Form = normalise) -> WordErrors:
    """Of one speaker: all they said against all that was attributed to them, each in order of its start.

    Words under a wrong speaker are therefore missing here and too many there.
    """
    said, heard = words_of(truth, items, role, form)
    return compare(said, heard)


def words_of(truth: Iterable[TruthItem], items: Iterable[Item], role: Role, form: Form) -> tuple[str, str]:
    """All that one speaker said, and all that was attributed to them, each in order of its start."""
    said = in_order(item for item in truth if item.speaker is role)
    return form(said), form(in_order(item for item in items if item.role is role))


def speaker_accuracy(truth: Sequence[TruthItem], finals: Iterable[Item]) -> float | None:
    """Share of transcribed words in items whose role is that of the truth item they overlap most.

    "Most" is by intersection over union, so that a short answer given while the other speaks is compared with the
    answer. Items on silence have no true speaker and do not count (`on_silence` lists them).
    """
    right = total = 0
    for item in finals:
        closest = max(truth, key=lambda said: _overlap_ms(item, said) / _union_ms(item, said), default=None)
        if closest is None or not _overlap_ms(item, closest):
            continue
        words = len(normalise(item.text).split())
        total += words
        right += words if item.role is closest.speaker else 0
    return right / total if total else None


def start_errors(truth: Sequence[TruthItem], finals: Sequence[Item]) -> list[float]:
    """Start of an item − start of the first truth item of its speaker that it covers; negative means too early.

    An item that goes on in a truth item which an earlier one began has no start to compare, and is left out.
    """
    errors: list[float] = []
    for item in finals:
        covered = _covered(truth, item)
        if covered and item is min(_covering(finals, covered[0]), key=lambda other: other.start_ms):
            errors.append(item.start_ms - covered[0].start_ms)
    return errors


def final_delays(truth: Sequence[TruthItem], finals: Sequence[Final], *, speed: float = 1.0) -> list[float]:
    """TTFS: arrival of a final − true end of what it covers of the truth, on the send clock.

    An item after which a later one goes on in the same truth item ended before the speaker did, and is left out.
    """
    return [delay for _, delay in timed_finals(truth, finals, speed=speed)]


def timed_finals(
    truth: Sequence[TruthItem], finals: Sequence[Final], *, speed: float = 1.0
) -> Iterator[tuple[TruthItem, float]]:
    """The truth item that each of `final_delays` is about, with it."""
    for item in finals:
        last = max(_covered(truth, item), key=lambda said: said.end_ms, default=None)
        if last is not None and item is max(_covering(finals, last), key=lambda other: other.end_ms):
            yield last, item.arrived_ms - last.end_ms / speed


def partial_delays(truth: Sequence[TruthItem], finals: Sequence[Final], *, speed: float = 1.0) -> list[float]:
    """First partial of an item − true start of the first truth item it covers, on the send clock.

    Items without a partial, and those that go on in a truth item which an earlier one began, are left out.
    """
    delays: list[float] = []
    for item in finals:
        covered = _covered(truth, item)
        if not covered or item.first_partial_ms is None:
            continue
        if item is min(_covering(finals, covered[0]), key=lambda other: other.start_ms):
            delays.append(item.first_partial_ms - covered[0].start_ms / speed)
    return delays


def false_endpoints(truth: Iterable[TruthItem], finals: Sequence[Item]) -> int:
    """How often a final ended while its speaker went on: the finals that cover a truth item, but for the last one.

    A truth item is what a voice says without a break, and may hold more than one sentence; a cut between two of them
    counts. Words that are missing at its end do not.
    """
    return sum(max(0, len(_covering(finals, said)) - 1) for said in truth)


def lost(truth: Iterable[TruthItem], finals: Sequence[Item]) -> list[TruthItem]:
    """Truth items that no final of their speaker overlaps."""
    return [said for said in truth if not any(_may_be(item, said) and _overlap_ms(item, said) for item in finals)]


def on_silence(truth: Sequence[TruthItem], finals: Iterable[AnyItem]) -> list[AnyItem]:
    """Finals that overlap nothing anybody said."""
    return [item for item in finals if not any(_overlap_ms(item, said) for said in truth)]


def in_order(items: Iterable[Spoken]) -> str:
    """What items say, in order of their start."""
    return " ".join(item.text for item in sorted(items, key=lambda item: item.start_ms))


def _may_be(item: Item, said: TruthItem) -> bool:
    """Whether the item can be what was said: an unspecified speaker may be anybody."""
    return item.role in (said.speaker, Role.UNSPECIFIED)


def _covers(item: Item, said: TruthItem) -> bool:
    shorter = min(item.end_ms - item.start_ms, said.end_ms - said.start_ms)
    return _may_be(item, said) and 0 < shorter <= 2 * _overlap_ms(item, said)


def _covered(truth: Iterable[TruthItem], item: Item) -> list[TruthItem]:
    """In order of their start."""
    return sorted((said for said in truth if _covers(item, said)), key=lambda said: said.start_ms)


def _covering(finals: Iterable[AnyItem], said: TruthItem) -> list[AnyItem]:
    return [item for item in finals if _covers(item, said)]


def _overlap_ms(one: Span, other: Span) -> int:
    return max(0, min(one.end_ms, other.end_ms) - max(one.start_ms, other.start_ms))


def _union_ms(one: Span, other: Span) -> int:
    """Never 0, so that one can divide by it."""
    return max(1, one.end_ms - one.start_ms + other.end_ms - other.start_ms - _overlap_ms(one, other))
