"""What tests of the ways in share."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator

import aioice.ice
import pytest


@pytest.fixture
async def nothing_left(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Clients are on loopback, which aioice leaves out; and after the test no thread, task or file is left."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    before = (_threads(), _files())
    yield
    for _ in range(20):  # what aiortc has cancelled ends in the next rounds of the loop
        await asyncio.sleep(0)
    await asyncio.get_running_loop().shutdown_default_executor()  # in which clients encode
    assert [task.get_coro() for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert (_threads(), _files()) == before


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"), key=int)
