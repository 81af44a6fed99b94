"""One at a time under each name, in the order in which they came."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

from server.errors import TooManyAtOnce


@dataclass(slots=True, eq=False)
class _Line:
    present: int = 0  # whoever has its turn, and those who wait
    turn: anyio.Lock = field(default_factory=anyio.Lock)  # given on in the order in which it was asked for


class Turns:
    """Lines of those who want the same thing. A line that nobody stands in is forgotten."""

    def __init__(self, longest: int) -> None:
        self._longest = longest  # how many may stand in one line
        self._lines: dict[Hashable, _Line] = {}

    def __len__(self) -> int:
        return len(self._lines)

    @asynccontextmanager
    async def turn(self, name: Hashable) -> AsyncIterator[None]:
        """Wait for all who came before under this name; a place is taken at once. Raises `TooManyAtOnce`."""
        line = self._lines.setdefault(name, _Line())
        if line.present >= self._longest:
            raise TooManyAtOnce
        line.present += 1
        try:
            async with line.turn:
                yield
        finally:
            line.present -= 1
            if not line.present:
                del self._lines[name]
