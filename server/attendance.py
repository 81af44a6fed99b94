"""Which connection feeds which stream of an encounter: the newest one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attendance:
    """A connection that feeds streams of an encounter, until it ends or a newer one takes its place."""

    streams: tuple[int, ...]
    displaced: anyio.Event = field(default_factory=anyio.Event)  # a newer connection fed one of them, then or later
    lost: set[int] = field(default_factory=set)  # of the streams: those that a newer connection fed

    @property
    def kept(self) -> tuple[int, ...]:
        """The streams that nobody else has fed since."""
        return tuple(stream for stream in self.streams if stream not in self.lost)


class Attendances:
    """Those of one encounter; true while there are any."""

    def __init__(self) -> None:
        self._feeding: dict[int, Attendance] = {}  # by stream
        self._newest: dict[int, Attendance] = {}  # by stream: who feeds it, or fed it last

    @contextmanager
    def attend(self, *streams: int) -> Iterator[Attendance]:
        """A connection feeds these streams while the block lasts; one that did so before is displaced.

        Also one that has ended: whatever it still wants to say of the stream is no longer its business.
        """
        attendance = Attendance(streams=streams)
        for stream in streams:
            if (former := self._newest.get(stream)) is not None:
                former.lost.add(stream)
                former.displaced.set()
            self._newest[stream] = self._feeding[stream] = attendance
        try:
            yield attendance
        finally:
            for stream in streams:
                if self._feeding.get(stream) is attendance:
                    del self._feeding[stream]

    def __bool__(self) -> bool:
        return bool(self._feeding)
