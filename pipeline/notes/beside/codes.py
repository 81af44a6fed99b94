"""Billing codes that somebody spoke. Pure; they are found, and never concluded from what was said.

The forms: ICD-10-CM Official Guidelines 2026, I.A.2 (a letter, a digit, a digit or A or B, up to four characters behind
a point); CPT: five digits. A code without a point must be called one: vertebrae (T12) and vitamins (B12) look alike.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_CATEGORY = r"[A-Z]\d[0-9AB]"
_ICD10 = rf"{_CATEGORY}(?:\.[0-9A-Z]{{1,4}})?"
_CPT = r"\d{5}"
_IS = r"(?: codes?)?(?: is| are|:)? "
_POINTED: Final = re.compile(rf"\b{_CATEGORY}\.[0-9A-Z]{{1,4}}\b", re.IGNORECASE)


def _called(name: str, code: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{name}){_IS}({code}\b(?:(?:,? and|,) {code}\b)*)", re.IGNORECASE)


_CALLED_ICD10: Final = _called(r"ICD(?:[- ]?10)?(?:[- ]?CM)?|diagnos(?:is|tic) codes?", _ICD10)
_CALLED_CPT: Final = _called(r"CPT|(?:billing|procedure|service|visit) codes?", _CPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenCode:
    """A code and the sentence in which it was first said."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenCodes:
    """All of one consultation, in spoken order, each once."""

    icd10: tuple[SpokenCode, ...] = ()
    cpt: tuple[SpokenCode, ...] = ()


def spoken_codes(sentences: Iterable[str]) -> SpokenCodes:
    """The codes in what was said."""
    icd10: dict[str, SpokenCode] = {}
    cpt: dict[str, SpokenCode] = {}
    for sentence in sentences:
        for code in _icd10(sentence):
            icd10.setdefault(code, SpokenCode(code=code, sentence=sentence))
        for called in _CALLED_CPT.finditer(sentence):
            for code in re.findall(_CPT, called[1]):
                cpt.setdefault(code, SpokenCode(code=code, sentence=sentence))
    return SpokenCodes(icd10=tuple(icd10.values()), cpt=tuple(cpt.values()))


def _icd10(sentence: str) -> list[str]:
    found = [(pointed.start(), pointed[0]) for pointed in _POINTED.finditer(sentence)]
    for called in _CALLED_ICD10.finditer(sentence):
        codes = re.finditer(_ICD10, called[1], re.IGNORECASE)
        found.extend((called.start(1) + code.start(), code[0]) for code in codes)
    return [code.upper() for _, code in sorted(found)]
