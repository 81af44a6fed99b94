from collections.abc import Callable

import anyio
from sqlalchemy import Connection, Engine, insert, select

from server.errors import NotFound, StoreUnavailable
from server.store import tables as t
from server.store.writer import Writer


def adding(name: str) -> Callable[[Connection], str]:
    def operation(connection: Connection) -> str:
        connection.execute(insert(t.tenants).values(id=name, name=name, created_at=0.0))
        return name

    return operation


def stored(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return {row.id for row in connection.execute(select(t.tenants.c.id))}


async def write_all(writer: Writer, operations: list[Callable[[Connection], str]]) -> list[str | Exception]:
    """What each operation returned or raised, written concurrently."""
    told: dict[int, str | Exception] = {}

    async def one(index: int) -> None:
        try:
            told[index] = await writer.write(operations[index])
        except Exception as exc:
            told[index] = exc

    async with anyio.create_task_group() as owner:
        owner.start_soon(writer.run)
        async with anyio.create_task_group() as clients:
            for index in range(len(operations)):
                clients.start_soon(one, index)
        owner.cancel_scope.cancel()
    return [told[index] for index in range(len(operations))]


async def test_writes_that_come_together_share_a_commit(engine: Engine) -> None:
    writer = Writer(engine)
    names = [f"t{n}" for n in range(100)]
    assert await write_all(writer, [adding(name) for name in names]) == names
    assert stored(engine) == set(names)
    assert writer.groups < 10


async def test_a_refusal_of_ours_touches_no_other_write(engine: Engine) -> None:
    def refusing(connection: Connection) -> str:
        raise NotFound

    told = await write_all(Writer(engine), [adding("a"), refusing, adding("b")])
    assert told[0] == "a"
    assert isinstance(told[1], NotFound)
    assert stored(engine) == {"a", "b"}


async def test_a_write_that_breaks_the_database_fails_alone(engine: Engine) -> None:
    told = await write_all(Writer(engine), [adding("a"), adding("a"), adding("b")])
    assert isinstance(told[1], StoreUnavailable)
    assert stored(engine) == {"a", "b"}


async def test_what_was_handed_in_is_written_although_its_caller_left(engine: Engine) -> None:
    writer = Writer(engine)
    async with anyio.create_task_group() as owner:
        async with anyio.create_task_group() as caller:
            caller.start_soon(writer.write, adding("a"))
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            owner.start_soon(writer.run)
            caller.cancel_scope.cancel()
        owner.cancel_scope.cancel()
    assert stored(engine) == {"a"}
