"""Who speaks, by the words alone: doctors ask, examine and prescribe, patients report. Pure.

One weight for every word, pair of words and mark that `features` finds, learned from doctor/patient dialogues by
`auscult-bench train-roles` and shipped beside this file as `roles.json`. English only; other languages have a small
table of cues (`pipeline.attribution.cues`).
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

import msgspec

from pipeline.attribution.cues import CUES

BOUND = 4.0  # log-odds; one utterance never says more: 98 in 100, as often as the surest ones are right
MAX_WORDS = 400  # of an utterance: three minutes of speech; what follows changes nothing
BEFORE_WORDS = 12  # of the utterance before: its end says most about who answers
BEFORE_SIGNS = 600  # of it are looked at: more words than `features` counts

FIGURE: Final = "0"  # stands for every number: recognisers write "3", "three" or "three hundred"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


NUMBERS: Final = _set(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
)
HESITATIONS: Final = _set("um uh er erm hm hmm mm ah eh oh umm uhm mmm")  # recognisers drop or invent them
_TOKEN: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[.?!]")
_END_MARKS: Final = frozenset(".?!")


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `roles.json` holds."""

    about: str
    scale: float  # log-odds of a unit of weight
    length: float  # the sum of weights is divided by words to this power
    bias: int
    features: dict[str, int]


@dataclass(frozen=True, slots=True)
class RoleWording:
    """What an utterance's words say about its speaker. Immutable, hence safe in any thread."""

    weights: Weights

    def log_odds(self, text: str, before: str = "", *, language: str = "en") -> float:
        """log P(doctor) / P(patient) of whoever said `text`, both as likely beforehand; 0 where nothing can be said.

        `before` is what was said just before, by either, or empty. `language` is ISO 639-1, with or without a region.
        The answer lies within ±`BOUND`. It holds for one utterance: neighbouring ones of one speaker are not
        independent, so sums must be tempered: see `pipeline.attribution.roles`.
        """
        spoken = language.lower().replace("_", "-").partition("-")[0]
        if spoken == "en":
            return self._learned(text, before)
        if spoken in CUES:
            return CUES[spoken].log_odds(text)
        return 0.0

    def _learned(self, text: str, before: str) -> float:
        said = tokens(text)
        length = word_count(said)
        if not length:
            return 0.0
        known = self.weights.features
        total = self.weights.bias + sum(
            known.get(feature, 0) for feature in features(said, tokens(before[-BEFORE_SIGNS:]))
        )
        return bounded(self.weights.scale * total / length**self.weights.length)


def bounded(log_odds: float) -> float:
    """Within ±`BOUND`, hardly changed near 0."""
    return BOUND * math.tanh(log_odds / BOUND)


@cache
def role_wording() -> RoleWording:
    """The model that is shipped. The first call reads it."""
    shipped = files("pipeline.attribution").joinpath("roles.json").read_bytes()
    return RoleWording(msgspec.json.decode(shipped, type=Weights))


def tokens(text: str) -> list[str]:
    """Words in lower case and marks that end sentences, as the model knows them."""
    found: list[str] = []
    for match in _TOKEN.finditer(text.lower().replace("’", "'")):
        token = match[0]
        if token in HESITATIONS:
            continue
        figure = token in NUMBERS or any(sign.isdecimal() for sign in token)
        if figure and found and found[-1] == FIGURE:
            continue
        found.append(FIGURE if figure else token)
        if len(found) >= 2 * MAX_WORDS:
            break
    return found


def word_count(said: list[str]) -> int:
    """How many of the tokens are words."""
    return sum(token not in _END_MARKS for token in said)


def features(said: list[str], before: list[str]) -> set[str]:
    """What the model has weights for: words, pairs, beginnings and ends of `said`, and of the end of `before` ("<")."""
    found = set(_words_and_pairs(said))
    length = word_count(said)
    found.add(f"#{min(length.bit_length(), 6)}")
    found.add("<#" + str(min(word_count(before).bit_length(), 6)))
    found.update("<" + feature for feature in _words_and_pairs(before[-BEFORE_WORDS:]))
    return found


def _words_and_pairs(said: list[str]) -> list[str]:
    words = [token for token in said if token not in _END_MARKS]
    marked = ["^", *words, "$"]
    found = [*words, *(f"{a} {b}" for a, b in pairwise(marked))]
    if len(words) < len(said):  # whether anything is asked can only be seen where there are marks
        found.append("?" if "?" in said else ".")
        found.extend(f"{b} {a}" for a, b in pairwise(said) if b == "?")
    return found
