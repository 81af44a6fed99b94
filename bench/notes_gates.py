"""What a writer's notes have to reach, and whether they do. Pure."""

from collections.abc import Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from bench.notes_figures import Figures, total
from bench.notes_headers import Classified
from bench.notes_writing import HOUR_WORDS, Cost

Bound: TypeAlias = Literal["≥", "≤"]

CITED: Final = 1.0
SUPPORT_MEAN: Final = 0.98
SUPPORT_LEAST: Final = 0.6
TERMS_UNSAID: Final = 0.04
WORDS_KEPT: Final = 0.68
RECALL: Final = 0.9
ROUGE_1: Final = 0.475
ROUGE_2: Final = 0.2
SECTIONS: Final = 0.75
HOUR_MS: Final = 100.0
ADDED_MB: Final = 60.0


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One figure and the bound that it has to keep."""

    figure: str
    value: float | None  # None: nothing of the kind was measured
    bound: Bound
    limit: float
    unit: str = ""  # "%": a share; else what is counted

    @property
    def kept(self) -> bool | None:
        """Whether the figure is good enough; None where there is none."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.bound == "≥" else self.value <= self.limit


def gates(sets: list[Figures], visits: Figures | None, headers: Classified | None, cost: Cost | None) -> list[Gate]:
    """`sets`: all of them; `visits`: aci-bench, by which likeness and omissions are judged."""
    return [*_safety(sets), *_likeness(visits), *_sections(headers), *_costs(cost)]


def _safety(sets: list[Figures]) -> Iterator[Gate]:
    """What holds wherever a note is written."""
    cited = total(one.cited for one in sets)
    numbers = total(one.numbers for one in sets)
    least = [one.support_least for one in sets if one.support_least is not None]
    supports = [(one.support_mean, one.cited.of) for one in sets if one.support_mean is not None]
    mean = sum(share * count for share, count in supports) / sum(count for _, count in supports) if supports else None
    yield Gate(figure="sentences that cite", value=cited.share, bound="≥", limit=CITED, unit="%")
    yield Gate(figure="support, mean", value=mean, bound="≥", limit=SUPPORT_MEAN)
    yield Gate(figure="support, least", value=min(least, default=None), bound="≥", limit=SUPPORT_LEAST)
    yield Gate(figure="numbers nobody said", value=numbers.of - numbers.kept, bound="≤", limit=0)
    yield Gate(figure="medicines kept", value=total(s.medicines for s in sets).share, bound="≥", limit=RECALL)
    yield Gate(figure="allergies kept", value=total(s.allergies for s in sets).share, bound="≥", limit=RECALL)
    yield Gate(figure="polarity flips against cited items", value=sum(s.flips for s in sets), bound="≤", limit=0)


def _likeness(visits: Figures | None) -> Iterator[Gate]:
    """What is judged by clinicians' notes of whole visits."""
    if visits is None or visits.rouge is None:
        return
    yield Gate(figure="medical terms unsaid", value=visits.terms_unsaid, bound="≤", limit=TERMS_UNSAID, unit="%")
    yield Gate(figure="sayable words kept", value=visits.words_kept, bound="≥", limit=WORDS_KEPT)
    yield Gate(figure="ROUGE-1", value=visits.rouge.one, bound="≥", limit=ROUGE_1, unit="%")
    yield Gate(figure="ROUGE-2", value=visits.rouge.two, bound="≥", limit=ROUGE_2, unit="%")


def _sections(headers: Classified | None) -> Iterator[Gate]:
    if headers is not None:
        yield Gate(figure="sections of snippets, 20 headers", value=headers.accuracy, bound="≥", limit=SECTIONS)


def _costs(cost: Cost | None) -> Iterator[Gate]:
    if cost is not None:
        whole = cost.hour_words >= HOUR_WORDS
        yield Gate(
            figure="processor, an hour of talk",
            value=cost.hour_cpu_ms if whole else None,
            bound="≤",
            limit=HOUR_MS,
            unit="ms",
        )
        yield Gate(figure="memory added", value=cost.added_mb, bound="≤", limit=ADDED_MB, unit="MB")
