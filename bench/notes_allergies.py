"""What a patient is allergic to, as a note has it and as it was said. Pure.

Allergens are names of medicines and the words in `ALLERGENS`; that there are no allergies is an answer as well: `NONE`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from bench.notes_divisions import headed_lines
from bench.notes_sets import Visit
from bench.notes_vocabulary import named_medicines
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import clean, is_negation, words
from pipeline.notes.note import Note, Topic
from pipeline.types import Utterance

NONE: Final = "none"
HEADER: Final = "ALLERGY"  # of MTS-Dialog
ALLERGENS: Final = word_set(
    """
    penicillin amoxicillin sulfa latex peanut peanuts nut nuts shellfish shrimp fish egg eggs milk dairy soy wheat
    gluten bee bees wasp wasps pollen ragweed grass dust mold cat cats dog dogs pet pets hay adhesive tape iodine
    contrast dye codeine morphine aspirin strawberries strawberry kiwi sesame nickel perfume antibiotic antibiotics
    seafood
    """
)
NO_ALLERGENS: Final = word_set("antihistamine antihistamines benadryl claritin zyrtec allegra flonase epipen")  # help

_ALLERGY: Final = re.compile(r"\ballerg\w*", re.IGNORECASE)
_NO_KNOWN: Final = re.compile(r"\bNKD?A\b")
_SENTENCE_END: Final = re.compile(r"(?<=[.;?!])\s+|\n")
_CLAUSE_END: Final = re.compile(r"[.;:?!\n]|\b(?:but|except|other than|causes?|which|that|and i|so)\b", re.IGNORECASE)


def noted_allergens(note: Note) -> frozenset[str]:
    """In a note: the section for allergies, and sentences elsewhere that name one."""
    found: set[str] = set()
    for section in note.sections:
        for sentence in section.sentences:
            belongs = Topic.ALLERGIES in section.topics
            found.update(_named(sentence.text) if belongs else _in_sentences(sentence.text))
    return frozenset(found)


def reference_allergens(visit: Visit) -> frozenset[str]:
    """In a clinician's note, in the same way."""
    found: set[str] = set()
    for heading, text in headed_lines(visit.reference):
        belongs = visit.header == HEADER or _ALLERGY.search(heading) is not None
        found.update(_named(text) if belongs else _in_sentences(text))
    return frozenset(found)


def said_allergens(items: Sequence[Utterance]) -> frozenset[str]:
    """In what was said; a reply belongs to the question before it."""
    found: set[str] = set()
    for before, item in zip((None, *items), items, strict=False):
        found.update(_in_sentences(item.text))
        if before is not None and before.role is not item.role and _asked(before.text):
            found.update(_named(item.text))
    return frozenset(found)


def _asked(text: str) -> bool:
    last = _SENTENCE_END.split(text.strip())[-1]
    return last.endswith("?") and _ALLERGY.search(last) is not None


def _in_sentences(text: str) -> Iterator[str]:
    for sentence in _SENTENCE_END.split(text):
        if _NO_KNOWN.search(sentence):
            yield NONE
        elif (found := _ALLERGY.search(sentence)) is not None:
            begin = max((end.end() for end in _CLAUSE_END.finditer(sentence, 0, found.start())), default=0)
            yield from _named(sentence[begin:])


def _named(text: str) -> Iterator[str]:
    """Clause by clause: a denial, or what is named. Plurals are told as one thing."""
    for clause in _CLAUSE_END.split(text):
        said = words(clean(clause))
        if _NO_KNOWN.search(clause) or any(is_negation(word) or word == "nil" for word in said):
            yield NONE
        else:
            known = (named_medicines(clause) | ALLERGENS.intersection(said)) - NO_ALLERGENS
            yield from (word.removesuffix("s") for word in known)
