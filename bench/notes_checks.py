"""What matters more in a note than its likeness to another: whether it was said, and what of it is missing. Pure.

All figures are of one note, and add up over notes. Of an empty note nothing can be wrong and everything is missing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from bench.notes_allergies import noted_allergens, reference_allergens, said_allergens
from bench.notes_divisions import said_in, said_in_reference
from bench.notes_polarity import Polarity, compared, contradicted, flipped, polarity_of, polarity_of_talk
from bench.notes_sets import Visit
from bench.notes_vocabulary import medical, named_medicines, stems
from pipeline.notes.english.wording import clean, numbers, words
from pipeline.notes.evidence.grounding import MOST_ITEMS, support
from pipeline.notes.note import Note, NoteSentence
from pipeline.types import Utterance


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """How many of how many."""

    kept: int = 0
    of: int = 0

    @property
    def share(self) -> float | None:
        """None where there were none."""
        return self.kept / self.of if self.of else None

    def __add__(self, other: "Share") -> "Share":
        return Share(kept=self.kept + other.kept, of=self.of + other.of)


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One note against the transcript, and against what somebody else noted."""

    cited: Share  # sentences that name 1 to 4 items, all of which exist
    supports: tuple[float, ...]  # of each sentence: share of its content words in the items it cites
    numbers: Share  # numbers of the note that were said
    terms_unsaid: float | None  # share of its medical words that nobody said; None where it has none
    words_kept: float | None  # share of the reference's words that were said and that it has
    terms_kept: float | None  # the same of medical words
    medicines: Share  # that the reference names and that were said
    allergies: Share  # the same of what the patient is allergic to, or that it is nothing
    flips: int  # sentences that affirm what their items deny, or deny what they affirm
    as_answered: Share  # medical words that are affirmed or denied as in the talk
    as_reference: Share  # medical words that are affirmed or denied as in the reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A sentence and what it rests on."""

    visit: str
    section: str
    sentence: NoteSentence
    items: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What a note must not leave out and does: named in the reference and in the talk."""

    visit: str
    medicines: frozenset[str]
    allergies: frozenset[str]


def check(visit: Visit, note: Note | None) -> Checked:
    """All that can be checked without a clinician."""
    sentences = list(cited(visit, note)) if note is not None else []
    noted = said_in(note) if note is not None else ""
    said, wanted = " .\n".join(item.text for item in visit.items), said_in_reference(visit.reference)
    heard = frozenset(stems(said)) | frozenset(stems(" ".join(clean(said))))
    terms = medical(noted)
    missed = missing(visit, note)
    return Checked(
        cited=Share(kept=sum(map(_has_evidence, sentences)), of=len(sentences)),
        supports=tuple(support(one.sentence.text, one.items) for one in sentences),
        numbers=_numbers(noted, said),
        terms_unsaid=len(terms - heard) / len(terms) if terms else None,
        words_kept=_kept(frozenset(stems(wanted)) & heard, frozenset(stems(noted))),
        terms_kept=_kept(medical(wanted) & heard, terms),
        medicines=_without(missed.medicines, sayable_medicines(visit)),
        allergies=_without(missed.allergies, sayable_allergies(visit)),
        flips=sum(flipped(one.sentence.text, (item.text for item in one.items)) for one in sentences),
        as_answered=_agreement(noted, polarity_of_talk(visit.items)),
        as_reference=_agreement(noted, polarity_of(wanted)),
    )


def cited(visit: Visit, note: Note) -> Iterator[Cited]:
    """Every sentence of a note with the items it cites; ids that do not exist are left out."""
    for section in note.sections:
        for sentence in section.sentences:
            yield cited_by(visit, section.key, sentence)


def cited_by(visit: Visit, section: str, sentence: NoteSentence) -> Cited:
    """One sentence with its items, in spoken order."""
    found = tuple(item for item in visit.items if item.id in sentence.items)
    return Cited(visit=visit.name, section=section, sentence=sentence, items=found)


def sayable_medicines(visit: Visit) -> frozenset[str]:
    """That the reference names and that were said."""
    said = " ".join(item.text for item in visit.items)
    return named_medicines(visit.reference) & named_medicines(said)


def sayable_allergies(visit: Visit) -> frozenset[str]:
    """The same of what the patient is allergic to, or that it is nothing."""
    return reference_allergens(visit) & said_allergens(visit.items)


def missing(visit: Visit, note: Note | None) -> Missing:
    """What of it is not in the note."""
    medicines = named_medicines(said_in(note)) if note is not None else frozenset[str]()
    allergies = noted_allergens(note) if note is not None else frozenset[str]()
    return Missing(
        visit=visit.name,
        medicines=sayable_medicines(visit) - medicines,
        allergies=sayable_allergies(visit) - allergies,
    )


def doubtful(visit: Visit, note: Note) -> Iterator[tuple[str, Cited]]:
    """Words that the talk's answers or the reference affirm or deny the other way round, each with its sentence."""
    noted = said_in(note)
    in_doubt = contradicted(noted, polarity_of_talk(visit.items))
    in_doubt |= contradicted(noted, polarity_of(said_in_reference(visit.reference)))
    for one in cited(visit, note):
        yield from ((word, one) for word in sorted(in_doubt & polarity_of(one.sentence.text).keys()))


def _has_evidence(one: Cited) -> bool:
    return 0 < len(one.sentence.items) <= MOST_ITEMS and len(one.items) == len(one.sentence.items)


def _numbers(noted: str, said: str) -> Share:
    """Each number as often as it is noted."""
    counted, heard = numbers(words(clean(noted))), numbers(words(clean(said)))
    raw = frozenset(re.findall(r"\d+", said))
    right = sum(often for number, often in counted.items() if number in heard or number in raw)
    return Share(kept=right, of=sum(counted.values()))


def _kept(wanted: frozenset[str], noted: frozenset[str]) -> float | None:
    return len(wanted & noted) / len(wanted) if wanted else None


def _without(missed: frozenset[str], wanted: frozenset[str]) -> Share:
    return Share(kept=len(wanted) - len(missed), of=len(wanted))


def _agreement(noted: str, witness: Polarity) -> Share:
    known = compared(noted, witness)
    return Share(kept=known - len(contradicted(noted, witness)), of=known)
