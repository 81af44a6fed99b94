"""Recordings out of their line: taken as soon as this process has room, fairly among tenants."""

from functools import partial
from typing import Protocol

import anyio
import structlog

from pipeline.errors import AuscultError
from server.executors import Executors
from server.fairness import chosen
from server.store import recordings as sql
from server.store.database import Reader
from server.store.writer import Writer

log = structlog.get_logger()

LOOK_AGAIN_S = 10.0  # what another process tells is told at most once


class RecordingJobs(Protocol):
    """Durable work (`server.jobs`)."""

    async def start_recording(self, encounter: str) -> None:
        """See that the recording's steps are all done, whatever dies. Harmless when called again."""
        ...


class Dispatcher:
    """See the module. One per process that does jobs."""

    def __init__(
        self, reader: Reader, writer: Writer, executors: Executors, *, workers: int, most_per_tenant: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._executors = executors
        self._workers = workers
        self._most_per_tenant = most_per_tenant
        self.waiting = 0  # recordings in line when it was last looked at
        self._working: set[str] = set()
        self._changed = anyio.Event()  # somebody joined the line, or there is room

    @property
    def working(self) -> int:
        """Recordings in work in this process."""
        return len(self._working)

    def wake(self) -> None:
        """A recording joined the line."""
        self._changed.set()

    def began(self, encounter: str) -> None:
        """A job is at work on it: one from the line, or one that another process had."""
        self._working.add(encounter)

    def ended(self, encounter: str) -> None:
        """The job is over."""
        self._working.discard(encounter)
        self._changed.set()

    async def run(self, jobs: RecordingJobs) -> None:
        """Take recordings until cancelled."""
        while True:
            self._changed = anyio.Event()
            try:
                while len(self._working) < self._workers and await self._take(jobs):
                    pass
            except AuscultError as exc:  # the database is away
                log.warning("recordings.not_dispatched", code=exc.code)
            with anyio.move_on_after(LOOK_AGAIN_S):
                await self._changed.wait()

    async def _take(self, jobs: RecordingJobs) -> bool:
        """Take one; False where there is none for this process."""
        waiting = await self._reader.read(sql.waiting)
        self.waiting = len(waiting)
        if not waiting:
            return False
        working = await self._reader.read(sql.working)
        taken = chosen(waiting, working, most_per_tenant=self._most_per_tenant)
        if taken is None:
            return False
        claim = partial(sql.claim, encounter=taken.encounter, owner=self._executors.me.id)
        if await self._writer.write(claim):
            self._working.add(taken.encounter)
            try:
                await jobs.start_recording(taken.encounter)
            except AuscultError:  # it is this process's all the same: tending starts it
                self._working.discard(taken.encounter)
                raise
        return True
