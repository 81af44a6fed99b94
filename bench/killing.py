"""Processes that are killed at random moments, each whatever the others do just then, and started again."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from bench.postgresql import Cluster
from bench.server import RunningServer, ServerFailed

DATABASE_TURN = 10  # every so many kills the database is killed, too
STARTS = 3  # as often a process is started until it is up, as an operator's supervisor would


@dataclass(kw_only=True)
class Killer:
    """See the module."""

    cluster: Cluster | None  # whose processes are killed, too
    kills: int
    pause_s: float  # between a process's being back and its next kill, on average
    chance: random.Random
    killed: int = 0
    restarts: int = 0  # of the database
    failed_starts: int = 0  # of processes whose database went away under them
    seconds: float = 0.0  # that all of it took
    restarting: anyio.Lock = field(default_factory=anyio.Lock)  # held while the database is

    async def run(self, servers: Sequence[RunningServer]) -> None:
        """All the kills; in the end every process is back. Raises `ServerFailed`."""
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(self._pursue, server)
        self.seconds = time.monotonic() - began

    async def _pursue(self, server: RunningServer) -> None:
        while True:
            await anyio.sleep(self.chance.expovariate(1 / self.pause_s))
            if self.killed == self.kills:
                return
            self.killed += 1
            if self.cluster is not None and self.killed % DATABASE_TURN == DATABASE_TURN // 2:
                await self._restart(self.cluster)
            await server.kill()
            await self._start(server)

    async def _restart(self, cluster: Cluster) -> None:
        async with self.restarting:
            await anyio.to_thread.run_sync(cluster.stop)
            await anyio.to_thread.run_sync(cluster.start)
        self.restarts += 1

    async def _start(self, server: RunningServer) -> None:
        for left in reversed(range(STARTS)):
            try:
                await server.start()
                return
            except ServerFailed:
                if not left:
                    raise
                self.failed_starts += 1
                async with self.restarting:  # a supervisor would wait a little longer each time
                    pass
