from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.packing import unpacked
from pipeline.types import Word

PIECES = st.lists(st.tuples(st.integers(0, 50_000), st.integers(1, 30_000)), min_size=1, max_size=8)


def spans_of(pieces: list[tuple[int, int]]) -> list[range]:
    """Gap and length of each piece → its place in the stream."""
    spans, at = [], 0
    for gap, length in pieces:
        spans.append(range(at + gap, at + gap + length))
        at += gap + length
    return spans


@given(PIECES, st.data())
def test_words_come_back_to_where_they_were_spoken(pieces: list[tuple[int, int]], data: st.DataObject) -> None:
    spans = spans_of(pieces)
    said: list[list[Word]] = []
    heard: list[Word] = []
    begin = 0
    for span in spans:
        cuts = sorted(data.draw(st.lists(st.integers(span.start, span.stop - 1), max_size=6, unique=True)))
        said.append([Word(text=str(a), start=a, end=b) for a, b in pairwise(cuts)])
        heard += [
            Word(text=w.text, start=w.start - span.start + begin, end=w.end - span.start + begin) for w in said[-1]
        ]
        begin += len(span)
    assert [list(part) for part in unpacked(spans, heard)] == said


@given(PIECES, st.lists(st.tuples(st.integers(-500, 300_000), st.integers(0, 40_000)), max_size=12))
def test_no_word_is_lost_and_none_reaches_out_of_its_segment(
    pieces: list[tuple[int, int]], times: list[tuple[int, int]]
) -> None:
    spans = spans_of(pieces)
    heard = [Word(text=str(n), start=start, end=start + length) for n, (start, length) in enumerate(times)]
    parts = unpacked(spans, heard)
    assert sorted(word.text for part in parts for word in part) == sorted(word.text for word in heard)
    for span, part in zip(spans, parts, strict=True):
        assert all(span.start <= word.start <= word.end <= span.stop for word in part)
