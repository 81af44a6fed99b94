"""Which connection feeds which stream of an encounter: the newest one."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Attendance:
    """A connection that feeds streams of an encounter, until it ends or a newer one takes its place."""

    streams: tuple[int, ...]
    displaced: anyio.Event = field(default_factory=anyio.Event)  # a newer connection feeds one of them


class Attendances:
    """Those of one encounter; true while there are any."""

    def __init__(self) -> None:
        self._feeding: dict[int, Attendance] = {}  # by stream

    @contextmanager
    def attend(self, *streams: int) -> Iterator[Attendance]:
        """A connection feeds these streams while the block lasts; one that did so before is displaced."""
        attendance = Attendance(streams=streams)
        for stream in streams:
            if (former := self._feeding.get(stream)) is not None:
                former.displaced.set()
            self._feeding[stream] = attendance
        try:
            yield attendance
        finally:
            for stream in streams:
                if self._feeding.get(stream) is attendance:
                    del self._feeding[stream]

    def __bool__(self) -> bool:
        return bool(self._feeding)
