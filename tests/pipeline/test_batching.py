from collections.abc import Sequence

import anyio
import numpy as np

from pipeline.batching import Answer, Batcher
from pipeline.errors import RecognitionFailed
from pipeline.types import Hypothesis, Purpose, RecognitionRequest
from tests.fakes import EchoRecogniser


def request(stream: str, segment: int, purpose: Purpose = Purpose.FINAL, samples: int = 1600) -> RecognitionRequest:
    pcm = np.zeros(samples, np.float32)
    return RecognitionRequest(stream_id=stream, segment=segment, purpose=purpose, start=0, pcm=pcm, language="en")


class Answers:
    """Collects answers and says when there are enough."""

    def __init__(self, wanted: int) -> None:
        self.got: list[tuple[RecognitionRequest, Answer]] = []
        self._wanted = wanted
        self._all = anyio.Event()

    def __call__(self, asked: RecognitionRequest, answer: Answer) -> None:
        self.got.append((asked, answer))
        if len(self.got) >= self._wanted:
            self._all.set()

    async def wait(self) -> None:
        with anyio.fail_after(5):
            await self._all.wait()


async def serve(batcher: Batcher, answers: Answers) -> None:
    async with anyio.create_task_group() as owner:
        owner.start_soon(batcher.run)
        await answers.wait()
        owner.cancel_scope.cancel()


async def test_finals_come_before_partials_and_in_order_of_arrival() -> None:
    batcher, answers = Batcher(EchoRecogniser()), Answers(4)
    batcher.submit(request("a", 0, Purpose.REFRESH), answers)
    for segment in (1, 2, 3):
        batcher.submit(request("b", segment), answers)
    await serve(batcher, answers)
    assert [asked.segment for asked, _ in answers.got] == [1, 2, 3, 0]


async def test_of_a_stream_only_the_newest_partial_waits() -> None:
    engine = EchoRecogniser()
    batcher, answers = Batcher(engine), Answers(2)
    for samples in (100, 200, 300):
        batcher.submit(request("a", 0, Purpose.REFRESH, samples), answers)
    batcher.submit(request("b", 0, Purpose.REFRESH, 50), answers)
    await serve(batcher, answers)
    assert [len(asked.pcm) for asked, _ in answers.got] == [300, 50]
    assert batcher.superseded == 2


async def test_a_final_makes_its_streams_partial_pointless() -> None:
    batcher, answers = Batcher(EchoRecogniser()), Answers(1)
    batcher.submit(request("a", 0, Purpose.REFRESH), answers)
    batcher.submit(request("a", 0), answers)
    await serve(batcher, answers)
    assert [asked.purpose for asked, _ in answers.got] == [Purpose.FINAL]


async def test_a_failing_request_fails_alone() -> None:
    batcher, answers = Batcher(EchoRecogniser(max_batch=4, failing=frozenset({1}))), Answers(3)
    for segment in range(3):
        batcher.submit(request("a", segment), answers)
    await serve(batcher, answers)
    assert [isinstance(answer, RecognitionFailed) for _, answer in answers.got] == [False, True, False]


async def test_an_engine_that_raises_does_not_stop_the_others() -> None:
    class Raising(EchoRecogniser):
        async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
            if batch[0].segment == 0:
                raise ZeroDivisionError
            return await super().recognise(batch)

    batcher, answers = Batcher(Raising()), Answers(2)
    batcher.submit(request("a", 0), answers)
    batcher.submit(request("a", 1), answers)
    await serve(batcher, answers)
    assert [isinstance(answer, RecognitionFailed) for _, answer in answers.got] == [True, False]


async def test_a_cancelled_stream_is_not_recognised() -> None:
    engine = EchoRecogniser()
    batcher, answers = Batcher(engine), Answers(1)
    batcher.submit(request("gone", 0), answers)
    batcher.submit(request("here", 1), answers)
    batcher.cancel("gone")
    await serve(batcher, answers)
    assert [asked.stream_id for asked, _ in answers.got] == ["here"]


async def test_as_many_calls_run_at_a_time_as_the_engine_takes() -> None:
    class Counting(EchoRecogniser):
        running = most = 0

        async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
            self.running += 1
            self.most = max(self.most, self.running)
            await anyio.lowlevel.checkpoint()
            self.running -= 1
            return await super().recognise(batch)

    engine = Counting(capacity=3)
    batcher, answers = Batcher(engine), Answers(9)
    for segment in range(9):
        batcher.submit(request("a", segment), answers)
    await serve(batcher, answers)
    assert engine.most == 3
