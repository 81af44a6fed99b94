"""Cumulative acknowledgements of one connection: told when everything they cover is on the disk."""

from collections.abc import Awaitable, Callable

import anyio


class Acknowledgements:
    """While one commit is flushed, chunks gather for the next."""

    def __init__(
        self,
        reached: Callable[[], int],
        commit: Callable[[], Awaitable[None]],
        tell: Callable[[int], Awaitable[None]],
        *,
        told: int = 0,
    ) -> None:
        """`reached` says how far chunks were heard; `commit` returns when all heard before are on the disk."""
        self._reached = reached
        self._commit = commit
        self._tell = tell
        self._told = told  # how far was acknowledged
        self._arrived = anyio.Event()
        self._settling = anyio.Lock()

    def arrived(self) -> None:
        """A chunk was heard."""
        self._arrived.set()

    async def run(self) -> None:
        """Acknowledge until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            await self.settle()

    async def settle(self) -> None:
        """Commit what was heard so far and acknowledge it."""
        async with self._settling:
            reached = self._reached()
            if reached > self._told:
                await self._commit()
                self._told = reached
                await self._tell(reached)
