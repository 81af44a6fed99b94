"""ICD-10-CM: what a code means, and which code the words for a problem lead to. Pure, once it is read.

`icd10cm.tsv.zlib` (zlib) beside this file is made by `bench.icd10cm` of the release of the CDC's National Center for
Health Statistics (public domain). Its first line names the release, and what seventh characters mean; then comes a
line for each code, sorted: code, number of its seventh characters' meanings (empty: it takes none), 1 where claims may
carry it, description. Behind an empty line come the keys, sorted, each with its code, and 1 where that is by default.

A key is the set of words of one of the catalogue's own terms, folded and sorted. What a term says of its own vagueness
is no part of it ("unspecified", "NOS"), neither is what it rules out ("without complications"): such a code is the one
to choose where nothing more was said. No key leaves out what makes a code worse, newer or one-sided.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

from pipeline.notes.english.vocabulary import word_set

FILE: Final = "icd10cm.tsv.zlib"
FORM: Final = re.compile(r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?")
SEVENTH: Final = 7  # characters without the point
FILLER: Final = "X"  # up to the seventh

LINKING: Final = word_set("of the and or with in to for by a an at on")  # in no key

_WORD: Final = re.compile(r"[a-z]+|[0-9]+")
_JOINED: Final = re.compile(r"\b(gastro|post|non|pre|anti|musculo|naso|cardio|cerebro|broncho)-(?=[a-z])|['’](?=s\b)")
_SIDED: Final = re.compile(r"-sided\b")
_ROMAN: Final = re.compile(r"\btype (i{1,2})\b")
_FOLDED: Final = (("ae", "e"), ("oe", "e"), ("our", "or"))  # British spellings


class Standing(StrEnum):
    """What the catalogue says of a code."""

    BILLABLE = "billable"
    INCOMPLETE = "incomplete"  # it needs more characters before a claim may carry it
    UNKNOWN = "unknown"  # no code of this release


class Header(msgspec.Struct, frozen=True):
    """The first line of the file."""

    release: str
    sevenths: tuple[dict[str, str], ...]  # character → meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A code."""

    code: str
    description: str
    billable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """The code that words lead to."""

    entry: Entry
    by_default: bool  # the code also says that there are no complications, or the like


class Catalogue:
    """One release, as it is shipped. 47,000 codes; those with a seventh character are not listed, but known."""

    def __init__(self, text: bytes) -> None:
        """`text`: the lines of the file."""
        head, _, body = text.partition(b"\n")
        codes, _, keys = body.partition(b"\n\n")
        self._header = msgspec.json.decode(head, type=Header)
        self._codes, self._keys = _Lines(codes + b"\n"), _Lines(keys)
        self._words = frozenset(word.decode() for word in set(re.findall(rb"[a-z0-9]+(?=[ \t])", keys)))

    @property
    def release(self) -> str:
        """Such as "ICD-10-CM April 2026"."""
        return self._header.release

    def standing(self, code: str) -> Standing:
        """Whether a claim may carry a code, written with or without its point, in any case."""
        entry = self.entry(code)
        return Standing.UNKNOWN if entry is None else Standing.BILLABLE if entry.billable else Standing.INCOMPLETE

    def entry(self, code: str) -> Entry | None:
        """What a code means; None: there is no such code in this release."""
        written = _pointed(code)
        if not FORM.fullmatch(written):
            return None
        listed = self._codes.find(written)
        if listed is not None:
            return _entry(written, listed)
        bare = written.replace(".", "")
        stem = _pointed(bare[:-1].rstrip(FILLER)) if len(bare) == SEVENTH else ""
        listed = self._codes.find(stem) if stem else None
        meaning = None if listed is None else self._sevenths(listed).get(bare[-1])
        if listed is None or meaning is None:
            return None
        return Entry(code=written, description=f"{_entry(stem, listed).description}, {meaning}", billable=True)

    def lead(self, key: str) -> Lead | None:
        """The code that a key leads to."""
        found = self._keys.find(key) if self._words.issuperset(key.split()) else None
        if found is None:
            return None
        code, by_default = found
        entry = self.entry(code)
        return None if entry is None else Lead(entry=entry, by_default=bool(by_default))

    def tells_apart(self, word: str) -> bool:
        """Whether the catalogue's terms use a (folded) word."""
        return word in self._words

    def _sevenths(self, listed: Sequence[str]) -> dict[str, str]:
        return self._header.sevenths[int(listed[0])] if listed[0] else {}


class _Lines:
    """Sorted lines, searched where they lie: as a list of texts they would take ten times the memory."""

    def __init__(self, text: bytes) -> None:
        """`text`: every line ends."""
        self._text = text

    def find(self, first: str) -> list[str] | None:
        """The other columns of the line whose first column this is."""
        sought = f"{first}\t".encode()
        low, high = 0, len(self._text)
        while low < high:
            middle = (low + high) // 2
            begin = self._text.rfind(b"\n", 0, middle) + 1
            if self._text[begin : begin + len(sought)] < sought:
                low = self._text.index(b"\n", middle) + 1
            else:
                high = begin
        if not self._text.startswith(sought, low):
            return None
        return self._text[low + len(sought) : self._text.index(b"\n", low)].decode().split("\t")


def _entry(code: str, listed: Sequence[str]) -> Entry:
    return Entry(code=code, description=listed[2], billable=bool(listed[1]))


@cache
def shipped_catalogue() -> Catalogue:
    """The release that comes with the program; read when it is first asked for."""
    return Catalogue(zlib.decompress(files("pipeline.notes.beside").joinpath(FILE).read_bytes()))


def folded(text: str) -> tuple[str, ...]:
    """The words of a text as keys have them: small, singular, in American spelling."""
    lower = _ROMAN.sub(lambda said: f"type {len(said[1])}", _SIDED.sub("", text.lower()))
    return tuple(_fold(word) for word in _WORD.findall(_JOINED.sub(r"\1", lower)))


def key(words: Iterable[str]) -> str:
    """Folded words as a key."""
    return " ".join(sorted(set(words) - LINKING))


def _fold(word: str) -> str:
    for british, american in _FOLDED:
        word = word.replace(british, american)
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 3 and word.endswith("s") and word[-2] not in "sui":
        return word[:-1]
    return word


def _pointed(code: str) -> str:
    """A code as the catalogue writes it."""
    bare = code.strip().upper().replace(".", "")
    return bare if len(bare) <= 3 else f"{bare[:3]}.{bare[3:]}"
