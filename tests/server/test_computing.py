"""The threads in which notes are worked on."""

import anyio
import anyio.from_thread
import anyio.to_thread

from server.computing import AT_ONCE, Computing


async def test_only_so_many_compute_at_once_and_no_other_thread_waits_for_them() -> None:
    computing, begun, most, free = Computing(), 0, 0, anyio.Event()

    def call(number: int) -> int:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        anyio.from_thread.run(free.wait)
        begun -= 1
        return number

    done: list[int] = []

    async def one(number: int) -> None:
        done.append(await computing.run(call, number))

    async with anyio.create_task_group() as tasks:
        for number in range(10 * AT_ONCE):
            tasks.start_soon(one, number)
        await anyio.wait_all_tasks_blocked()
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
        free.set()
    assert sorted(done) == list(range(10 * AT_ONCE))
    assert most <= AT_ONCE
