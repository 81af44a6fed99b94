"""`auscult-bench polls`: whether one core answers so many status polls a second, and how soon."""

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import anyio
import httpx
import msgspec

from bench.polls import Poll, polling
from bench.recordings import Recording
from bench.resources import Meter
from bench.score import Spread
from bench.server import RunningServer, running_server

MS = 20.0  # p99
ON_TIME = 0.99  # of those that were to be asked: the rest are still under way when time is up
WARM_S = 2.0  # not counted


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured."""

    per_s: float  # asked
    answered_per_s: float
    ms: Spread  # from the moment when each was due
    cores: float  # used by the server, which had one
    answer_bytes: int  # of each

    @property
    def held(self) -> bool:
        """Whether it is as it is to be."""
        return self.ms.p99 < MS and self.answered_per_s >= ON_TIME * self.per_s


async def measure(*, per_s: float, seconds: float) -> Report:
    """Poll one recording that is done, with all that was said in it. Raises `ServerFailed`, `ConnectionError`."""
    polls: list[Poll] = []
    async with _pinned_server() as server:
        headers = {"Authorization": f"Bearer {server.key}"}
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers, trust_env=False, timeout=60) as http:
            path, size = await _done(http)
        async with anyio.create_task_group() as asking:
            asking.start_soon(polling, server, path, per_s, polls)
            await anyio.sleep(WARM_S)
            warm, meter = len(polls), Meter(server)
            await anyio.sleep(seconds)
            counted = polls[warm:]
            meter.sample()
            asking.cancel_scope.cancel()
    ms = Spread.of([poll.ms for poll in counted])
    assert ms is not None, "nothing was answered"
    return Report(
        per_s=per_s,
        answered_per_s=round(len(counted) / seconds, 1),
        ms=ms,
        cores=round(meter.cpu_s / seconds, 3),
        answer_bytes=size,
    )


async def _done(http: httpx.AsyncClient) -> tuple[str, int]:
    """A recording's address once it is done, and how long its answers are."""
    file = Recording.load("headache").mono_path.read_bytes()
    answer = (await http.post("/api/recordings", files={"audio": ("a", file)})).raise_for_status()
    path = str(answer.json()["status_url"])
    while True:
        shown = (await http.get(path)).raise_for_status()
        if shown.json()["status"] == "done":
            return path, len(shown.content)
        await anyio.sleep(0.05)  # as a client polls


@asynccontextmanager
async def _pinned_server() -> AsyncIterator[RunningServer]:
    """On one core, and this process on the others, if there are some."""
    cores = sorted(os.sched_getaffinity(0))
    one, others = cores[:1], cores[1:] or cores
    _pin(one)  # every thread of a child begins with what its parent has
    try:
        async with running_server(recogniser="scripted") as server:
            _pin(others)
            yield server
    finally:
        _pin(cores)


def _pin(cores: Collection[int]) -> None:
    for thread in os.listdir("/proc/self/task"):
        os.sched_setaffinity(int(thread), cores)
