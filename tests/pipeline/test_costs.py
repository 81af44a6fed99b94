import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.costs import WORDS_PER_S, CallCost, Costs, probes
from pipeline.types import Purpose
from tests.simulation import request

GRAPHICS_CARD = (0.08, 0.004, 0.001)  # call, item, second
SMALL_CPU = (0.0, 0.05, 0.02)


def truth(engine: tuple[float, float, float], count: int, seconds: float) -> float:
    call, item, second = engine
    return call + item * count + second * seconds


def calibrated(engine: tuple[float, float, float], warm_up: float = 10.0) -> CallCost:
    cost = CallCost()
    for index, (count, seconds) in enumerate([(1, 2), (1, 2), (2, 4), (1, 8)]):
        took = truth(engine, count, seconds) * (1 if index else warm_up)
        cost.observe(count, seconds, took, anchor=True)
    return cost


@pytest.mark.parametrize("engine", [GRAPHICS_CARD, SMALL_CPU, (2.5, 0.1, 0.4)])
def test_a_few_calls_say_what_others_will_take(engine: tuple[float, float, float]) -> None:
    cost = calibrated(engine)
    for count, seconds in ((1, 5), (8, 40), (2, 3)):
        assert cost.predict(count, seconds) == pytest.approx(truth(engine, count, seconds), rel=0.3)


def test_nothing_is_known_before_the_first_call() -> None:
    cost = CallCost()
    assert not cost.known
    cost.observe(1, 1, 0.2)
    assert cost.known


@pytest.mark.parametrize("engine", [GRAPHICS_CARD, SMALL_CPU])
def test_a_time_of_single_calls_does_not_make_it_forget_what_a_batch_costs(engine: tuple[float, float, float]) -> None:
    cost, chance = calibrated(engine), random.Random(1)
    for _ in range(500):
        seconds = chance.uniform(1, 12)
        cost.observe(1, seconds, truth(engine, 1, seconds) * chance.uniform(0.8, 1.3))
    assert cost.predict(8, 40) == pytest.approx(truth(engine, 8, 40), rel=0.35)
    assert (cost.batch(8, 5) > 4) is (engine is GRAPHICS_CARD)


def test_calls_that_were_held_up_now_and_then_change_little() -> None:
    cost, chance = calibrated(SMALL_CPU), random.Random(2)
    for index in range(300):
        seconds = chance.uniform(1, 12)
        cost.observe(1, seconds, truth(SMALL_CPU, 1, seconds) * (50 if index % 30 == 0 else 1))
        assert cost.predict(1, 5) == pytest.approx(truth(SMALL_CPU, 1, 5), rel=0.15)


def test_an_engine_that_becomes_slower_for_good_is_believed_in_the_end() -> None:
    cost, chance = calibrated(SMALL_CPU), random.Random(3)
    for _ in range(150):
        seconds = chance.uniform(1, 12)
        cost.observe(1, seconds, 10 * truth(SMALL_CPU, 1, seconds))
    assert cost.predict(1, 5) == pytest.approx(10 * truth(SMALL_CPU, 1, 5), rel=0.3)


def mean_wait(engine: tuple[float, float, float], waiting: int, size: int) -> float:
    """Of a line of one-second requests that is served in batches of `size`."""
    ends: list[float] = []
    now = 0.0
    for first in range(0, waiting, size):
        count = min(size, waiting - first)
        now += truth(engine, count, count)
        ends += [now] * count
    return sum(ends) / waiting


@given(
    st.floats(0.0, 0.5),
    st.floats(0.001, 0.2),
    st.integers(1, 40),
)
def test_the_size_of_a_batch_makes_waiting_short(call: float, item: float, waiting: int) -> None:
    engine = (call, item, 0.0)
    cost = CallCost()
    for count in (1, 1, 2, 4, 8, 16, 1, 4, 2, 8) * 6:
        cost.observe(count, count, truth(engine, count, count), anchor=True)
    chosen = min(cost.batch(waiting, 1), waiting)
    shortest = min(mean_wait(engine, waiting, size) for size in range(1, waiting + 1))
    assert mean_wait(engine, waiting, chosen) <= 1.15 * shortest


def test_texts_that_may_become_final_cost_otherwise_than_partials_and_later_tries_do_not_count() -> None:
    costs = Costs()
    for _ in range(3):
        costs.observe([request(seconds=2)], 0.5)
        costs.observe([request(purpose=Purpose.REFRESH, seconds=2)], 0.1)
        costs.observe([request(seconds=2, temperature=0.4)], 90.0)
    assert costs.predict([request(seconds=2)]) == pytest.approx(0.5, rel=0.1)
    assert costs.predict([request(purpose=Purpose.FIRST_PARTIAL, seconds=2)]) == pytest.approx(0.1, rel=0.1)


def test_an_engine_that_computes_thirty_seconds_whatever_it_gets_costs_the_same_for_any_length() -> None:
    costs = Costs(window=480_000)
    costs.observe([request(seconds=2)], 0.25)
    assert costs.predict([request(seconds=12)]) == pytest.approx(0.25, rel=0.05)


def shapes(max_batch: int) -> Sequence[tuple[Purpose, int, float]]:
    calls = [probe[0] for probe in probes(max_batch, "en")]
    return [(call[0].purpose, len(call), len(call[0].pcm) / 16_000) for call in calls]


def test_probes_measure_both_kinds_cheap_ones_first_and_a_batch_only_where_there_can_be_one() -> None:
    partial, final = Purpose.REFRESH, Purpose.FINAL
    assert shapes(1) == [(partial, 1, 2), (final, 1, 2), (partial, 1, 2), (final, 1, 2), (partial, 1, 8), (final, 1, 8)]
    assert shapes(16)[4:6] == [(partial, 2, 2), (final, 2, 2)]


def test_probes_are_made_on_all_lanes_at_once_by_streams_of_their_own() -> None:
    for probe in probes(8, "en", 3):
        assert len(probe) == 3
        streams = [each.stream_id for call in probe for each in call]
        assert len(set(streams)) == len(streams)


def test_probes_have_as_many_words_written_as_are_said_in_their_time() -> None:
    for probe in probes(8, "en"):
        for each in probe[0]:
            assert len(each.committed.split()) == WORDS_PER_S * len(each.pcm) / 16_000
