"""What belongs together in English sentences: a dose and its medicine, a number and its unit, a relative and a disease.

A sentence may have all words of a talk and be false, because they stand together in another way. A bond is compared
only where the talk binds the same key, too: then it must bind it to the same value.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import pairwise, zip_longest
from typing import Final

from pipeline.notes.english.drugs import is_drug
from pipeline.notes.english.vocabulary import word_list, word_set
from pipeline.notes.english.wording import MARKS, stem

DOSE_REACH = 3  # words between a medicine and its dose
KIN_REACH = 6  # words of what a relative has
TIMES: Final = frozenset({"minute", "hour", "day", "week", "month", "year"})
SHORT: Final = {"min": "minute", "hr": "hour", "wk": "week", "mo": "month", "yr": "year"}
MEASURES: Final = {
    **{name: name for name in word_list("mg mcg g ml cm mm kg")},
    "gram": "g", "millimeter": "mm", "millimetre": "mm", "milligram": "mg", "microgram": "mcg", "centimeter": "cm",
    "centimetre": "cm", "kilogram": "kg",
}  # fmt: skip
DOSES: Final = frozenset({"mg", "mcg", "g", "ml"})
COUNTS: Final = {"once": "1", "twice": "2", "thrice": "3"}
PER: Final = word_set("a an per every each")
RATES: Final = {"daily": "day", "weekly": "week", "monthly": "month"}
DAYTIMES: Final = {
    **dict.fromkeys(("morning", "mornings"), "morning"),
    **dict.fromkeys(("evening", "evenings", "night", "nights", "nightly", "bedtime", "qhs", "tonight"), "night"),
}
RELATIVES: Final = {
    "mom": "mother", "mum": "mother", "mother": "mother", "dad": "father", "father": "father", "brother": "brother",
    "sister": "sister", "son": "son", "daughter": "daughter", "husband": "husband", "wife": "wife",
}  # fmt: skip
HAVING: Final = word_set("has had have with is was died takes")
LEVELS: Final = word_set("upper lower")


class Kind(Enum):
    """What is bound to what."""

    TIME = auto()  # a number → the unit of time that it counts
    MEASURE = auto()  # a number → its unit of measure
    RATE = auto()  # → how often: "2 a day"
    DOSE = auto()  # a dose → its medicine
    DAYTIME = auto()  # → morning or night
    LEVEL = auto()  # a part of the body → upper or lower
    KIN = auto()  # a disease → the relative who has it


@dataclass(frozen=True, slots=True)
class Bond:
    """A key and what it is bound to."""

    kind: Kind
    key: str
    value: str


def bonds(tokens: Sequence[str], terms: frozenset[str], *, written: bool) -> frozenset[Bond]:
    """The bonds of a sentence, a note's (`written`) or a talk's.

    Shapes: tokens in lower case, with marks; stems of the diseases among them.
    """
    said = [token for token in tokens if token not in MARKS]
    rates = [*_rates(said), *(() if written or not _is_daily(said) else (Bond(Kind.RATE, "", "1 a day"),))]
    return frozenset((*_units(said), *rates, *_doses(said), *_others(said), *_of_kin(tokens, terms)))


def broken(said: Iterable[Bond], heard: frozenset[Bond]) -> Iterator[Kind]:
    """The kinds of bonds that tie what was bound otherwise."""
    bound: dict[tuple[Kind, str], set[str]] = {}
    for one in heard:
        bound.setdefault((one.kind, one.key), set()).add(one.value)
    for one in said:
        if one.value not in bound.get((one.kind, one.key), {one.value}):
            yield one.kind


def _unit(word: str, known: Mapping[str, str]) -> str:
    return known.get(word) or known.get(stem(word), "")


def _time(word: str) -> str:
    name = SHORT.get(stem(word), stem(word))
    return name if name in TIMES else ""


def _units(said: Sequence[str]) -> Iterator[Bond]:
    for number, behind in pairwise(said):
        if number[0].isdigit():
            if unit := _unit(behind, MEASURES):
                yield Bond(Kind.MEASURE, number, unit)
            elif unit := _time(behind):
                yield Bond(Kind.TIME, number, unit)


def _rates(said: Sequence[str]) -> Iterator[Bond]:
    """ "Twice a week", "3 times daily"."""
    for at, word in enumerate(said):
        count = COUNTS.get(word) or (word if word[0].isdigit() and said[at + 1 : at + 2] == ["times"] else "")
        behind = at + (1 if word in COUNTS else 2)
        following = [*said[behind : behind + 2], "", ""]
        unit = RATES.get(following[0]) or (_time(following[1]) if following[0] in PER else "")
        if count and unit:
            yield Bond(Kind.RATE, "", f"{count} a {unit}")


def _is_daily(said: Sequence[str]) -> bool:
    """Whether talk names, without counting, what is done once a day: "every morning"."""
    every = any(pair in (("every", "day"), ("each", "day")) for pair in pairwise(said))
    return every or "daily" in said or not DAYTIMES.keys().isdisjoint(said)


def _doses(said: Sequence[str]) -> Iterator[Bond]:
    """ "Metformin 500 mg", "500 mg of metformin"."""
    for at, number in enumerate(said[:-1]):
        if not number[0].isdigit() or _unit(said[at + 1], MEASURES) not in DOSES:
            continue
        of = said[at + 3 : at + 4] if said[at + 2 : at + 3] == ["of"] else said[at + 2 : at + 3]
        before = [word for word in said[max(0, at - DOSE_REACH) : at] if is_drug(word)]
        if of and is_drug(of[0]) and (not before or said[at + 2] == "of"):
            yield Bond(Kind.DOSE, number, of[0])
        elif before:
            yield Bond(Kind.DOSE, number, before[-1])


def _others(said: Sequence[str]) -> Iterator[Bond]:
    for word, behind in zip_longest(said, said[1:], fillvalue=""):
        if word in DAYTIMES:
            yield Bond(Kind.DAYTIME, "", DAYTIMES[word])
        elif word in LEVELS and behind.isalpha():
            yield Bond(Kind.LEVEL, stem(behind), word)


def _of_kin(tokens: Sequence[str], terms: frozenset[str]) -> Iterator[Bond]:
    """ "My mother had breast cancer"; not "cancer in the mother", which only a reader understands."""
    for at, word in enumerate(tokens[:-1]):
        if word not in RELATIVES or tokens[at + 1] not in HAVING:
            continue
        for other in tokens[at + 2 : at + 2 + KIN_REACH]:
            if other in RELATIVES or other in MARKS:
                break
            if stem(other) in terms:
                yield Bond(Kind.KIN, stem(other), RELATIVES[word])
