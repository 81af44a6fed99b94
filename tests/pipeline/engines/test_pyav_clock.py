"""Times, holes and restart points, with lists."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engines.pyav_clock import (
    MAX_POINTS,
    MAX_SILENCE,
    MAX_SILENCE_IN_ALL,
    TOLERANCE,
    WARM_UP,
    Clock,
    RestartIndex,
)
from pipeline.types import SAMPLE_RATE, RestartPoint, to_samples

FRAME = to_samples(20)


def stream(clock: Clock, times_ms: list[float], at: int = 0) -> tuple[list[int], int]:
    """Frames of 20 ms with these times, one behind the other: the silence before each, and where the stream ends."""
    holes = []
    for time in times_ms:
        holes.append(clock.hole_before(to_samples(time), at))
        at += holes[-1] + FRAME
    return holes, at


def frames(begin_ms: float, count: int) -> list[float]:
    return [begin_ms + 20 * index for index in range(count)]


# Holes


@settings(deadline=None)
@given(jitter=st.lists(st.integers(-25, 25), min_size=1, max_size=100), begin=st.integers(-1000, 10**9))
def test_times_that_only_tremble_leave_no_hole(jitter: list[int], begin: int) -> None:
    holes, _ = stream(Clock(), [begin + 20 * index + tremble for index, tremble in enumerate(jitter)])
    assert not any(holes)


def test_times_that_jump_forward_are_silence_once_the_next_agrees() -> None:
    holes, end = stream(Clock(), frames(0, 10) + frames(1200, 10))
    assert holes == [0] * 11 + [to_samples(1000)] + [0] * 8
    assert end == to_samples(1400)


def test_one_time_out_of_place_is_not_believed() -> None:
    for wrong in (30_000, -5_000, 10):
        holes, _ = stream(Clock(), [*frames(0, 100), wrong, *frames(2020, 100)])
        assert not any(holes)


def test_single_lost_frames_add_up_to_a_hole() -> None:
    times = [time for time in frames(0, 200) if time % 400]  # one in twenty is lost
    _, end = stream(Clock(), times)
    assert abs(end - to_samples(4000)) <= TOLERANCE + FRAME


def test_a_recorder_that_sends_nothing_in_silence_is_followed_while_it_does() -> None:
    pauses = [400.0 * index for index in range(1, 11)]  # Opus DTX: a frame every 400 ms
    _, end = stream(Clock(), [*frames(0, 10), *pauses])
    assert abs(end - to_samples(4020)) <= to_samples(400)


def test_times_that_begin_anew_go_on_where_the_stream_stands() -> None:
    holes, end = stream(Clock(), [*frames(0, 500), *frames(0, 50), *frames(1500, 50)])
    assert sum(holes) == to_samples(500)  # only what was lost in the second recording
    assert end == 600 * FRAME + to_samples(500)


def test_times_that_fall_back_a_little_are_caught_up_with() -> None:
    holes, end = stream(Clock(), [*frames(0, 100), *frames(1700, 15), *frames(5000, 50)])
    assert end == to_samples(6000)
    assert [hole for hole in holes if hole] == [to_samples(5020) - 116 * FRAME]


def test_a_clock_that_was_set_costs_a_bounded_silence() -> None:
    holes, _ = stream(Clock(), [*frames(0, 10), *frames(10**9, 10), *frames(10**9 + 1000, 10)])
    assert [hole for hole in holes if hole] == [MAX_SILENCE, to_samples(800)]


def test_invented_times_do_not_make_endless_silence() -> None:
    holes, _ = stream(Clock(), [time for index in range(200) for time in frames(3_600_000 * index, 3)])
    assert sum(holes) == MAX_SILENCE_IN_ALL


def test_another_file_begins_its_times_anew() -> None:
    clock = Clock()
    _, end = stream(clock, frames(0, 100))
    clock.begin_file()
    holes, _ = stream(clock, frames(777_000, 100), at=end)
    assert not any(holes)


def test_a_restart_knows_the_times_of_before() -> None:
    times = [*frames(0, 100), *frames(3000, 100)]
    first = Clock()
    _, end = stream(first, times)
    second = Clock()
    assert first.origin is not None
    second.resume(origin=first.origin, time=to_samples(1000))
    _, same = stream(second, times[50:], at=to_samples(1000))
    assert same == end


def test_a_restart_whose_first_packet_is_damaged_still_begins_in_its_place() -> None:
    clock = Clock()
    clock.resume(origin=500.0, time=to_samples(1000))
    holes, _ = stream(clock, frames(1020, 3), at=to_samples(1000) + 500)
    assert holes == [FRAME, 0, 0]


# Restart points


def point(position: int) -> RestartPoint:
    return RestartPoint(header=(0, 10), offset=10 + position, position=position)


def filled(count: int, *, step: int = SAMPLE_RATE) -> RestartIndex:
    index = RestartIndex(RestartPoint())
    for number in range(1, count + 1):
        index.add(point(step * number))
    return index


def test_the_latest_point_that_has_warmed_up_is_taken() -> None:
    index = filled(10)
    assert index.at(0) == RestartPoint()
    assert index.at(SAMPLE_RATE + WARM_UP - 1) == RestartPoint()
    assert index.at(SAMPLE_RATE + WARM_UP) == point(SAMPLE_RATE)
    assert index.at(4 * SAMPLE_RATE + WARM_UP + 5) == point(4 * SAMPLE_RATE)
    assert index.at(1 << 40) == point(10 * SAMPLE_RATE)


def test_a_new_file_needs_no_warm_up() -> None:
    index = filled(3)
    begin = RestartPoint(offset=99_999, position=3 * SAMPLE_RATE + 10)
    index.begin_file(begin)
    assert index.at(begin.position - 1) == point(2 * SAMPLE_RATE)
    assert index.at(begin.position) == begin


def test_points_are_few_however_long_nobody_asks() -> None:
    index = filled(200_000, step=FRAME)
    found = index.at(100_000 * FRAME)
    assert 0 <= 100_000 * FRAME - found.position < 100_000 * FRAME / MAX_POINTS * 8
    assert index.at(100_000 * FRAME + 1) == found


def test_a_packet_belongs_to_the_last_element_before_it() -> None:
    index = RestartIndex(RestartPoint())
    elements = [RestartPoint(header=(0, 10), offset=offset) for offset in (10, 50, 90)]
    for element in elements:
        index.expect(element)
    assert index.reach(9) is None
    assert index.reach(60) == elements[1]
    assert index.reach(80) is None
    assert index.reach(90) == elements[2]
