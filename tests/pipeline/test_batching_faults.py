"""Engines that fail, raise, hang and guess, in virtual time: who is answered with what."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.batching import HANG_S, Batcher
from pipeline.errors import RecogniserHung, RecognitionFailed, RecognitionGivenUp
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from tests.fakes import hypothesis
from tests.simulation import (
    Answers,
    SimulatedEngine,
    Stuck,
    answered,
    calibrated,
    graphics_card,
    in_virtual_time,
    request,
    served,
)


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
            if purpose is Purpose.FINAL:
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
