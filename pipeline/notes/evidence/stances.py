"""Whether what a text names is affirmed, denied, only supposed, or left open, word by word.

Simpler than reading, and unsure on purpose: only what surely stands on one side may speak against a sentence.
"""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from typing import Final

from pipeline.notes.english.wording import MARKS
from pipeline.notes.evidence.lexicon import Lexicon

LISTING: Final = frozenset({",", "or", "and", "nor", "oder", "und", "ou", "et"})
LACKING: Final = frozenset({"indicated", "needed", "required", "necessary", "recommended", "warranted"})
SUPPOSING: Final = frozenset({("we", "could"), ("it", "could"), ("it", "might"), ("this", "could"), ("this", "might")})
CHOICES: Final = frozenset({"or", "oder", "ou"})
REACH = 5  # words behind a negation, or behind the last member of a list that it denies, that are surely denied


class Stance(Enum):
    """How a text stands to a word in it."""

    AFFIRMED = auto()
    DENIED = auto()
    SUPPOSED = auto()  # in a condition: "if you get a fever"
    OPEN = auto()  # too far from a negation to tell


def stances(tokens: Sequence[str], lexicon: Lexicon, *, written: bool = False) -> Iterator[tuple[str, Stance, int]]:
    """Each word in order, with its stance and the ordinal of the thing named it belongs to: "a cough | and a fever".

    Tokens are in lower case; marks among them are not given out. `written`: a note's sentence has marks where it needs
    them, and may begin with what it is about ("Heart: no murmur").
    """
    heading = _heading(tokens, lexicon) if written else 0
    denied_later = frozenset(_denied_later(tokens)) if written else frozenset[int]()
    replies = _replies(tokens, lexicon)
    stance, distance, thing = Stance.AFFIRMED, 0, 0
    for at, word in enumerate(tokens):
        before = stance
        if at < heading or at in denied_later:
            stance = Stance.OPEN
        elif word in lexicon.turning or _begins_anew(word, tokens[at + 1 : at + 3], lexicon):
            stance = Stance.AFFIRMED
        elif lexicon.denies(word):
            stance, distance = _denied(tokens, at, stance, lexicon, opens=at <= replies), 0
        elif stance is Stance.AFFIRMED and _supposes(tokens, at, lexicon):
            stance, distance = Stance.SUPPOSED, 0
        elif stance is Stance.OPEN and word in lexicon.pronouns and not written:
            stance = Stance.AFFIRMED  # another clause, in speech without marks
        elif stance is Stance.DENIED:
            thinks = word in lexicon.opinions or (tokens[at - 1] in lexicon.opinions and word in lexicon.pronouns)
            distance = 0 if word in LISTING or (thinks and distance <= 1) else distance + 1
            far = distance > REACH or (distance > 1 and (word in lexicon.circumstances or word in lexicon.pronouns))
            stance = Stance.OPEN if far else stance
        elif stance is Stance.SUPPOSED:
            distance = 0 if word in CHOICES else distance + 1  # "if it gets worse or you get a fever"
            stance = Stance.OPEN if distance > REACH else stance
        thing += stance is not before or word in LISTING or word in MARKS
        if word not in MARKS:
            yield word, stance, thing


def _heading(tokens: Sequence[str], lexicon: Lexicon) -> int:
    """Length of what stands before a colon behind which something is denied: it is only named."""
    end = list(tokens).index(":") if ":" in tokens else 0
    return end if any(lexicon.denies(word) for word in tokens[end:]) else 0


def _supposes(tokens: Sequence[str], at: int, lexicon: Lexicon) -> bool:
    """Whether what follows is only supposed: "if you …", "we could …"."""
    if tokens[at] in lexicon.conditions:
        return at + 1 == len(tokens) or tokens[at + 1] not in lexicon.first_person
    return at > 0 and (tokens[at - 1], tokens[at]) in SUPPOSING


def _denied_later(tokens: Sequence[str]) -> Iterator[int]:
    """Where what is denied stands before its denial: "antibiotics are not indicated"."""
    for at in range(1, len(tokens) - 1):
        if tokens[at] == "not" and tokens[at + 1] in LACKING:
            begin = max((place for place in range(at) if tokens[place] in MARKS), default=-1)
            yield from range(begin + 1, at)


def _begins_anew(word: str, following: Sequence[str], lexicon: Lexicon) -> bool:
    """Whether a clause of its own begins behind a comma or "and": "no fever, I have a cough"."""
    if word not in MARKS and word not in ("and", "und", "et"):
        return False
    return bool(following) and (following[0] in lexicon.subjects or " ".join(following) in lexicon.persons)


def _replies(tokens: Sequence[str], lexicon: Lexicon) -> int:
    """Length of the yes and no at the beginning."""
    replying = lexicon.yes | lexicon.no
    return next((at for at, word in enumerate(tokens) if word not in MARKS and word not in replying), len(tokens))


def _denied(tokens: Sequence[str], at: int, stance: Stance, lexicon: Lexicon, *, opens: bool) -> Stance:
    """The stance behind a negation: a "no" that only replies denies nothing that follows, two leave it open."""
    if stance is Stance.DENIED and lexicon.denies(tokens[at - 1]):
        return Stance.OPEN
    if at and tokens[at - 1] in lexicon.conditions:  # "if not, come back"
        return stance
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    opens = opens or tokens[at - 1] in lexicon.turning
    if opens and tokens[at] in lexicon.no and following in (",", "."):
        return Stance.AFFIRMED
    if opens and tokens[at] in lexicon.refusals and following in lexicon.subjects:
        return Stance.AFFIRMED
    return Stance.DENIED
