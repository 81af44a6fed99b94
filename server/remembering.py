"""What was looked up in the database, remembered for a moment, so that a stream of requests costs no look-ups."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import anyio
from sqlalchemy import Connection

from server.store.database import Reader

T = TypeVar("T")

REMEMBERED_S = 5.0  # what an operator changes is in force at most this much later
REMEMBERED = 1024  # names


@dataclass(slots=True, eq=False)
class _Line:
    """Those who ask for one name while it is looked up."""

    present: int = 0
    turn: anyio.Lock = field(default_factory=anyio.Lock)
    failures: int = 0  # look-ups that brought nothing
    error: Exception | None = None  # the last of them


class Remembered(Generic[T]):
    """Values by name. Those who ask at the same time get the same answer, in the order in which they came: none
    overtakes another.
    """

    def __init__(self, reader: Reader, steady: Callable[[], float]) -> None:
        """`steady`: seconds of a clock that never goes back, or what was revoked would be known for as long again."""
        self._reader = reader
        self._steady = steady
        self._known: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._lines: dict[str, _Line] = {}

    async def get(self, name: str, find: Callable[[Connection], T]) -> T:
        """The value as remembered under `name`, or as found. Raises what `find` raises, or `StoreUnavailable`."""
        if name not in self._lines and (known := self._remembered(name)) is not None:
            return known[1]
        line = self._lines.setdefault(name, _Line())
        line.present += 1
        try:
            return await self._in_line(line, name, find)
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[name]

    async def _in_line(self, line: _Line, name: str, find: Callable[[Connection], T]) -> T:
        before = line.failures
        async with line.turn:
            if (known := self._remembered(name)) is not None:
                return known[1]
            if line.failures > before and line.error is not None:
                raise line.error
            try:
                found = await self._reader.read(find)
            except Exception as exc:
                self._known.pop(name, None)
                line.failures, line.error = line.failures + 1, exc
                raise
            self._remember(name, found)
            return found

    def _remembered(self, name: str) -> tuple[float, T] | None:
        known = self._known.get(name)
        return known if known is not None and self._steady() < known[0] else None

    def _remember(self, name: str, found: T) -> None:
        self._known[name] = (self._steady() + REMEMBERED_S, found)
        self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
