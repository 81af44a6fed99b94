"""Who may come in. A live session is refused while it cannot be carried, so that those inside are heard in time."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol

import msgspec

from pipeline.batching import Batcher
from pipeline.errors import Overloaded
from server.metrics import Metrics

LATE_RETRY_S = 5  # a line that grew too long is worked off in seconds
FULL_RETRY_S = 30  # a place is free when a consultation ends, which takes minutes; somebody's ends sooner


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much this process takes on."""

    max_sessions: int
    max_streams: int  # of live sessions; 0: as many as the recogniser carries, as measured
    idle_timeout_s: float  # a session that lives by requests is closed after so long without audio
    reconnect_timeout_s: float  # one that lives by connections is closed after so long without any
    draft_interval_s: float = 2.0  # from one draft of a live session's note to the next, at least


class Refusal(StrEnum):
    """Why a session was refused."""

    SESSIONS = "sessions"  # there are `max_sessions`
    STREAMS = "streams"  # more streams would keep the recogniser busier than is good, or there are `max_streams`
    STOPPING = "stopping"  # this process is about to end; another one, or its successor, takes sessions
    LATE = "late"  # whatever was measured, finals wait too long right now


class Inside(Protocol):
    """The sessions that are in (`server.holding`)."""

    @property
    def streams(self) -> int:
        """Audio streams that are still being heard."""
        ...

    @property
    def live(self) -> int:
        """Sessions that take audio, or did so until a moment ago."""
        ...


class Admission:
    """See the module. One session is always taken, and one that a restart interrupted is never asked about."""

    def __init__(self, batcher: Batcher, inside: Inside, limits: Limits, metrics: Metrics) -> None:
        self._batcher = batcher
        self._inside = inside
        self._limits = limits
        self._metrics = metrics
        self._opening: list[int] = []  # streams of each session about to be inside
        self._closed = False

    def close(self) -> None:
        """Let nobody in any more."""
        self._closed = True

    @property
    def streams_carried(self) -> int:
        """Streams of live sessions that are let in."""
        return self._limits.max_streams or self._batcher.streams_carried

    @contextmanager
    def place(self, streams: int, *, inside: bool = False) -> Iterator[None]:
        """Hold a place for a session with so many streams, or for more streams of one that is inside, until they are.

        Raises `Overloaded`.
        """
        refusal = self._refusal(streams, inside=inside)
        if refusal is not None:
            self._metrics.sessions_refused.labels(reason=refusal).inc()
            soon = refusal in (Refusal.LATE, Refusal.STOPPING)
            raise Overloaded(retry_after_s=LATE_RETRY_S if soon else FULL_RETRY_S)
        self._opening.append(streams)
        try:
            yield
        finally:
            self._opening.remove(streams)

    def _refusal(self, streams: int, *, inside: bool) -> Refusal | None:
        if self._closed:
            return Refusal.STOPPING
        sessions = self._inside.live + len(self._opening) - inside
        if sessions == 0:
            return None
        if sessions >= self._limits.max_sessions and not inside:
            return Refusal.SESSIONS
        if not self._limits.max_streams and self._batcher.late:
            return Refusal.LATE
        total = self._inside.streams + sum(self._opening) + streams
        return Refusal.STREAMS if total > self.streams_carried else None
