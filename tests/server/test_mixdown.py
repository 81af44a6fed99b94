"""Streams that are summed up as they come."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.types import Pcm
from server.mixdown import MOST, Mixdown


def ramp(start: int, length: int) -> Pcm:
    return (np.arange(start, start + length) % 100 / 300).astype(np.float32)


def mixed(streams: list[tuple[int, int]], sizes: list[int], begin: int, end: int | None) -> Pcm:
    """Streams (first sample, length) of `ramp`, given in blocks of those sizes in turn, as they are asked for."""
    subject = Mixdown(len(streams), begin, end)
    at = [first for first, _ in streams]
    taken = []
    step = 0
    while not subject.complete:
        source = subject.wanted()
        first, length = streams[source]
        size = min(sizes[step % len(sizes)], first + length - at[source])
        step += 1
        if size:
            subject.add(source, at[source], ramp(at[source], size))
            at[source] += size
        else:
            subject.end(source)
        while len(piece := subject.take()):
            assert len(piece) <= MOST
            taken.append(piece)
    return np.concatenate([*taken, np.zeros(0, np.float32)])


@given(
    streams=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 400)), min_size=1, max_size=3),
    sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
    begin=st.integers(0, 500),
    length=st.none() | st.integers(1, 500),
)
def test_it_is_the_sum_of_what_lies_within_however_it_comes(
    streams: list[tuple[int, int]], sizes: list[int], begin: int, length: int | None
) -> None:
    whole = np.zeros(1000, np.float32)
    for first, count in streams:
        whole[first : first + count] += ramp(first, count)
    last = max(first + count for first, count in streams)
    end = last if length is None else min(last, begin + length)
    expected = np.clip(whole[begin : max(begin, end)], -1, 1)
    np.testing.assert_allclose(mixed(streams, sizes, begin, None if length is None else begin + length), expected)


def test_no_block_behind_the_end_is_asked_for() -> None:
    subject = Mixdown(1, 0, 10)
    subject.add(0, 0, ramp(0, 100))
    assert len(subject.take()) == 10
    assert subject.complete


def test_a_stream_that_begins_late_costs_no_memory() -> None:
    subject = Mixdown(1, 0, None)
    subject.add(0, 100 * MOST, ramp(0, 10))
    assert len(subject.take()) == MOST
