"""Time that passes only while everybody waits, an engine that takes as long as it is told, and how tests use both."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio
import numpy as np

from pipeline.batching import Answer, Batcher
from pipeline.costs import WORDS_PER_S, Costs
from pipeline.errors import RecognitionFailed
from pipeline.schedule import Schedule, Ticket
from pipeline.types import SAMPLE_RATE, Hypothesis, Purpose, RecognitionRequest
from tests.fakes import hypothesis

FOR_EVER = 24 * 3600  # seconds: asyncio looks at its timers at least so often, also where there are none in time

T = TypeVar("T")


def request(
    stream: str = "a",
    segment: int = 0,
    purpose: Purpose = Purpose.FINAL,
    *,
    seconds: float = 1.0,
    tenant: str = "",
    live: bool = True,
    temperature: float = 0.0,
) -> RecognitionRequest:
    """What a stream asks for; its audio is silence."""
    return RecognitionRequest(
        stream_id=stream,
        segment=segment,
        purpose=purpose,
        start=0,
        pcm=np.zeros(round(seconds * SAMPLE_RATE), np.float32),
        language="en",
        temperature=temperature,
        tenant=tenant,
        live=live,
    )


class Stuck(AssertionError):
    """Everybody waits, and nothing will ever happen."""


class _Selector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and (timeout is None or timeout >= FOR_EVER):
            raise Stuck
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run to the end, however long that would take. Raises `Stuck` where it would take for ever."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def never(_: RecognitionRequest) -> bool:
    return False


def echo(asked: RecognitionRequest) -> Hypothesis:
    return hypothesis(f"segment {asked.segment}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Call:
    """What an engine was given, and when."""

    began: float
    requests: tuple[RecognitionRequest, ...]


def _words(asked: RecognitionRequest) -> float:
    if asked.stream_id.startswith("calibration/"):
        return len(asked.committed.split())
    return WORDS_PER_S * len(asked.pcm) / SAMPLE_RATE


@dataclass(kw_only=True, eq=False)
class SimulatedEngine:
    """Takes `call` + `item` · requests + `second` · seconds of audio + `word` · words for a call.

    In what streams say it finds `WORDS_PER_S` words; in what it is measured by none but those that are committed.
    """

    capacity: int = 1
    max_batch: int = 1
    call: float = 0.0
    item: float = 0.1
    second: float = 0.0
    word: float = 0.0
    fails: Callable[[RecognitionRequest], bool] = never  # it says so
    raises: Callable[[RecognitionRequest], bool] = never  # the whole call
    hangs: Callable[[RecognitionRequest], bool] = never  # the whole call
    says: Callable[[RecognitionRequest], Hypothesis] = echo
    temperatures: tuple[float, ...] = (0.0,)
    name: str = "simulated"
    model: str = "none"
    languages: frozenset[str] = frozenset({"en"})
    window: int = 0
    speculates: bool = True
    continues: bool = False

    def __post_init__(self) -> None:
        self.calls: list[Call] = []
        self.running = self.most_running = 0

    async def start(self) -> None:
        return None

    async def aclose(self) -> None:
        return None

    def takes(self, batch: Sequence[RecognitionRequest]) -> float:
        """Seconds."""
        audio = sum(len(each.pcm) for each in batch) / SAMPLE_RATE
        words = sum(map(_words, batch)) if self.word else 0.0
        return self.call + self.item * len(batch) + self.second * audio + self.word * words

    async def recognise(self, batch: Sequence[RecognitionRequest]) -> list[Hypothesis | RecognitionFailed]:
        self.calls.append(Call(began=anyio.current_time(), requests=tuple(batch)))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await anyio.sleep(self.takes(batch))
            if any(map(self.hangs, batch)):
                await anyio.sleep_forever()
            if any(map(self.raises, batch)):
                raise ZeroDivisionError
        finally:
            self.running -= 1
        return [RecognitionFailed() if self.fails(each) else self.says(each) for each in batch]


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


def schedule(*requests: RecognitionRequest, lanes: int = 1, max_batch: int = 1) -> Schedule[Ticket]:
    made: Schedule[Ticket] = Schedule(measured(), lanes=lanes, max_batch=max_batch)
    for each in requests:
        made.submit(Ticket(request=each), 0.0)
    return made


def measured(call: float = 0.1, item: float = 0.001) -> Costs:
    """What an engine costs for which batches pay."""
    costs = Costs()
    for cost in (costs.whole, costs.partial):
        for count in (1, 1, 4, 1, 4, 8):
            cost.observe(count, count, call + count * item, anchor=True)
    return costs


def drained(line: Schedule[Ticket]) -> Iterator[tuple[RecognitionRequest, ...]]:
    """Every batch until nothing waits, each answered before the next one."""
    while batch := line.take():
        yield tuple(ticket.request for ticket in batch)
        line.done(batch)
