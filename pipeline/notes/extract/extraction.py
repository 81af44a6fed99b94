"""Medicines and measurements, one by one, in the words in which they were said.

A sentence is taken apart only when nothing it says is lost; otherwise it has to be kept whole.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from pipeline.notes.english.drugs import is_drug
from pipeline.notes.english.vocabulary import phrase_set, word_set
from pipeline.notes.english.wording import MARKS, content_words, join, negations, stem, words
from pipeline.notes.extract.phrasing import tidy, trimmed

# What may follow a medicine's name and still belongs to it: dose, form, frequency.
_DOSE_WORDS: Final = word_set(
    """
    mg mcg g ml unit units iu puff puffs tablet tablets pill pills capsule capsules drop drops once twice time
    times a an per day daily week weekly month monthly every other each morning evening night noon hour hours at
    in the bedtime with food meals before after as needed by mouth one two half extended release er xr prn
    bid tid qid qd qhs po
    """
)
_OPEN_ENDS: Final = word_set("a an at in the with before after as by every and per each other of")
_AMOUNTS: Final = word_set("mg mcg g units tablets tablet puffs pills")
_TAKING: Final = frozenset(
    {stem(word) for word in ("take", "using", "use", "still", "currently", "daily", "on", "yes")}
)
_NOT_PLAIN: Final = word_set("if when until might maybe should was were had took used")

_MEASURES: Final = phrase_set(
    """
    blood pressure, bp, heart rate, pulse, respiratory rate, temperature, temp, oxygen level, oxygen saturation,
    oxygen, saturation, sats, spo2, pulse ox, weight, height, bmi
    """
)
_REACH = 8  # words between the name of a measure and its figure


def medications(tokens: Sequence[str]) -> tuple[str, ...]:
    """Each medicine of a plain "I take …" sentence with dose and frequency: "Aspirin 80 mg once a day."

    Empty where the sentence names none, or says anything more about them.
    """
    tokens = [token for token in tokens if token not in MARKS]
    lower = [token.lower() for token in tokens]
    if negations(lower) or _NOT_PLAIN.intersection(lower):
        return ()
    found: list[str] = []
    for at, word in enumerate(lower):
        if is_drug(word):
            begin, end = _dose_before(lower, at), _dose_end(lower, at + 1)
            before = [token for token in tokens[begin:at] if token.lower() != "of"]
            found.append(tidy(join((tokens[at], *before, *tokens[at + 1 : end]))))
    kept = content_words(word for one in found for word in words(one.rstrip(".").split(" ")))
    return tuple(found) if found and content_words(lower) <= kept | _TAKING else ()


def _dose_before(lower: Sequence[str], at: int) -> int:
    """Where the dose of "100 mg of aspirin" begins; `at` when there is none."""
    begin = at - 1 if at and lower[at - 1] == "of" else at
    while begin and (lower[begin - 1] in _AMOUNTS or lower[begin - 1][0].isdigit()):
        begin -= 1
    return begin if lower[begin][0].isdigit() else at


def _dose_end(lower: Sequence[str], at: int) -> int:
    end = at
    while end < len(lower) and (lower[end] in _DOSE_WORDS or lower[end][0].isdigit()):
        end += 1
    while end > at and lower[end - 1] in _OPEN_ENDS:
        end -= 1
    return end


def measurements(tokens: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """A sentence cut before each measure that has a figure: "blood pressure is 120/70" · "oxygen is 96%".

    Empty where there is nothing to cut, or where the words before the first measure belong to it.
    """
    lower = [token.lower() for token in tokens]
    cuts = list(_measures(lower))
    if len(cuts) < 2 or (content_words(lower[: cuts[0]]) and lower[cuts[0] - 1] in ("that", "your", "the", "is", "of")):
        return ()
    bounds = [0, *cuts, len(tokens)] if content_words(lower[: cuts[0]]) else [*cuts, len(tokens)]
    return tuple(_without_joints(tokens[begin:end]) for begin, end in pairwise(bounds))


def _without_joints(tokens: Sequence[str]) -> tuple[str, ...]:
    """A piece without the words that joined it to the next one."""
    kept = trimmed(tokens)
    while len(kept) > 1 and kept[-1].lower() in ("your", "and", "the", ","):
        kept = kept[:-1]
    return trimmed(kept)


def _measures(lower: Sequence[str]) -> Iterator[int]:
    """Where the names of measures stand that have a figure of their own."""
    at = 0
    while at < len(lower):
        length = 2 if " ".join(lower[at : at + 2]) in _MEASURES else int(lower[at] in _MEASURES)
        if length and _has_figure(lower, at + length):
            yield at
        at += max(1, length)


def _has_figure(lower: Sequence[str], at: int) -> bool:
    for word in lower[at : at + _REACH]:
        if word in _MEASURES:
            return False
        if word[0].isdigit():
            return True
    return False
