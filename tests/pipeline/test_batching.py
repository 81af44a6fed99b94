"""The shell around the schedule, in virtual time: engines that are slow, fail, raise and hang, and nobody sleeps."""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batching import CALIBRATION_S, HANG_S, LATE_S, Answer, Batcher
from pipeline.errors import RecogniserHung, RecognitionFailed, RecognitionGivenUp
from pipeline.schedule import Rank
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from tests.fakes import hypothesis
from tests.simulation import SimulatedEngine, Stuck, in_virtual_time, request

FINAL, SPECULATIVE, FIRST_PARTIAL, REFRESH = Purpose


class Answers:
    """Collects answers and when they came."""

    def __init__(self) -> None:
        self.got: list[tuple[RecognitionRequest, Answer]] = []
        self.times: list[float] = []

    def __call__(self, asked: RecognitionRequest, answer: Answer) -> None:
        self.got.append((asked, answer))
        self.times.append(anyio.current_time())

    @property
    def segments(self) -> list[int]:
        return [asked.segment for asked, _ in self.got]

    @property
    def failed(self) -> list[int]:
        return [asked.segment for asked, answer in self.got if isinstance(answer, RecognitionFailed)]


def served(batcher: Batcher, play: Callable[[], Awaitable[None]], *, seconds: float = 3600.0) -> None:
    """Serve for so long while `play` goes on."""

    async def main() -> None:
        async with anyio.create_task_group() as owner:
            owner.start_soon(batcher.run)
            await play()
            await anyio.sleep(seconds)
            owner.cancel_scope.cancel()

    in_virtual_time(main)


def answered(engine: SimulatedEngine, *requests: RecognitionRequest) -> tuple[Batcher, Answers]:
    """Everything asked for at once, and the engine's answers."""
    batcher, answers = Batcher(engine), Answers()

    async def play() -> None:
        for each in requests:
            batcher.submit(each, answers)

    served(batcher, play)
    return batcher, answers


def graphics_card(**behaviour: Any) -> SimulatedEngine:
    """One for which it pays to make batches."""
    return SimulatedEngine(call=0.2, item=0.01, max_batch=8, **behaviour)


def calibrated(engine: SimulatedEngine) -> Batcher:
    batcher = Batcher(engine)
    in_virtual_time(batcher.calibrate)
    engine.calls.clear()
    return batcher


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


# Engines that break


def test_an_engine_that_raises_in_the_middle_of_a_batch_fails_on_the_culprit_only() -> None:
    engine = graphics_card(raises=lambda asked: asked.stream_id == "s2")
    batcher, answers = calibrated(engine), Answers()

    async def play() -> None:
        for segment in range(5):
            batcher.submit(request(f"s{segment}", segment), answers)

    served(batcher, play)
    assert sorted(answers.segments) == [0, 1, 2, 3, 4]
    assert answers.failed == [2]
    assert any(isinstance(answer, RecognitionGivenUp) and not answer.retryable for _, answer in answers.got)
    assert Counter(each.segment for call in engine.calls for each in call.requests)[2] == 2


def test_a_request_that_raises_alone_is_answered_at_once_so_that_its_session_may_ask_again() -> None:
    engine = SimulatedEngine(raises=lambda asked: asked.segment == 0)
    _, answers = answered(engine, request("a", 0), request("a", 1))
    assert answers.failed == [0]
    assert all(answer.retryable for _, answer in answers.got if isinstance(answer, RecognitionFailed))
    assert len(engine.calls) == 2


def test_an_engine_that_loses_an_answer_has_failed() -> None:
    class Losing(SimulatedEngine):
        async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
            return []

    _, answers = answered(Losing(), request("a", 0))
    assert answers.failed == [0]


class Deaf(SimulatedEngine):
    """What hangs does not even notice that it is cancelled, for a long while."""

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        if any(map(self.hangs, batch)):
            with anyio.CancelScope(shield=True):
                await anyio.sleep(10 * HANG_S)
        return await super().recognise(batch)


@pytest.mark.parametrize("kind", [SimulatedEngine, Deaf])
def test_a_call_that_hangs_is_given_up_and_its_lane_goes_on(kind: type[SimulatedEngine]) -> None:
    engine = kind(hangs=lambda asked: asked.stream_id == "hangs")
    batcher, answers = calibrated(engine), Answers()

    async def play() -> None:
        batcher.submit(request("hangs", 0), answers)
        batcher.submit(request("fine", 1), answers)
        await anyio.sleep(2 * HANG_S)
        ran_on.append(engine.running)

    ran_on: list[int] = []
    served(batcher, play)
    assert answers.segments == [0, 1]
    assert isinstance(answers.got[0][1], RecogniserHung)
    assert isinstance(answers.got[1][1], Hypothesis)
    assert answers.times == pytest.approx([HANG_S, HANG_S + 0.1])
    assert batcher.hung == 1
    assert ran_on == [0] or kind is Deaf  # the call was cancelled


def test_of_a_batch_that_hangs_only_the_culprit_is_lost() -> None:
    engine = graphics_card(hangs=lambda asked: asked.stream_id == "s2")
    batcher, answers = calibrated(engine), Answers()

    async def play() -> None:
        for segment in range(4):
            batcher.submit(request(f"s{segment}", segment), answers)

    served(batcher, play)
    assert sorted(answers.segments) == [0, 1, 2, 3]
    assert answers.failed == [2]
    assert batcher.hung == 2


def test_a_slow_engine_does_not_hang() -> None:
    batcher, answers = answered(SimulatedEngine(item=100.0), request("a", 0), request("a", 1), request("a", 2))
    assert answers.failed == []
    assert batcher.hung == 0


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


# Whatever happens

steps = st.tuples(
    st.sampled_from("abcd"),
    st.sampled_from(list(Purpose)),
    st.floats(0.1, 12.0),  # seconds of audio
    st.floats(0.0, 0.5),  # seconds until the next one
    st.sampled_from(["ok"] * 6 + ["fails", "raises", "hangs", "wrong"]),
    st.booleans(),
)


@settings(deadline=None)
@given(
    st.lists(steps, max_size=30),
    st.integers(1, 3),
    st.integers(1, 6),
    st.sampled_from([(0.0, 0.1), (0.2, 0.01)]),
    st.sets(st.sampled_from("cd")),
)
def test_every_final_is_answered_once_whatever_the_engine_does(
    arriving: list[tuple[str, Purpose, float, float, str, bool]],
    lanes: int,
    max_batch: int,
    cost: tuple[float, float],
    cancelled: set[str],
) -> None:
    fates: dict[int, str] = {}
    engine = SimulatedEngine(
        capacity=lanes,
        max_batch=max_batch,
        call=cost[0],
        item=cost[1],
        fails=lambda asked: fates[asked.segment] == "fails",
        raises=lambda asked: fates[asked.segment] == "raises",
        hangs=lambda asked: fates[asked.segment] == "hangs",
        says=lambda asked: replace(hypothesis("x"), avg_logprob=-2.0 if fates[asked.segment] == "wrong" else -0.1),
        temperatures=(0.0, 0.2, 0.4),
    )
    batcher, answers = Batcher(engine), Answers()
    finals: set[RecognitionRequest] = set()
    ended: list[int] = []

    async def play() -> None:
        for segment, (stream, purpose, seconds, pause, fate, live) in enumerate(arriving):
            fates[segment] = fate
            asked = request(stream, segment, purpose, seconds=seconds, tenant=stream, live=live)
            if purpose is FINAL:
                finals.add(asked)
            batcher.submit(asked, answers)
            await anyio.sleep(pause)
        for stream in cancelled:
            batcher.cancel(stream)
        ended.append(len(answers.got))

    served(batcher, play, seconds=40 * 700.0)
    counts = Counter(asked for asked, _ in answers.got)
    assert all(count == 1 for count in counts.values())
    assert {asked for asked in finals if asked.stream_id not in cancelled} <= set(counts)
    assert not {asked.stream_id for asked, _ in answers.got[ended[0] :]} & cancelled
    for asked, answer in answers.got:
        assert isinstance(answer, RecognitionFailed) is (fates[asked.segment] in ("fails", "raises", "hangs"))
    handed: dict[str, list[int]] = defaultdict(list)
    for call in engine.calls:
        for each in call.requests:
            if each in finals and each.live and each.segment not in handed[each.stream_id]:
                handed[each.stream_id].append(each.segment)
    assert all(segments == sorted(segments) for segments in handed.values())


def test_a_loop_in_which_nothing_happens_is_noticed() -> None:
    with pytest.raises(Stuck):
        in_virtual_time(anyio.sleep_forever)
