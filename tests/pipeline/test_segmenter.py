import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.endpointing import Thresholds
from pipeline.segmenter import Segment, Segmenter, SegmenterOptions
from pipeline.types import WINDOW, Checkpoint, Pcm
from tests.fakes import speech

OPTIONS = SegmenterOptions(thresholds=Thresholds(min_speech=3, silence=5), pre_roll=4, hangover=2, max_segment=60)


def window(loud: bool, number: int = 0) -> Pcm:
    """A window that can be told from every other."""
    level = 0.5 if loud else 0.0
    return np.full(WINDOW, level + number * 1e-5, np.float32)


def run(pattern: list[bool], segmenter: Segmenter | None = None) -> tuple[list[Segment], Segmenter]:
    segmenter = segmenter or Segmenter(OPTIONS, Checkpoint())
    closed = [segmenter.receive(window(loud, n), float(loud)) for n, loud in enumerate(pattern)]
    closed.append(segmenter.end())
    return [segment for segment in closed if segment is not None], segmenter


def test_a_segment_reaches_from_the_pre_roll_to_the_hangover() -> None:
    (segment,), _ = run([False] * 10 + [True] * 8 + [False] * 10)
    assert segment.start == (10 - 4) * WINDOW
    assert segment.end == (18 + 2) * WINDOW


def test_silence_makes_no_segment() -> None:
    assert run([False] * 100)[0] == []


def test_what_is_open_at_the_end_is_closed() -> None:
    (segment,), _ = run([False] * 10 + [True] * 8)
    assert segment.end == 18 * WINDOW


def test_memory_stays_flat_in_silence() -> None:
    _, segmenter = run([False] * 1000)
    assert len(segmenter.audio()) <= OPTIONS.pre_roll * WINDOW


def test_long_speech_is_cut_in_a_pause_and_not_in_the_closure_of_a_consonant() -> None:
    segmenter = Segmenter(OPTIONS, Checkpoint())
    consonant, pause = 40, range(46, 49)
    for number in range(OPTIONS.max_segment):
        level = 0.0 if number == consonant else 0.2 if number in pause else 0.9
        closed = segmenter.receive(speech(32, level)[:WINDOW], 0.9)
    assert closed is not None
    assert closed.end == pause[1] * WINDOW
    assert segmenter.open
    assert segmenter.start == closed.end


@settings(max_examples=80)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=20))
def test_no_window_of_speech_is_lost_and_none_is_in_two_segments(runs: list[tuple[bool, int]]) -> None:
    pattern = [loud for loud, length in runs for _ in range(length)]
    segments, segmenter = run(pattern)
    inside = [n for segment in segments for n in range(segment.start // WINDOW, segment.end // WINDOW)]
    assert len(inside) == len(set(inside))
    assert segmenter.position == len(pattern) * WINDOW
    streak = 0
    for number, loud in enumerate(pattern):
        streak = streak + 1 if loud else 0
        if streak >= OPTIONS.thresholds.min_speech:
            assert number in inside
    for segment in segments:
        first = segment.start // WINDOW
        for index, kept in enumerate(segment.pcm.reshape(-1, WINDOW)):
            assert kept[0] == window(pattern[first + index], first + index)[0]


@settings(max_examples=80)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=12), st.data())
def test_a_rebuilt_segmenter_makes_the_same_segments(runs: list[tuple[bool, int]], data: st.DataObject) -> None:
    pattern = [loud for loud, length in runs for _ in range(length)]
    segments, _ = run(pattern)
    if not segments:
        return
    chosen = data.draw(st.integers(0, len(segments) - 1))
    resume = segments[chosen].resume
    rebuilt = Segmenter(OPTIONS, resume)
    again: list[Segment | None] = []
    for number in range(resume.audio_from // WINDOW, len(pattern)):
        heard = window(pattern[number], number)
        if rebuilt.position < rebuilt.judge_from:
            rebuilt.remember(heard)
        else:
            again.append(rebuilt.receive(heard, float(pattern[number])))
    again.append(rebuilt.end())
    rest = [(s.ordinal, s.start, s.end) for s in again if s is not None]
    assert rest == [(s.ordinal, s.start, s.end) for s in segments[chosen + 1 :]]


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 80)), max_size=12))
def test_a_look_at_an_open_segment_is_the_beginning_of_what_it_becomes(runs: list[tuple[bool, int]]) -> None:
    segmenter = Segmenter(OPTIONS, Checkpoint())
    looks: dict[int, list[Pcm]] = {}
    closed: list[Segment | None] = []
    for number, loud in enumerate(loud for loud, length in runs for _ in range(length)):
        closed.append(segmenter.receive(window(loud, number), float(loud)))
        if segmenter.open:
            looks.setdefault(segmenter.ordinal, []).append(segmenter.audio())
    closed.append(segmenter.end())
    for segment in closed:
        if segment is not None:
            for look in looks.get(segment.ordinal, []):
                if len(look) <= len(segment.pcm):  # a cut may fall before the place of a look
                    assert np.array_equal(look, segment.pcm[: len(look)])
