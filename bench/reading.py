"""How hard a text is to read: the Flesch-Kincaid grade (Kincaid et al. 1975), the school year that it asks for.

Syllables are those of CMUdict as pocketsphinx carries it; of words that it lacks, groups of vowels. (textstat computes
the same; its releases either download a dictionary or bring a package `tests` along, which hides ours.)
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

import pocketsphinx

VOWELS: Final = frozenset("AEIOU")  # first letters of the dictionary's vowel phones
_SENTENCE: Final = re.compile(r"[.!?]+(?:\s|$)|\n")
_WORD: Final = re.compile(r"[A-Za-z]+(?:['’][a-z]+)?|\d+")


def grade(text: str) -> float:
    """The Flesch-Kincaid grade; 0 for a text without words."""
    words = _WORD.findall(text)
    sentences = max(1, sum(bool(_WORD.search(each)) for each in _SENTENCE.split(text)))
    if not words:
        return 0.0
    syllables = sum(map(_syllables, words))
    return 0.39 * len(words) / sentences + 11.8 * syllables / len(words) - 15.59


def _syllables(word: str) -> int:
    lower = word.lower().replace("’", "'")
    known = _dictionary().get(lower)
    return known if known is not None else max(1, len(re.findall(r"[aeiouy]+", lower.removesuffix("e"))))


@cache
def _dictionary() -> dict[str, int]:
    """Word → syllables."""
    lines = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8").splitlines()
    return {
        word: sum(phone[0] in VOWELS for phone in phones) for word, *phones in map(str.split, lines) if "(" not in word
    }
