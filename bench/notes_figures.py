"""Figures of many notes: what one set of consultations says of a writer. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import msgspec

from bench.notes_checks import Share, check
from bench.notes_divisions import Division, note_divisions, note_text, reference_divisions
from bench.notes_rouge import Rouge, mean, rouge
from bench.notes_sets import Visit
from bench.notes_writing import Outcome
from pipeline.notes.evidence.grounding import LEAST_SUPPORT
from pipeline.notes.note import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One consultation, and what a writer made of it."""

    visit: Visit
    outcome: Outcome

    @property
    def note(self) -> Note | None:
        return self.outcome.note


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Of one set. Shares are 0 to 1, and of each note first where they say so."""

    name: str
    notes: int
    empty: int  # notes in which nothing stands
    words: float  # of a note, in the mean
    rouge: Rouge | None  # mean of the notes that can be compared, of an empty one 0; None where none can
    divisions: dict[Division, Rouge]  # mean of the notes whose reference has the division
    cited: Share  # sentences that name their items
    support_mean: float | None  # of sentences
    support_least: float | None
    support_below: int  # sentences whose support is less than they may have
    numbers: Share  # numbers that were said
    terms_unsaid: float | None  # mean of the notes
    words_kept: float | None  # mean of the notes
    terms_kept: float | None  # mean of the notes
    medicines: Share
    allergies: Share
    flips: int
    as_answered: Share
    as_reference: Share
    dropped: dict[str, int]  # sentences that the server's check refused before this was measured, by fault
    median_ms: float | None  # of a note, to write it


def figures(name: str, written: Sequence[Written]) -> Figures:
    """All that was measured of a set."""
    checked = [check(one.visit, one.note) for one in written]
    supports = [support for one in checked for support in one.supports]
    return Figures(
        name=name,
        notes=len(written),
        empty=sum(one.note is None for one in written),
        words=fmean(len(_text(one).split()) for one in written) if written else 0.0,
        rouge=mean(rouge(one.visit.reference, _text(one)) for one in written if one.visit.reference),
        divisions=_divisions(written),
        cited=total(one.cited for one in checked),
        support_mean=fmean(supports) if supports else None,
        support_least=min(supports, default=None),
        support_below=sum(support < LEAST_SUPPORT for support in supports),
        numbers=total(one.numbers for one in checked),
        terms_unsaid=mean_of(one.terms_unsaid for one in checked),
        words_kept=mean_of(one.words_kept for one in checked),
        terms_kept=mean_of(one.terms_kept for one in checked),
        medicines=total(one.medicines for one in checked),
        allergies=total(one.allergies for one in checked),
        flips=sum(one.flips for one in checked),
        as_answered=total(one.as_answered for one in checked),
        as_reference=total(one.as_reference for one in checked),
        dropped=dict(Counter(refused.fault for one in written for refused in one.outcome.refused)),
        median_ms=median(one.outcome.took_s * 1000 for one in written) if written else None,
    )


def total(shares: Iterable[Share]) -> Share:
    """All of them together."""
    return sum(shares, start=Share())


def mean_of(values: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _text(written: Written) -> str:
    """The note as it is read, of a snippet without titles; empty where there is none."""
    if written.note is None:
        return ""
    if written.visit.header:
        return "\n".join(section.text for section in written.note.sections)
    return note_text(written.note)


def _divisions(written: Iterable[Written]) -> dict[Division, Rouge]:
    scores: dict[Division, list[Rouge]] = {division: [] for division in Division}
    for one in written:
        if one.visit.header:
            continue
        ours = note_divisions(one.note) if one.note is not None else {}
        for division, text in reference_divisions(one.visit.reference).items():
            scores[division].append(rouge(text, ours.get(division, "")))
    means = {division: mean(each) for division, each in scores.items()}
    return {division: each for division, each in means.items() if each is not None}
