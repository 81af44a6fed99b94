"""ROUGE, as the published systems were scored: rouge-score 0.1.2 without stemming, the F1 of one note.

Lines are what ROUGE-Lsum takes for sentences. Source: Lin 2004; google-research/rouge.
"""

from collections.abc import Iterable
from functools import cache
from statistics import fmean
from typing import Any

import msgspec

KINDS = ("rouge1", "rouge2", "rougeLsum")


class Rouge(msgspec.Struct, frozen=True, kw_only=True):
    """F1 of words, pairs of words, and longest common subsequences; 0 to 1."""

    one: float
    two: float
    lsum: float


def rouge(reference: str, text: str) -> Rouge:
    """How alike two texts are."""
    scores = _scorer().score(reference, text)
    one, two, lsum = (scores[kind].fmeasure for kind in KINDS)
    return Rouge(one=one, two=two, lsum=lsum)


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # and with it nltk and scipy: two seconds

    return RougeScorer(list(KINDS), use_stemmer=False)


def mean(scores: Iterable[Rouge]) -> Rouge | None:
    """Of several notes, each as weighty as another; None where there are none."""
    known = list(scores)
    if not known:
        return None
    return Rouge(
        one=fmean(score.one for score in known),
        two=fmean(score.two for score in known),
        lsum=fmean(score.lsum for score in known),
    )
