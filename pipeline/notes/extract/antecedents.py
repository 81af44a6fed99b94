"""Whom a patient means by "he" or "she": the relative who was named last. Elsewhere in a note it would be the patient.

Only where one relative fits, and nobody else was spoken of since.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from pipeline.notes.english.contractions import BEHIND_HAS
from pipeline.notes.english.persons import patient_in_third_person
from pipeline.notes.english.questions import lead_length
from pipeline.notes.english.units import Unit
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import MARKS
from pipeline.notes.extract.exchanges import Exchange, Passage
from pipeline.types import Role

REACH = 6  # passages since the relative was spoken of
HE: Final = word_set("father dad brother husband son uncle grandfather grandpa boyfriend nephew")
SHE: Final = word_set("mother mom mum sister wife daughter aunt grandmother grandma girlfriend niece")
RELATIVES: Final = HE | SHE
# Others whom "he" or "she" may mean.
OTHERS: Final = word_set(
    """
    doctor doctors dr nurse surgeon specialist therapist dentist physician gp counselor friend boss neighbor neighbour
    guy man woman lady boy girl baby child kid kids cousin partner twins teacher coach mr mrs ms
    """
)
SUBJECTS: Final = {"he": HE, "he's": HE, "she": SHE, "she's": SHE}


@dataclass(frozen=True, slots=True)
class _Named:
    """A relative who was spoken of."""

    word: str
    items: tuple[str, ...]
    at: int  # passage


def with_antecedents(passages: Iterable[Passage]) -> Iterator[Passage]:
    """The passages; a patient's statement that begins with "he" or "she" names the relative who is meant."""
    named: list[_Named] = []
    for at, passage in enumerate(passages):
        named = [one for one in named if at - one.at <= REACH]
        passage, meant = _resolved(passage, named)
        yield passage
        said = passage.words
        if not OTHERS.isdisjoint(said):
            named = []
        if meant is not None:
            named = [replace(one, at=at) if one is meant else one for one in named]
        if RELATIVES.isdisjoint(said):
            continue
        owner = ("my",) if passage.role is Role.PATIENT and not isinstance(passage, Exchange) else ("my", "your")
        for place, word in enumerate(said[1:]):
            if word in RELATIVES and said[place] in owner:
                named = [one for one in named if one.word != word]
                named.append(_Named(word, passage.items, at) if meant is None else replace(meant, at=at))


def _resolved(passage: Passage, named: list[_Named]) -> tuple[Passage, _Named | None]:
    """A passage with its relative named, and who that is."""
    if isinstance(passage, Exchange) or passage.role is not Role.PATIENT:
        return passage, None
    if not named or SUBJECTS.keys().isdisjoint(passage.words):
        return passage, None
    lead = lead_length(passage.words)
    subject = passage.words[lead] if lead < len(passage.words) else ""
    fitting = [one for one in named if one.word in SUBJECTS.get(subject, ())]
    if len(fitting) != 1 or not OTHERS.isdisjoint(passage.words):
        return passage, None
    told = _naming(passage, lead, fitting[0])
    return (told, fitting[0]) if patient_in_third_person(told.tokens) is not None else (passage, None)


def _naming(unit: Unit, lead: int, meant: _Named) -> Unit:
    """The unit with "my brother" for the "he" behind its lead."""
    place = [at for at, token in enumerate(unit.tokens) if token not in MARKS][lead]
    subject, following = unit.words[lead], unit.words[lead + 1 : lead + 2]
    verb = () if "'" not in subject else ("has",) if following and following[0] in BEHIND_HAS else ("is",)
    person = ("my", meant.word, *verb)
    return replace(
        unit,
        tokens=(*unit.tokens[:place], *person, *unit.tokens[place + 1 :]),
        words=(*unit.words[:lead], *person, *unit.words[lead + 1 :]),
        items=tuple(dict.fromkeys((*meant.items, *unit.items))),
    )
