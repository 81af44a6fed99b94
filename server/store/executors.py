"""The processes that share a database, as SQL. Whether one lives is told by its advisory lock (PostgreSQL).

The lock belongs to a connection that a process keeps for that alone. PostgreSQL frees it when the process dies, and
within seconds when its machine does (`KEEPALIVE`).
"""

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, text, update

from server.domain import State
from server.store import tables as t

LOCKS = int.from_bytes(b"ausc")  # the class of our locks among the advisory locks of the database

_ALIVE = text(
    "SELECT objid::bigint AS number FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2"
    f" AND classid::bigint = {LOCKS} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Executor(msgspec.Struct, frozen=True, kw_only=True):
    """One process."""

    id: str
    number: int  # of its lock
    role: str
    address: str  # base URL at which the others reach it


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Who is there."""

    alive: tuple[Executor, ...]
    dead: tuple[Executor, ...]


def register(connection: Connection, executor: Executor, at: float) -> None:
    """Be known to the others; also again, where they took this process for dead."""
    connection.execute(delete(t.executors).where(t.executors.c.id == executor.id))
    connection.execute(insert(t.executors).values(**msgspec.structs.asdict(executor), started_at=at))


def census(connection: Connection) -> Census:
    """Everyone who is known, by whether they live."""
    living = {int(row.number) for row in connection.execute(_ALIVE)}
    c = t.executors.c
    known = [
        Executor(id=row.id, number=row.number, role=row.role, address=row.address)
        for row in connection.execute(select(c.id, c.number, c.role, c.address))
    ]
    return Census(
        alive=tuple(each for each in known if each.number in living),
        dead=tuple(each for each in known if each.number not in living),
    )


def bury(connection: Connection, executor: Executor) -> int | None:
    """Take from a dead process what it held; returns how many encounters. None: it lives, or another one buries it."""
    lock = select(func.pg_try_advisory_xact_lock(LOCKS, executor.number))
    if not connection.execute(lock).scalar():
        return None
    done = disown(connection, executor.id)
    claims = update(t.deliveries).where(t.deliveries.c.claimed_by == executor.id).values(claimed_by="")
    connection.execute(claims)
    connection.execute(delete(t.executors).where(t.executors.c.id == executor.id))
    return done


def disown(connection: Connection, executor: str) -> int:
    """Nobody holds what this process held; returns how many encounters that were."""
    c = t.encounters.c
    mine = [c.owner == executor, c.state.in_([State.LIVE, State.CLOSING, State.WORKING])]
    return connection.execute(update(t.encounters).where(*mine).values(owner="")).rowcount


def leave(connection: Connection, executor: str) -> None:
    """This process is about to end: what it holds is anybody's."""
    disown(connection, executor)
    connection.execute(delete(t.executors).where(t.executors.c.id == executor))
