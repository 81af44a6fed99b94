"""Nothing stays behind: what a server and a test hold before and after, by kind.

@pytest.fixture(autouse=True)
def nothing_stays(scripted_server: RunningServer) -> Iterator[None]:
    with nothing_left_in(scripted_server):
        yield

In tests whose own process speaks WebRTC, around everything: `async with nothing_left_here(): ...`.
"""

import asyncio
import os
import re
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx

from bench.server import RunningServer
from server.ops import POOLED

POLL_S = 0.1  # another process: there is no event to wait for
POLLS = 300  # 30 s on a busy machine: connections that say farewell, jobs that complete what was closed
# Gauges of what belongs to somebody; those that this server does not have are left out.
GAUGES = re.compile(r"^(auscult_(?:tasks|threads|sessions|streams|peers|followers)) (\S+)$", re.MULTILINE)
LOOPS_OWN = re.compile(
    r"\[(?:eventpoll|eventfd|io_uring|signalfd)\]|\.db(?:-\w+)?$"
)  # and databases' pools of connections


def held_by(server: RunningServer) -> Counter[str]:
    """Tasks, threads, sessions and peers as the server counts them, and its descriptors by kind."""
    held = _descriptors(server.process.pid)  # before we hold a connection ourselves
    ours = {"Authorization": f"Bearer {server.key}", "Connection": "close"}
    scraped = httpx.get(f"{server.base_url}/metrics", headers=ours, trust_env=False).raise_for_status().text
    return held + Counter({name: int(float(value)) for name, value in GAUGES.findall(scraped)})


def held_here() -> Counter[str]:
    """Threads and descriptors of this process, and tasks of the running event loop."""
    named = (thread.name for thread in threading.enumerate())
    held = Counter(f"thread {name}" for name in named if not name.startswith(POOLED))
    others = asyncio.all_tasks() - {asyncio.current_task()}
    held.update(f"task {getattr(task.get_coro(), '__qualname__', 'unnamed')}" for task in others)
    return held + _descriptors(os.getpid())


@contextmanager
def nothing_left_in(server: RunningServer, polls: int = POLLS) -> Iterator[None]:
    """Whatever the server takes up for this block it has given back soon after."""
    before = held_by(server)
    yield
    for _ in range(polls):
        if not (left := held_by(server) - before):
            return
        time.sleep(POLL_S)
    raise AssertionError(f"left in the server: {_told(left)}")


@asynccontextmanager
async def nothing_left_here(polls: int = POLLS) -> AsyncIterator[None]:
    """Whatever this process takes up for this block it has given back soon after."""
    before = held_here()
    yield
    for _ in range(polls):
        if not (left := held_here() - before):
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"left in the test's process: {_told(left)}")


def _descriptors(pid: int) -> Counter[str]:
    """Open descriptors by what they are: sockets, pipes, and each file by its path."""
    kinds: Counter[str] = Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile; the listing's own among them
            target = str(link.readlink())
            if not LOOPS_OWN.search(target):
                kinds[re.sub(r":\[\d+\]$", "", target)] += 1
    return kinds


def _told(left: Counter[str]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(left.items()))
