"""Segments recognised together, with the silence between them left out, and their words put back in stream time.

A Whisper model that wants 30 s of audio computes 30 s whatever it gets, so a recording's segments share them; live
segments go alone, because somebody waits for each.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.types import Word


def unpacked(spans: Sequence[range], words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """The words of each span of samples of a stream, in stream time.

    The spans' audio was recognised one behind the other; `words` count from the first sample of all that. A word
    belongs to the span that holds its middle, and cannot reach out of it.
    """
    parts: list[tuple[Word, ...]] = []
    begin = 0
    for index, span in enumerate(spans):
        end = begin + len(span)
        first, last = index == 0, index == len(spans) - 1
        inside = (w for w in words if (first or begin <= w.middle) and (last or w.middle < end))
        parts.append(tuple(_moved(word, span, span.start - begin) for word in inside))
        begin = end
    return parts


def _moved(word: Word, span: range, offset: int) -> Word:
    start, end = (min(max(at + offset, span.start), span.stop) for at in (word.start, word.end))
    return replace(word, start=start, end=end)
