"""Cumulative acknowledgements: never beyond what is on the disk."""

import anyio

from server.ingest.acknowledging import Acknowledgements


class Log:
    """A disk that takes its time."""

    def __init__(self) -> None:
        self.heard = 0
        self.durable = 0
        self.told: list[int] = []
        self.flushing, self.flushed = anyio.Event(), anyio.Event()
        self.acknowledgements = Acknowledgements(lambda: self.heard, self.commit, self.tell)

    async def commit(self) -> None:
        reached = self.heard
        self.flushing.set()
        await self.flushed.wait()
        self.durable = reached

    async def tell(self, number: int) -> None:
        assert number <= self.durable
        self.told.append(number)


async def test_chunks_that_come_during_a_commit_are_acknowledged_by_the_next_one() -> None:
    log = Log()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log.acknowledgements.run)
        log.heard = 3
        log.acknowledgements.arrived()
        await log.flushing.wait()
        log.heard = 5
        log.acknowledgements.arrived()
        log.flushed.set()
        await log.acknowledgements.settle()
        tasks.cancel_scope.cancel()
    assert log.told == [3, 5]


async def test_what_was_acknowledged_is_not_told_again() -> None:
    log = Log()
    log.flushed.set()
    log.heard = 2
    await log.acknowledgements.settle()
    await log.acknowledgements.settle()
    assert log.told == [2]
