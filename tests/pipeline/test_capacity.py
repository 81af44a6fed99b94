from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capacity import ASSUMED, BUSY, Capacity
from pipeline.costs import Costs
from pipeline.types import Purpose
from tests.simulation import request


def costs(call: float = 0.0, item: float = 0.05, second: float = 0.01) -> Costs:
    """Measured: partials cost half."""
    made = Costs()
    for cost, share in ((made.whole, 1.0), (made.partial, 0.5)):
        for count, seconds in ((1, 2), (1, 2), (4, 8), (1, 8), (8, 24), (2, 2)) * 4:
            cost.observe(count, seconds, share * (call + item * count + second * seconds), anchor=True)
    return made


def talk(capacity: Capacity, *streams: str, minutes: float, every: float, seconds: float) -> None:
    """Each stream a final of so many seconds now and then, with a partial half-way."""
    now, segment = 1.0, 0
    while now < 60 * minutes:
        now += every
        for stream in streams:
            capacity.receive(request(stream, segment, Purpose.REFRESH, seconds=seconds / 2), now)
            capacity.receive(request(stream, segment, seconds=seconds), now)
        segment += 1


def test_before_anybody_speaks_the_demand_is_assumed() -> None:
    assert Capacity(costs()).demand == ASSUMED


def test_what_streams_ask_for_is_measured() -> None:
    capacity = Capacity(costs())
    talk(capacity, *"abcdefgh", minutes=10, every=10.0, seconds=3.0)
    demand = capacity.demand
    assert demand.wholes == pytest.approx(0.1, rel=0.15)  # the assumption still weighs one minute
    assert demand.speech == pytest.approx(0.3, rel=0.1)
    assert demand.whole_s == pytest.approx(3.0, rel=0.1)


def test_speech_that_is_looked_at_twice_is_heard_once() -> None:
    capacity = Capacity(costs())
    for second in range(1, 600):
        capacity.receive(request("a", second // 10, Purpose.REFRESH, seconds=second % 10 / 2), second)
        capacity.receive(request("a", second // 10, Purpose.SPECULATIVE, seconds=second % 10 / 2), second)
    assert capacity.demand.speech == pytest.approx(0.45, abs=0.05)


def test_quiet_streams_leave_room_for_more_than_busy_ones() -> None:
    quiet, busy = Capacity(costs()), Capacity(costs())
    talk(quiet, "a", minutes=20, every=30.0, seconds=3.0)
    talk(busy, "a", minutes=20, every=3.0, seconds=3.0)
    assert quiet.streams_carried() > 2 * busy.streams_carried()


def test_files_are_no_demand_because_they_wait() -> None:
    capacity = Capacity(costs())
    for second in range(1, 600):
        capacity.receive(request("file", second, seconds=30, live=False), second)
    assert capacity.demand == ASSUMED


def test_streams_that_have_ended_do_not_count_as_quiet_ones() -> None:
    capacity = Capacity(costs())
    talk(capacity, "a", minutes=10, every=4.0, seconds=4.0)
    capacity.forget("a", 600.0)
    capacity.receive(request("b", 0), 1200.0)
    assert capacity.demand.speech == pytest.approx(ASSUMED.speech, rel=0.1)


def test_two_lanes_carry_twice_as_much_as_one() -> None:
    one, two = Capacity(costs(), lanes=1), Capacity(costs(), lanes=2)
    assert two.streams_carried() == pytest.approx(2 * one.streams_carried(), abs=1)


def test_what_a_stream_costs_besides_calls_is_counted_on_the_cores_there_are() -> None:
    alone, kept, wide = Capacity(costs()), Capacity(costs()), Capacity(costs())
    kept.upkeep = wide.upkeep = 0.02
    wide.cores = 8
    assert kept.load(10) == pytest.approx(alone.load(10) + 10 * 0.02)
    assert wide.load(10) == pytest.approx(alone.load(10) + 10 * 0.02 / 8)


def test_voiceprints_of_live_streams_are_counted_on_the_cores_there_are() -> None:
    silent, voiced = Capacity(costs()), Capacity(costs())
    for capacity in (silent, voiced):
        capacity.cores = 2
        talk(capacity, "a", minutes=10, every=4.0, seconds=4.0)
    for second in range(600):
        voiced.voiced("file", 0.5, second)  # it waits, as its requests do
    assert voiced.load(10) == silent.load(10)
    for second in range(600, 1200):
        silent.pass_time(second)
        voiced.voiced("a", 0.02, second)
    assert voiced.demand.voices == pytest.approx(0.02, rel=0.5)
    assert voiced.load(10) == pytest.approx(silent.load(10) + 10 * voiced.demand.voices / 2)


def test_one_thread_hears_all_streams_however_fast_the_engine_is() -> None:
    capacity = Capacity(costs(item=1e-5, second=1e-5), lanes=8)
    capacity.upkeep, capacity.cores = 0.01, 64
    assert capacity.streams_carried() == int(BUSY / 0.01)


def test_where_calls_are_shared_more_streams_are_carried() -> None:
    expensive_calls = costs(call=0.2, item=0.002, second=0.0005)
    alone, together = Capacity(expensive_calls, max_batch=1), Capacity(expensive_calls, max_batch=16)
    assert together.streams_carried() > 4 * alone.streams_carried()


def test_one_stream_is_carried_however_slow_the_engine_is() -> None:
    assert Capacity(costs(item=30.0)).streams_carried() == 1


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.5), st.integers(1, 4), st.integers(1, 32), st.floats(0.0, 0.1))
def test_what_is_carried_keeps_the_machine_busy_and_no_more(
    call: float, item: float, second: float, lanes: int, max_batch: int, upkeep: float
) -> None:
    capacity = Capacity(costs(call, item, second), lanes=lanes, max_batch=max_batch)
    capacity.upkeep, capacity.cores = upkeep, lanes
    carried = capacity.streams_carried()
    loads = [capacity.load(streams) for streams in range(1, carried + 20)]
    assert all(more >= less - 1e-9 for less, more in pairwise(loads))
    assert carried == 1 or loads[carried - 1] <= BUSY
    assert carried == 10_000 or loads[carried] > BUSY
