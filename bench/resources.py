"""What a server costs while it is measured: processor time and memory of its processes, and the disk it writes to."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import psutil

SAMPLE_S = 0.25
FLUSH_S = 0.5  # between two flushes: rare enough not to be a load of its own
FLUSHED = b"\0" * 4096  # a page, as SQLite writes them


class Measured(Protocol):
    """What has processes."""

    def family(self) -> Sequence[psutil.Process]:
        """Its own process and those it started, as of now."""
        ...


class Meter:
    """Adds up over a server and every process it has started since the meter was made."""

    def __init__(self, server: Measured) -> None:
        self.trace: list[tuple[float, int]] = []  # monotonic time and resident bytes of each sample
        self.peak_rss = 0  # bytes; pages that processes share are counted for each
        self._server = server
        self._cpu_s: dict[psutil.Process, float] = {}
        self.sample()
        self._before_s = sum(self._cpu_s.values())

    def sample(self) -> None:
        """Take note of what is used now. What a process used between its last sample and its end is missed."""
        rss = 0
        for process in self._server.family():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    rss += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            self._cpu_s[process] = times.user + times.system
        self.trace.append((time.monotonic(), rss))
        self.peak_rss = max(self.peak_rss, rss)

    @property
    def cpu_s(self) -> float:
        """Processor seconds used from the making of the meter to its last sample."""
        return sum(self._cpu_s.values()) - self._before_s

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            self.sample()
            await anyio.sleep(SAMPLE_S)


async def watch_flushes(directory: Path, seconds: list[float]) -> None:
    """Until cancelled: measure how long the disk takes to flush a page written to a file in `directory`."""
    while True:
        seconds.append(await anyio.to_thread.run_sync(_flush, directory / "flush-probe"))
        await anyio.sleep(FLUSH_S)


def _flush(path: Path) -> float:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, FLUSHED)
        begun = time.perf_counter()
        os.fdatasync(descriptor)
        return time.perf_counter() - begun
    finally:
        os.close(descriptor)
