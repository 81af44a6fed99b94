"""The shell around the schedule, in virtual time: engines that are slow, fail, raise and hang, and nobody sleeps."""

from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from pipeline.batching import CALIBRATION_S, LATE_S, Batcher
from pipeline.schedule import Rank
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from tests.fakes import hypothesis
from tests.simulation import (
    Answers,
    SimulatedEngine,
    answered,
    calibrated,
    graphics_card,
    in_virtual_time,
    request,
    served,
)

FINAL, SPECULATIVE, FIRST_PARTIAL, REFRESH = Purpose


# Who is answered, and when


def test_finals_come_before_partials_and_in_order_of_arrival() -> None:
    _, answers = answered(SimulatedEngine(), request("a", 0, REFRESH), *(request("b", n) for n in (1, 2, 3)))
    assert answers.segments == [1, 2, 3, 0]


def test_of_a_stream_only_the_newest_partial_is_answered() -> None:
    batcher, answers = answered(
        SimulatedEngine(), *(request("a", 0, REFRESH, seconds=s) for s in (1, 2, 3)), request("b", 0, REFRESH)
    )
    assert [len(asked.pcm) // 16_000 for asked, _ in answers.got] == [3, 1]
    assert batcher.superseded == 2


def test_a_free_lane_starts_at_once_and_what_arrives_meanwhile_makes_the_next_batch() -> None:
    engine = graphics_card()
    batcher, answers = calibrated(engine), Answers()

    async def play() -> None:
        for segment in range(6):
            batcher.submit(request(f"s{segment}", segment), answers)
            await anyio.sleep(0.01)

    served(batcher, play)
    assert [len(call.requests) for call in engine.calls] == [1, 5]
    assert engine.calls[0].began == 0.0
    assert engine.calls[1].began == pytest.approx(0.21)


def test_as_many_calls_run_at_a_time_as_the_engine_takes() -> None:
    engine = SimulatedEngine(capacity=3)
    answered(engine, *(request("a", segment) for segment in range(9)))
    assert engine.most_running == 3


def test_a_failing_request_fails_alone() -> None:
    engine = graphics_card(fails=lambda asked: asked.segment == 1)
    batcher, answers = answered(engine, *(request(f"s{n}", n) for n in range(3)))
    assert answers.failed == [1]
    assert batcher.failed == 1


def test_a_cancelled_stream_is_not_answered_even_if_the_engine_is_at_work_on_it() -> None:
    engine = SimulatedEngine()
    batcher, answers = Batcher(engine), Answers()

    async def play() -> None:
        for segment in range(3):
            batcher.submit(request("gone", segment), answers)
        batcher.submit(request("here", 7), answers)
        await anyio.sleep(0.05)
        batcher.cancel("gone")

    served(batcher, play)
    assert answers.segments == [7]
    assert [call.requests[0].segment for call in engine.calls] == [0, 7]


def test_a_guess_that_comes_true_while_the_engine_is_at_work_answers_the_final() -> None:
    engine = SimulatedEngine(item=1.0)
    batcher, answers = Batcher(engine), Answers()
    final = request("a", 0, FINAL, seconds=2)

    async def play() -> None:
        batcher.submit(request("a", 0, SPECULATIVE, seconds=2), answers)
        await anyio.sleep(0.5)
        batcher.submit(final, answers)

    served(batcher, play)
    assert [asked for asked, _ in answers.got] == [final]
    assert answers.times == [1.0]
    assert len(engine.calls) == 1


def test_who_looks_learns_how_long_requests_waited_and_calls_took() -> None:
    class Notes:
        def __init__(self) -> None:
            self.waits: list[tuple[Rank, float]] = []
            self.calls: list[tuple[int, float]] = []

        def handed_over(self, rank: Rank, waited: float) -> None:
            self.waits.append((rank, waited))

        def answered(self, requests: int, took: float) -> None:
            self.calls.append((requests, took))

    notes = Notes()
    batcher, answers = Batcher(SimulatedEngine(item=0.5), notes), Answers()

    async def play() -> None:
        batcher.submit(request("a", 0, REFRESH), answers)
        batcher.submit(request("b", 1), answers)

    served(batcher, play)
    assert notes.waits == [(Rank.FINAL, 0.0), (Rank.REFRESH, 0.5)]
    assert notes.calls == [(1, 0.5), (1, 0.5)]
    assert batcher.batches == 2


# Texts that look wrong


def wrong_until(temperature: float) -> Callable[[RecognitionRequest], Hypothesis]:
    """What streams called "wrong…" say looks wrong below a temperature."""

    def says(asked: RecognitionRequest) -> Hypothesis:
        wrong = asked.stream_id.startswith("wrong") and asked.temperature < temperature
        return replace(hypothesis(f"at {asked.temperature}"), avg_logprob=-1.5 + asked.temperature if wrong else -0.2)

    return says


TEMPERATURES = (0.0, 0.2, 0.4)


def test_a_text_that_looks_wrong_is_tried_again_later_and_nobody_waits_for_it() -> None:
    engine = graphics_card(temperatures=TEMPERATURES, says=wrong_until(0.4))
    batcher, answers = calibrated(engine), Answers()
    wrong = request("wrong", 0)

    async def play() -> None:
        batcher.submit(request("first", 9), answers)
        for each in (wrong, *(request(f"s{n}", n) for n in (1, 2))):
            batcher.submit(each, answers)
        await anyio.sleep(0.3)
        batcher.submit(request("late", 3), answers)

    served(batcher, play)
    assert answers.segments == [9, 1, 2, 3, 0]
    assert answers.got[-1][0] is wrong
    assert isinstance(said := answers.got[-1][1], Hypothesis)
    assert said.text == "at 0.4"
    assert batcher.fallbacks == 2
    tries = [call.requests for call in engine.calls if call.requests[0].temperature]
    assert [len(requests) for requests in tries] == [1, 1]


def test_where_no_try_is_good_the_best_is_the_answer() -> None:
    engine = graphics_card(temperatures=TEMPERATURES, says=wrong_until(9.9))
    batcher, answers = answered(engine, request("wrong", 0), request("wrong file", 1, live=False))
    assert [answer.text for _, answer in answers.got if isinstance(answer, Hypothesis)] == ["at 0.4", "at 0.4"]
    assert batcher.fallbacks == 4


def test_a_partial_that_looks_wrong_is_shown_all_the_same() -> None:
    engine = graphics_card(temperatures=TEMPERATURES, says=wrong_until(0.4))
    batcher, answers = answered(engine, request("wrong", 0, REFRESH))
    assert len(answers.got) == 1
    assert batcher.fallbacks == 0


def test_a_later_try_that_fails_leaves_the_earlier_text() -> None:
    engine = graphics_card(temperatures=TEMPERATURES, says=wrong_until(0.4), raises=lambda asked: asked.temperature > 0)
    _, answers = answered(engine, request("wrong", 0))
    assert [answer.text for _, answer in answers.got if isinstance(answer, Hypothesis)] == ["at 0.0"]


# Measuring


def test_calibration_says_what_is_carried_before_anybody_comes() -> None:
    fast, slow = calibrated(SimulatedEngine(item=0.01)), calibrated(SimulatedEngine(item=0.1))
    assert fast.capacity.streams_carried() > 5 * slow.capacity.streams_carried() > 5


@pytest.mark.parametrize("item", [0.001, 0.1, 0.5, 1.5, 30.0])
def test_calibration_is_short_or_two_calls(item: float) -> None:
    engine = SimulatedEngine(item=item, max_batch=8)
    batcher = Batcher(engine)

    async def main() -> float:
        await batcher.calibrate()
        return anyio.current_time()

    assert in_virtual_time(main) <= max(CALIBRATION_S * 1.01, 2 * item)
    assert batcher.costs.whole.known
    assert batcher.costs.partial.known


def test_an_engine_that_breaks_at_calibration_is_served_all_the_same() -> None:
    batcher, answers = calibrated(SimulatedEngine(raises=lambda asked: "calibration" in asked.stream_id)), Answers()

    async def play() -> None:
        batcher.submit(request("a", 0), answers)

    served(batcher, play)
    assert len(answers.got) == 1


def test_finals_that_wait_too_long_are_noticed() -> None:
    batcher, answers = calibrated(SimulatedEngine(item=0.01)), Answers()
    batcher.recogniser = SimulatedEngine(item=LATE_S)
    late: list[bool] = []

    async def play() -> None:
        for segment in range(3):
            batcher.submit(request("a", segment), answers)
        for _ in range(4):
            late.append(batcher.late)
            await anyio.sleep(LATE_S * 0.9)

    served(batcher, play)
    assert late == [False, False, True, False]
