"""The same words at the same time on two streams: one of them only overheard the other's speaker. Pure."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from pipeline.types import SAMPLE_RATE, WINDOW, Word

APART = SAMPLE_RATE // 2  # samples that the same word may lie apart: echoes come late, recognisers differ
COVERED = 0.6  # of an item's words that must be the other's, for the item to be nothing else
RUN = 3  # words in a row that are left out of an item which has words of its own, too
_LETTERS = re.compile(r"[^\w]+")


def overheard(words: Sequence[Word], others: Sequence[Word]) -> list[bool]:
    """Which of the words somebody else said at the same time. Both in the order in which they were spoken."""
    mine, theirs = [_plain(word) for word in words], [_plain(word) for word in others]
    same = [False] * len(words)
    if not mine or not theirs:
        return same
    for block in SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks():
        for at in range(block.size):
            word, other = words[block.a + at], others[block.b + at]
            same[block.a + at] = bool(mine[block.a + at]) and abs(word.middle - other.middle) <= APART
    if sum(same) >= COVERED * len(same):
        return [True] * len(same)
    return _runs(same)


def level_db(energy: NDArray[np.float32], origin: int, start: int, end: int) -> float:
    """How loud a stretch is, in dB of full scale. `energy`: mean squares of windows from the sample `origin` on."""
    first = max(0, (start - origin) // WINDOW)
    stretch = energy[first : max(first + 1, (end - origin + WINDOW - 1) // WINDOW)]
    return float(10 * np.log10(max(float(stretch.mean()) if len(stretch) else 0.0, 1e-12)))


def _runs(same: Sequence[bool]) -> list[bool]:
    """Only what is long enough not to be chance."""
    kept = [False] * len(same)
    begin = 0
    for at in range(len(same) + 1):
        if at == len(same) or not same[at]:
            if at - begin >= RUN:
                kept[begin:at] = [True] * (at - begin)
            begin = at + 1
    return kept


def _plain(word: Word) -> str:
    return _LETTERS.sub("", word.text).casefold()
