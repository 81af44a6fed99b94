"""The one owner of a recogniser: takes requests of all sessions, calls the engine, scatters the answers.

What goes when is decided by `pipeline.schedule`; here is what needs an event loop. A free lane starts at once, and what
arrives while all are busy makes the next batch, so nothing waits for company that may not come.

An engine that raises, or does not answer in time, ends no more than the requests it was given: of a batch each is tried
once more, alone. What fails alone is answered as failed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import fmean
from typing import Protocol, TypeAlias

import anyio
from anyio.abc import TaskGroup

from pipeline.capacity import Capacity
from pipeline.costs import Costs, Probe, probes
from pipeline.errors import RecogniserHung, RecognitionFailed, RecognitionGivenUp
from pipeline.fallback import best, next_temperature
from pipeline.ports import Recogniser
from pipeline.schedule import Rank, Schedule, Ticket
from pipeline.types import Hypothesis, Purpose, RecognitionRequest

HANG_S = 30.0  # a call that takes longer hangs …
HANG_TIMES = 10.0  # … unless that is less than so many times what was expected
UNKNOWN_HANG_S = 300.0  # … or nothing is known yet: a large model on a small machine
CALIBRATION_S = 2.5  # of measuring at start, where two calls do not take longer
CALIBRATION_TRIES = 3  # of each call, while there is time; the fastest counts: others may have held up the rest
LATE_S = 1.0  # a final that has waited so long to be handed over says that there is too much to do

Answer: TypeAlias = Hypothesis | RecognitionFailed
Reply: TypeAlias = Callable[[RecognitionRequest, Answer], None]
Superseded: TypeAlias = Callable[[], None]


class Observer(Protocol):
    """Who wants to know how recognition goes. Both are called on the event loop and must be quick."""

    def handed_over(self, rank: Rank, waited: float) -> None:
        """The engine gets a request that waited for so many seconds."""
        ...

    def answered(self, requests: int, took: float) -> None:
        """A call with so many requests took so many seconds."""
        ...


class Nobody:
    """An observer that does not look."""

    def handed_over(self, rank: Rank, waited: float) -> None:
        return None

    def answered(self, requests: int, took: float) -> None:
        return None


@dataclass(slots=True, kw_only=True, eq=False)
class _Asked(Ticket):
    """A request with what is known of its answer."""

    asked: RecognitionRequest  # as its stream knows it
    reply: Reply
    superseded: Superseded
    tries: list[Hypothesis] = field(default_factory=list)


class Batcher:
    """Requests in by `submit`, answers out through each request's `reply`, called on the event loop.

    A request is answered once, or never: where its stream asked something newer first, or was cancelled.
    """

    def __init__(self, recogniser: Recogniser, observer: Observer | None = None, *, hang_s: float = HANG_S) -> None:
        """`hang_s`: seconds that any call may take, however little was expected of it."""
        self.recogniser = recogniser
        self.costs = Costs()
        self.capacity = Capacity(self.costs)
        self.turn = anyio.Lock()
        """A stream that has audio to hear waits for it: one block is heard in a round of the event loop, however many
        are behind, and everything else goes on in between. What arrives is logged and acknowledged all the same.
        """
        self.batches = 0  # calls of the engine
        self.failed = 0  # requests that the engine could not answer
        self.fallbacks = 0  # later tries, at a higher temperature, of texts that looked wrong
        self.retried = 0  # requests tried again alone, because a call with several failed
        self.hung = 0  # calls that did not end in time
        self._observer = observer or Nobody()
        self._hang_s = hang_s
        self._schedule: Schedule[_Asked] = Schedule(self.costs, dropped=lambda asked: asked.superseded())
        self._changed = anyio.Event()  # a request arrived, or a lane is free
        self._started = anyio.Event()  # the engine is there

    @property
    def met(self) -> bool:
        """Whether it is known what the engine can do. Some say so from the first, others once they are loaded."""
        return bool(self.recogniser.languages) or self._started.is_set()

    async def meet(self) -> None:
        """Wait until it is known what the engine can do."""
        if not self.met:
            await self._started.wait()

    @property
    def superseded(self) -> int:
        """Requests never recognised, because their stream asked something newer."""
        return self._schedule.superseded

    @property
    def waiting_finals(self) -> int:
        """Finals not yet handed to the engine that somebody waits for."""
        return self._schedule.waiting_finals

    @property
    def waiting_files(self) -> int:
        """Requests of files not yet handed to the engine."""
        return self._schedule.waiting_files

    @property
    def streams_carried(self) -> int:
        """How many live streams can be heard in time, by what was measured up to now."""
        self.capacity.pass_time(anyio.current_time())
        return self.capacity.streams_carried()

    @property
    def late(self) -> bool:
        """Whether finals wait too long right now, whatever `capacity` says."""
        return self._schedule.late(anyio.current_time()) > LATE_S

    def submit(
        self, request: RecognitionRequest, reply: Reply, superseded: Superseded = lambda: None
    ) -> Callable[[], None]:
        """Queue a request. It replaces what its stream has waiting, unless that is final.

        `superseded` is called instead of `reply` where the stream asked something newer first. Returns what withdraws
        the request: it is not handed to the engine any more, and never answered.
        """
        now = anyio.current_time()
        guess = self._schedule.confirm(request, now) if request.purpose is Purpose.FINAL else None
        if guess is not None:
            guess.superseded()
            guess.asked, guess.reply, guess.superseded = request, reply, superseded
            asked = guess
        else:
            asked = _Asked(request=request, asked=request, reply=reply, superseded=superseded)
            self._schedule.submit(asked, now)
            self.capacity.receive(request, now)
        self._changed.set()
        return partial(self._schedule.withdraw, asked)

    def cancel(self, stream_id: str) -> None:
        """Forget a stream: nobody listens any more, also to what the engine is at work on."""
        self._schedule.cancel(stream_id)
        self.capacity.forget(stream_id, anyio.current_time())

    def voiced(self, stream_id: str, seconds: float) -> None:
        """A stream's voiceprints took so many seconds of a core, which calls do not get."""
        self.capacity.voiced(stream_id, seconds, anyio.current_time())

    async def calibrate(self) -> None:
        """Measure the loaded engine with a few calls, so that it is known what it carries before anybody comes."""
        self._meet_engine()
        self._started.set()
        engine = self.recogniser
        language = "en" if "en" in engine.languages else min(engine.languages, default="en")
        made = list(probes(engine.max_batch, language, engine.capacity))
        fastest: dict[int, float] = {}
        until = anyio.current_time() + CALIBRATION_S
        async with anyio.create_task_group() as calls:
            for number, probe in [*enumerate(made)] * CALIBRATION_TRIES:
                cost = self.costs.of(probe[0][0])
                takes = fastest.get(number, self.costs.predict(probe[0]))
                if cost.known and anyio.current_time() + takes > until:
                    continue
                took = await self._probed(probe, calls)
                if took is None:
                    return  # it would hang again, each time for minutes
                if took and number not in fastest:
                    self.costs.observe(probe[0], fmean(took), anchor=True)
                if took:
                    fastest[number] = min(fmean(took), fastest.get(number, math.inf))
        self.costs.forget()
        for number in sorted(fastest):
            self.costs.observe(made[number][0], fastest[number], anchor=True)

    async def _probed(self, probe: Probe, calls: TaskGroup) -> list[float] | None:
        """Seconds that each of the calls took that were answered; None where one hangs."""
        took: list[float] = []
        outcomes: list[Sequence[Answer] | RecognitionFailed] = []

        async def make(requests: Sequence[RecognitionRequest]) -> None:
            started = anyio.current_time()
            outcome = await self._watched(requests, calls)
            outcomes.append(outcome)
            if not isinstance(outcome, RecognitionFailed):
                took.append(anyio.current_time() - started)

        async with anyio.create_task_group() as lanes:
            for requests in probe:
                lanes.start_soon(make, requests)
        return None if any(isinstance(outcome, RecogniserHung) for outcome in outcomes) else took

    async def run(self) -> None:
        """Serve until cancelled: as many calls at a time as the engine takes."""
        self._meet_engine()
        async with anyio.create_task_group() as calls:
            while True:
                while batch := self._schedule.take():
                    calls.start_soon(self._serve, batch, calls)
                self._changed = anyio.Event()
                await self._changed.wait()

    def _meet_engine(self) -> None:
        """Some engines know what they can do only once they are loaded."""
        engine = self.recogniser
        self._schedule.lanes = self.capacity.lanes = engine.capacity
        self._schedule.max_batch = self.capacity.max_batch = engine.max_batch
        self.costs.window = engine.window

    # One batch

    async def _serve(self, batch: tuple[_Asked, ...], calls: TaskGroup) -> None:
        began = anyio.current_time()
        for asked in batch:
            self._observer.handed_over(asked.rank, began - asked.since)
        requests = [asked.request for asked in batch]
        outcome = await self._watched(requests, calls)
        took = anyio.current_time() - began
        self.batches += 1
        self._observer.answered(len(batch), took)
        self._schedule.done(batch)
        if isinstance(outcome, RecognitionFailed):
            self._divide(batch, outcome)
        else:
            self.costs.observe(requests, took)
            for asked, answer in zip(batch, outcome, strict=True):
                self._settle(asked, answer)
        self._changed.set()

    async def _watched(
        self, requests: Sequence[RecognitionRequest], calls: TaskGroup
    ) -> Sequence[Answer] | RecognitionFailed:
        """The engine's answers, or what went wrong with all of them.

        The call has a task of its own: one that hangs may be deaf to its cancellation, too.
        """
        outcomes: list[Sequence[Answer] | RecognitionFailed] = []
        ended = anyio.Event()
        scope = anyio.CancelScope()

        async def call() -> None:
            with scope:
                outcomes.append(await self._called(requests))
            ended.set()

        calls.start_soon(call)
        with anyio.move_on_after(self._patience(requests)):
            await ended.wait()
        if outcomes:
            return outcomes[0]
        self.hung += 1
        scope.cancel()
        return RecogniserHung()

    async def _called(self, requests: Sequence[RecognitionRequest]) -> Sequence[Answer] | RecognitionFailed:
        """An engine's own bug must not end the other sessions."""
        try:
            answers = await self.recogniser.recognise(requests)
        except Exception as exc:
            failure = RecognitionFailed()
            failure.__cause__ = exc
            return failure
        if len(answers) != len(requests):
            return RecognitionFailed("The recogniser lost an answer.")
        return answers

    def _patience(self, requests: Sequence[RecognitionRequest]) -> float:
        """Seconds after which a call with these requests hangs."""
        if not self.costs.of(requests[0]).known:
            return max(UNKNOWN_HANG_S, self._hang_s)
        return max(self._hang_s, HANG_TIMES * self.costs.predict(requests))

    # Its answers

    def _divide(self, batch: tuple[_Asked, ...], failure: RecognitionFailed) -> None:
        """A call failed as a whole: which of its requests is the reason shows when each is tried alone."""
        if len(batch) > 1:
            for asked in batch:
                asked.alone = True
                self.retried += self._schedule.again(asked)
            return
        (asked,) = batch
        if asked.alone:
            given_up = RecognitionGivenUp()
            given_up.__cause__ = failure
            failure = given_up
        self._settle(asked, failure)

    def _settle(self, asked: _Asked, answer: Answer) -> None:
        """Reply, unless the text looks wrong and there is another temperature to try."""
        if asked.cancelled:
            return
        if isinstance(answer, Hypothesis):
            asked.tries.append(answer)
            if self._tried_again(asked):
                return
        if asked.tries:
            answer = best(asked.tries)
        self.failed += isinstance(answer, RecognitionFailed)
        asked.reply(asked.asked, answer)

    def _tried_again(self, asked: _Asked) -> bool:
        """Whether the answer must wait for another try, or is not wanted any more."""
        temperature = next_temperature(asked.tries, self.recogniser.temperatures)
        if temperature is None or not asked.request.purpose.whole:
            return False
        asked.request = replace(asked.request, temperature=temperature)
        self.fallbacks += self._schedule.again(asked)
        return True
