"""One writer, committing in groups.

A disk flush takes milliseconds, so a commit per chunk would cap the server at a few hundred chunks a second. All
writes go through one task, which runs whatever has gathered while the last commit was flushing in one transaction.
A write is acknowledged after its commit; writes are done in the order in which they were handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import anyio
import anyio.to_thread
import structlog
from anyio.lowlevel import checkpoint
from sqlalchemy import Connection, Engine

from server.errors import ServerError, StoreUnavailable

T = TypeVar("T")

log = structlog.get_logger()

MAX_WAITING = 4096  # writes that may wait; beyond it the caller waits too, and so does its client
MAX_GROUP = 512  # writes in one transaction


@dataclass(slots=True, kw_only=True, eq=False)
class _Write(Generic[T]):
    operation: Callable[[Connection], T]
    done: anyio.Event = field(default_factory=anyio.Event)
    result: T | None = None
    error: Exception | None = None


class Writer:
    """Runs operations on the database, one group after the other."""

    def __init__(self, engine: Engine) -> None:
        self.groups = 0  # commits so far
        self.writes = 0  # operations so far
        self._engine = engine
        self._send, self._receive = anyio.create_memory_object_stream[_Write[object]](MAX_WAITING)
        self._thread = anyio.CapacityLimiter(1)

    async def write(self, operation: Callable[[Connection], T]) -> T:
        """Run `operation` in the next group; returns its result after the commit.

        Raises what the operation raised (its group's other operations are not touched), or `StoreUnavailable`.
        """
        write = _Write(operation=operation)
        try:
            await self._send.send(cast(_Write[object], write))
        except anyio.BrokenResourceError:  # the writer has ended: the server is stopping
            raise StoreUnavailable from None
        with anyio.CancelScope(shield=True):  # a write once handed in is done, whoever is still waiting for it
            await write.done.wait()
        if write.error is not None:
            raise write.error
        return cast(T, write.result)

    async def run(self) -> None:
        """Serve until cancelled; what was handed in before is still written."""
        try:
            async for first in self._receive:
                await checkpoint()  # whoever is ready to write in this turn of the loop joins the group
                await self._commit([first, *self._gathered()])
        finally:
            with anyio.CancelScope(shield=True):
                while group := self._gathered():
                    await self._commit(group)
            self._receive.close()

    def _gathered(self) -> list[_Write[object]]:
        group: list[_Write[object]] = []
        while len(group) < MAX_GROUP:
            try:
                group.append(self._receive.receive_nowait())
            except (anyio.WouldBlock, anyio.EndOfStream):
                break
        return group

    async def _commit(self, group: Sequence[_Write[object]]) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._transact, group, limiter=self._thread)
        self.groups += 1
        self.writes += len(group)
        for write in group:
            write.done.set()

    def _transact(self, group: Sequence[_Write[object]]) -> None:
        """All in one transaction; where that fails, each in its own, so that only the guilty one fails."""
        try:
            with self._engine.begin() as connection:
                for write in group:
                    self._run(write, connection)
        except Exception as exc:  # the group is rolled back; find out whose fault it was
            log.error("store.failed", writes=len(group), exc_info=exc)
            for write in group:
                self._transact_alone(write)

    def _transact_alone(self, write: _Write[object]) -> None:
        try:
            with self._engine.begin() as connection:
                self._run(write, connection)
        except Exception as exc:  # every other write still gets its turn
            write.error = StoreUnavailable()
            write.error.__cause__ = exc

    @staticmethod
    def _run(write: _Write[object], connection: Connection) -> None:
        """Our own errors are raised by operations before they change anything, so the group can go on."""
        write.error = None
        try:
            write.result = write.operation(connection)
        except ServerError as exc:
            write.error = exc
