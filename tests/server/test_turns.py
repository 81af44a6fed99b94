"""Who comes first is served first, under each name."""

import anyio
import pytest

from server.errors import TooManyAtOnce
from server.turns import Turns


async def test_turns_are_given_in_the_order_of_arrival_whatever_each_one_waits_for() -> None:
    turns, served = Turns(100), list[int]()

    async def visit(number: int) -> None:
        async with turns.turn("a"):
            for _ in range(number % 3):
                await anyio.lowlevel.checkpoint()
            served.append(number)

    async with anyio.create_task_group() as visitors:
        for number in range(50):
            visitors.start_soon(visit, number)
    assert served == list(range(50))
    assert len(turns) == 0


async def test_another_name_waits_for_nobody() -> None:
    turns = Turns(2)
    async with turns.turn("a"), turns.turn("b"):
        assert len(turns) == 2


async def test_a_line_has_a_longest_length_and_whoever_leaves_it_makes_room() -> None:
    turns = Turns(1)
    async with turns.turn("a"):
        with pytest.raises(TooManyAtOnce, match="send the next ones"):
            async with turns.turn("a"):
                pass
    async with turns.turn("a"):
        pass
    assert len(turns) == 0


async def test_who_gives_up_waiting_keeps_nobody_from_coming_next() -> None:
    turns, served = Turns(3), list[str]()

    async def visit(name: str) -> None:
        async with turns.turn("a"):
            served.append(name)

    impatient = anyio.CancelScope()

    async def give_up() -> None:
        with impatient:
            await visit("impatient")

    async with anyio.create_task_group() as visitors, turns.turn("a"):
        visitors.start_soon(give_up)
        await anyio.wait_all_tasks_blocked()
        visitors.start_soon(visit, "patient")
        await anyio.wait_all_tasks_blocked()
        impatient.cancel()
    assert served == ["patient"]
    assert len(turns) == 0
