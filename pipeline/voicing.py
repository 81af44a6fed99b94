"""The one owner of a voice embedder: takes voiceprint requests of all sessions, calls it, scatters the answers.

Every request is answered, with None where voices cannot be told apart: whoever waits for a voice to know a speaker by
goes on without. What waits goes together in one call, up to `BATCH` windows; streams take turns, so that a recording
with hours of speech keeps no live stream waiting.

The embedder is loaded by the first request. One that cannot be loaded is asked no more, and the log says once how to
mend it.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anyio
import numpy as np
import structlog

from pipeline.errors import VoicesUnavailable
from pipeline.ports import VoiceEmbedder
from pipeline.types import VoiceprintRequest, Voiceprints

log = structlog.get_logger()

BATCH = 16  # windows of a call, unless a single request has more: 70 ms of a core
WAITING = 1024  # windows, of 100 kB each, that may wait; beyond, requests are answered with None
HANG_S = 30.0  # a call that takes longer hangs

Reply: TypeAlias = Callable[[VoiceprintRequest, Voiceprints | None], None]
Observer: TypeAlias = Callable[[str, float], None]
"""Who wants to know which stream's voiceprints took how many seconds."""


@dataclass(slots=True, eq=False)
class _Asked:
    """A request that is not answered yet."""

    request: VoiceprintRequest
    reply: Reply
    cancelled: bool = False

    def answer(self, voices: Voiceprints | None) -> None:
        if not self.cancelled:
            self.reply(self.request, voices)


class Voicing:
    """Requests in by `submit`, answers out through each request's `reply`, called on the event loop.

    A request is answered once, or never: where its stream was cancelled.
    """

    def __init__(self, embedder: VoiceEmbedder | None, observer: Observer | None = None) -> None:
        """`embedder` None: nothing can tell voices apart."""
        self.embedder = embedder
        self.unavailable: VoicesUnavailable | None = None  # why it cannot be loaded, once that was tried
        self.windows = 0  # that were answered with a voice …
        self.failed = 0  # … and without one, because the embedder failed or too many waited
        self.calls = 0  # of the embedder
        self.seconds = 0.0  # that they took
        self._observer = observer
        self._streams: dict[str, deque[_Asked]] = {}  # what waits; first the stream whose turn it is
        self._at_work: Sequence[_Asked] = ()
        self._waiting = 0  # windows
        self._started = False
        self._told = False  # a failure was logged: of the next ones only the number is of interest
        self._changed = anyio.Event()

    @property
    def waiting(self) -> int:
        """Windows that the embedder has not been given yet."""
        return self._waiting

    def submit(self, request: VoiceprintRequest, reply: Reply) -> None:
        """Queue a request. Where it is known already that there will be no voices, `reply` is called right here."""
        asked = _Asked(request, reply)
        if self.embedder is None or self.unavailable is not None:
            asked.answer(None)
        elif self._waiting + len(request.windows) > WAITING and self._waiting:
            self._fail(asked)
        else:
            self._streams.setdefault(request.stream_id, deque()).append(asked)
            self._waiting += len(request.windows)
            self._changed.set()

    def cancel(self, stream_id: str) -> None:
        """Forget a stream: nobody listens any more, also to what the embedder is at work on."""
        dropped = self._streams.pop(stream_id, ())
        self._waiting -= sum(len(asked.request.windows) for asked in dropped)
        for asked in self._at_work:
            asked.cancelled |= asked.request.stream_id == stream_id

    async def start(self) -> None:
        """Load the embedder, unless it is loaded or cannot be. The first request does so by itself."""
        if self.embedder is None or self._started or self.unavailable is not None:
            return
        try:
            await self.embedder.start()
        except VoicesUnavailable as exc:
            self._miss(exc)
            return
        except Exception as exc:  # a library's own error must not end the server: transcripts come without voices, too
            unavailable = VoicesUnavailable()
            unavailable.__cause__ = exc
            self._miss(unavailable)
            return
        self._started = True
        log.info("voices.ready", embedder=self.embedder.name, model=self.embedder.model)

    async def run(self) -> None:
        """Serve until cancelled."""
        try:
            while True:
                self._changed = anyio.Event()
                while batch := self._take():
                    await self._serve(batch)
                await self._changed.wait()
        finally:
            if self.embedder is not None and self._started:
                self._started = False
                with anyio.CancelScope(shield=True):
                    await self.embedder.aclose()

    def _take(self) -> list[_Asked]:
        """The oldest request of each stream in turn, until a batch is full."""
        batch: list[_Asked] = []
        windows = 0
        while self._streams:
            stream_id = next(iter(self._streams))
            line = self._streams[stream_id]
            windows += len(line[0].request.windows)
            if batch and windows > BATCH:
                break
            batch.append(line.popleft())
            del self._streams[stream_id]
            if line:
                self._streams[stream_id] = line  # behind the others
        self._waiting -= sum(len(asked.request.windows) for asked in batch)
        return batch

    async def _serve(self, batch: Sequence[_Asked]) -> None:
        self._at_work = batch
        await self.start()
        if self.unavailable is not None:
            for asked in (*batch, *self._all_waiting()):
                asked.answer(None)
        elif not await self._embed(batch):
            for asked in batch:  # which of them is the reason shows when each is tried alone
                if len(batch) == 1 or not await self._embed([asked]):
                    self._fail(asked)
        self._at_work = ()

    async def _embed(self, batch: Sequence[_Asked]) -> bool:
        """Answer them all by one call. False where it failed, and none of them is answered."""
        assert self.embedder is not None
        windows = [window for asked in batch for window in asked.request.windows]
        began = anyio.current_time()
        vectors = None
        try:
            with anyio.move_on_after(HANG_S):
                vectors = await self.embedder.embed(windows)
        except Exception as exc:  # an embedder's own bug must not end the sessions
            self._tell(type(exc).__name__)
            return False
        finally:
            self._count(batch, anyio.current_time() - began)
        if vectors is None:
            self._tell("hung")
            for asked in (*batch, *self._all_waiting()):  # else each of them would wait as long again
                self._fail(asked)
            return True
        if vectors.shape != (len(windows), self.embedder.dimensions) or not np.isfinite(vectors).all():
            self._tell("malformed")
            return False
        self.windows += len(windows)
        for asked in batch:
            own, vectors = np.split(vectors, [len(asked.request.windows)])
            asked.answer(asked.request.answered(own.copy()))  # a view would keep those of the others
        return True

    def _count(self, batch: Sequence[_Asked], took: float) -> None:
        """A call is over, however it ended."""
        self.calls += 1
        self.seconds += took
        if self._observer is not None:
            windows = sum(len(asked.request.windows) for asked in batch)
            for asked in batch:
                self._observer(asked.request.stream_id, took * len(asked.request.windows) / max(1, windows))

    def _fail(self, asked: _Asked) -> None:
        self.failed += len(asked.request.windows)
        asked.answer(None)

    def _all_waiting(self) -> list[_Asked]:
        """Everything that waits, which waits no more."""
        waiting = [asked for line in self._streams.values() for asked in line]
        self._streams.clear()
        self._waiting = 0
        return waiting

    def _miss(self, unavailable: VoicesUnavailable) -> None:
        self.unavailable = unavailable
        cause = unavailable.__cause__
        log.warning("voices.unavailable", reason=str(unavailable), cause=type(cause).__name__ if cause else None)

    def _tell(self, kind: str) -> None:
        if not self._told:
            self._told = True
            log.error("voices.failed", type=kind)
