"""The one owner of a recogniser: gathers requests of all sessions, calls the engine, scatters the answers.

Finals come first, in order of arrival, and are never dropped. Of each stream at most one partial waits, the newest; it
keeps the place in line of the one it replaces, so that busy streams do not starve quiet ones.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from pipeline.errors import RecognitionFailed
from pipeline.ports import Recogniser
from pipeline.types import Hypothesis, Purpose, RecognitionRequest

Answer: TypeAlias = Hypothesis | RecognitionFailed
Reply: TypeAlias = Callable[[RecognitionRequest, Answer], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Waiting:
    request: RecognitionRequest
    reply: Reply


class Batcher:
    """Requests in by `submit`, answers out through each request's `reply`, called on the event loop."""

    def __init__(self, recogniser: Recogniser) -> None:
        self.recogniser = recogniser
        self.superseded = 0  # partials replaced by newer ones before they were recognised
        self.failed = 0  # requests that the engine could not answer
        self._finals: deque[_Waiting] = deque()
        self._partials: OrderedDict[str, _Waiting] = OrderedDict()
        self._arrived = anyio.Event()

    @property
    def waiting_finals(self) -> int:
        """Finals not yet handed to the engine."""
        return len(self._finals)

    def submit(self, request: RecognitionRequest, reply: Reply) -> None:
        """Queue a request. A partial replaces an older partial of its stream; a final drops it."""
        waiting = _Waiting(request=request, reply=reply)
        if request.purpose is Purpose.FINAL:
            if self._partials.pop(request.stream_id, None) is not None:
                self.superseded += 1
            self._finals.append(waiting)
        else:
            self.superseded += request.stream_id in self._partials
            self._partials[request.stream_id] = waiting
        self._arrived.set()

    def cancel(self, stream_id: str) -> None:
        """Forget what a stream has waiting: nobody listens any more."""
        self._partials.pop(stream_id, None)
        self._finals = deque(w for w in self._finals if w.request.stream_id != stream_id)

    async def run(self) -> None:
        """Serve until cancelled: as many calls at a time as the engine takes."""
        async with anyio.create_task_group() as lanes:
            for _ in range(self.recogniser.capacity):
                lanes.start_soon(self._lane)

    async def _lane(self) -> None:
        while True:
            batch = self._take()
            if batch:
                await self._serve(batch)
            else:
                if self._arrived.is_set():
                    self._arrived = anyio.Event()
                await self._arrived.wait()

    def _take(self) -> list[_Waiting]:
        """The next batch: finals, or partials where no final waits."""
        batch: list[_Waiting] = []
        while len(batch) < self.recogniser.max_batch and self._finals:
            batch.append(self._finals.popleft())
        while len(batch) < self.recogniser.max_batch and self._partials and not self._finals:
            batch.append(self._partials.popitem(last=False)[1])
        return batch

    async def _serve(self, batch: Sequence[_Waiting]) -> None:
        for waiting, answer in zip(batch, await self._recognise([w.request for w in batch]), strict=True):
            self.failed += isinstance(answer, RecognitionFailed)
            waiting.reply(waiting.request, answer)

    async def _recognise(self, requests: list[RecognitionRequest]) -> Sequence[Answer]:
        """The engine's answers; an engine that raises has failed on each request, and the lane goes on."""
        try:
            answers = await self.recogniser.recognise(requests)
        except Exception as exc:  # an engine's own bug must not end the other sessions
            failure = RecognitionFailed()
            failure.__cause__ = exc
            return [failure] * len(requests)
        if len(answers) != len(requests):
            return [RecognitionFailed("The recogniser lost an answer.")] * len(requests)
        return answers
