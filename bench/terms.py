"""Medical terms: which words of a consultation a clinician would miss, and how many of them were understood. Pure.

A *term* is what the note writer looks for as a symptom, part of the body, disease, medicine, test, image, vital sign,
operation, allergy or vaccination (`pipeline.notes.english.cues`), a number with a metric unit, and every entry of a
glossary (`config/glossaries`). The longest entry counts alone: "high blood pressure" is one term. English only.

*Recall* is the share of the terms said whose words are all in their place in the transcript, by the alignment with the
fewest edits in the medical form. So a term said three times and understood once counts a third, and the same word
elsewhere does not help.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import jiwer
import msgspec

from bench.words import ENGLISH, medical_form
from pipeline.glossary import read_glossaries
from pipeline.notes.english.cues import Cue, spans
from pipeline.notes.english.numerals import UNITS
from server.settings import config_directory

TERM_CUES: Final = frozenset(
    {
        Cue.SYMPTOM,
        Cue.BODY,
        Cue.CONDITION,
        Cue.DRUG,
        Cue.LAB,
        Cue.IMAGING,
        Cue.VITAL,
        Cue.SURGERY,
        Cue.ALLERGY,
        Cue.VACCINE,
    }
)
UNIT_WORDS: Final = frozenset(unit.lower() for unit in UNITS.values())

Glossary = Mapping[str, Sequence[tuple[str, ...]]]
"""First word of an entry → the entries that begin with it, the longest first; all in the medical form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A term among the words of a text in the medical form."""

    begin: int
    end: int
    drug: bool


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """How many terms were understood."""

    said: int
    heard: int

    @property
    def share(self) -> float | None:
        """The recall; None where no term was said."""
        return self.heard / self.said if self.said else None

    def __add__(self, other: "Recall") -> "Recall":
        return Recall(said=self.said + other.said, heard=self.heard + other.heard)


class Recalls(msgspec.Struct, frozen=True, kw_only=True):
    """Of all terms, and of the medicines among them."""

    terms: Recall = Recall(said=0, heard=0)
    drugs: Recall = Recall(said=0, heard=0)

    def __add__(self, other: "Recalls") -> "Recalls":
        return Recalls(terms=self.terms + other.terms, drugs=self.drugs + other.drugs)


def our_glossary() -> Glossary:
    """The glossaries that are shipped."""
    return glossary(term for terms in read_glossaries(config_directory() / "glossaries").values() for term in terms)


def glossary(entries: Iterable[str]) -> Glossary:
    """Entries as they are looked up."""
    form = medical_form(ENGLISH)
    found: dict[str, list[tuple[str, ...]]] = {}
    for entry in sorted({tuple(form(entry).split()) for entry in entries} - {()}, key=len, reverse=True):
        found.setdefault(entry[0], []).append(entry)
    return found


def terms(words: Sequence[str], known: Glossary) -> Iterator[Term]:
    """The terms among the words of a text in the medical form, from left to right, none within another."""
    hints = {begin: (end, kinds) for begin, end, kinds in spans(words) if kinds & TERM_CUES}
    at = 0
    while at < len(words):
        end, kinds = hints.get(at, (at, frozenset[Cue]()))
        end = max(end, at + _entry(words, at, known))
        if end == at and words[at][-1].isdigit() and UNIT_WORDS.intersection(words[at + 1 : at + 2]):
            end = at + 2
        if end > at:
            yield Term(begin=at, end=end, drug=Cue.DRUG in kinds)
        at = max(end, at + 1)


def recall(said: str, heard: str, known: Glossary) -> Recalls:
    """Of what one voice said; both texts in the medical form."""
    words = said.split()
    found = list(terms(words, known))
    right = _understood(said, heard) if found else frozenset()
    return Recalls(
        terms=_recall(found, right),
        drugs=_recall([term for term in found if term.drug], right),
    )


def _recall(found: Sequence[Term], right: frozenset[int]) -> Recall:
    return Recall(said=len(found), heard=sum(right.issuperset(range(term.begin, term.end)) for term in found))


def _understood(said: str, heard: str) -> frozenset[int]:
    """Which words of `said` stand in their place in `heard`, by their numbers."""
    (chunks,) = jiwer.process_words(said, heard).alignments
    equal = (range(chunk.ref_start_idx, chunk.ref_end_idx) for chunk in chunks if chunk.type == "equal")
    return frozenset(index for indices in equal for index in indices)


def _entry(words: Sequence[str], at: int, known: Glossary) -> int:
    """Length of the longest entry that stands at `at`; 0 where there is none."""
    entries = known.get(words[at], ())
    return next((len(entry) for entry in entries if tuple(words[at : at + len(entry)]) == entry), 0)
