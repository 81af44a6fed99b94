"""What calibration predicts against what comes of it: streams that speak, on an engine whose words take time."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import anyio
import numpy as np
import pytest

from pipeline.batching import Answer, Batcher
from pipeline.types import Purpose, RecognitionRequest
from tests.simulation import SimulatedEngine, calibrated, request, served

SPEECH_S, PAUSE_S = 4, 4  # what `pipeline.capacity.ASSUMED` says of a stream that nobody has heard yet
LOOKS = 7  # requests in a turn: a partial every 0.6 s, as in the settings, a guess in the middle, the final
TURNS = 6
FINAL_S, PARTIAL_S = 1.0, 1.5  # what the bench asks of 95 in 100
ENGINES: dict[str, Callable[[], SimulatedEngine]] = {
    "words cost most": lambda: SimulatedEngine(item=0.005, second=0.001, word=0.01, capacity=2),
    "audio costs most": lambda: SimulatedEngine(item=0.3, word=0.0005, capacity=2),
    "calls cost most": lambda: SimulatedEngine(call=0.2, item=0.005, word=0.0005, max_batch=8),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Talk:
    """Streams that speak half of their time."""

    batcher: Batcher
    turns: int = TURNS
    finals: list[float] = field(default_factory=list)  # seconds that they were waited for
    partials: list[float] = field(default_factory=list)  # seconds until what was said by then was shown
    _unshown: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # samples, and when they were there

    async def play(self, streams: int) -> None:
        chance = random.Random(1)
        async with anyio.create_task_group() as speakers:
            for number in range(streams):
                speakers.start_soon(self._speak, f"s{number}", chance.uniform(0, SPEECH_S + PAUSE_S))

    async def _speak(self, stream: str, after_s: float) -> None:
        await anyio.sleep(after_s)
        for segment in range(self.turns):
            for look in range(1, LOOKS):
                await anyio.sleep(SPEECH_S / LOOKS)
                purpose = Purpose.SPECULATIVE if look == LOOKS // 2 else Purpose.REFRESH
                self._ask(request(stream, segment, purpose, seconds=look * SPEECH_S / LOOKS))
            await anyio.sleep(SPEECH_S / LOOKS)
            self._ask(request(stream, segment, seconds=SPEECH_S))
            await anyio.sleep(PAUSE_S)

    def _ask(self, asked: RecognitionRequest) -> None:
        self._unshown.setdefault(asked.stream_id, []).append((len(asked.pcm), anyio.current_time()))
        self.batcher.submit(asked, partial(self._answered, anyio.current_time()))

    def _answered(self, since: float, asked: RecognitionRequest, _: Answer) -> None:
        now, unshown = anyio.current_time(), self._unshown[asked.stream_id]
        if asked.purpose is Purpose.FINAL:
            self.finals.append(now - since)
        while unshown and unshown[0][0] <= len(asked.pcm):
            self.partials.append(now - unshown.pop(0)[1])


def in_time(batcher: Batcher, streams: int, *, turns: int = TURNS) -> bool:
    talk = Talk(batcher=batcher, turns=turns)

    async def play() -> None:
        await talk.play(streams)

    served(batcher, play, seconds=60.0)
    return bool(np.percentile(talk.finals, 95) <= FINAL_S and np.percentile(talk.partials, 95) <= PARTIAL_S)


@pytest.mark.parametrize("kind", ENGINES)
def test_as_many_as_are_let_in_are_heard_in_time_and_four_times_as_many_would_not_be(kind: str) -> None:
    carried = calibrated(ENGINES[kind]()).capacity.streams_carried()
    assert in_time(calibrated(ENGINES[kind]()), carried)
    assert not in_time(calibrated(ENGINES[kind]()), 4 * carried)


def test_a_machine_that_was_busy_when_it_was_measured_is_believed_soon_after() -> None:
    def engine(times: float) -> SimulatedEngine:
        return SimulatedEngine(item=0.005 * times, second=0.001 * times, word=0.003 * times, capacity=2)

    batcher, alone = calibrated(engine(5)), calibrated(engine(1))
    timid, carried = batcher.capacity.streams_carried(), alone.capacity.streams_carried()
    assert timid < carried / 3
    batcher.recogniser = engine(1)
    assert in_time(batcher, 2, turns=20)
    assert batcher.capacity.streams_carried() > 0.75 * carried
