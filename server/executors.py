"""This process among those that share the database: known to the others, told what they do, and their heir.

On PostgreSQL a process keeps one direct connection: it holds the lock that says it lives, and hears what the others
tell (LISTEN). SQLite serves one process, so `Alone` has nobody to hear or to inherit from.
"""

import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias

import anyio
import structlog
from psycopg import AsyncConnection
from psycopg import Error as PostgresError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url

from pipeline.errors import AuscultError
from server.metrics import Metrics
from server.store import executors as sql
from server.store.database import Reader
from server.store.executors import Executor
from server.store.writer import Writer

log = structlog.get_logger()

CHANNEL = "auscult"
RECONNECT_S = 0.3
LOOK_S = 0.5  # between two looks at who lives; who is missing in two of them is dead
GRACE_S = 2.5  # after the database was away: the others have to come back, too
KNOWN_S = 0.3  # for which the last census is believed where a request asks who holds its encounter
KEEPALIVE = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 3"

ENDED, ERASED, QUEUED, DELIVER, ORPHANS = "ended", "erased", "queued", "deliver", "orphans"  # topics

Heard: TypeAlias = Callable[[str, str], None]
"""What is called with what others tell: the topic, and the id it is about."""


class HeldElsewhere(Exception):
    """Another process holds the encounter, and lives: the request is for that one (`server.forwarding`)."""

    def __init__(self, executor: Executor) -> None:
        super().__init__("the request is forwarded")
        self.executor = executor


class Executors(Protocol):
    """See the module."""

    @property
    def me(self) -> Executor:
        """This process."""
        ...

    async def other(self, executor: str) -> Executor | None:
        """Another process that lives; None where it is dead, unknown, nobody, or this one."""
        ...

    async def numbered(self, number: int) -> Executor | None:
        """See `other`, by its number."""
        ...

    async def living(self) -> frozenset[str]:
        """The ids of all processes that live. Raises `StoreUnavailable`."""
        ...

    async def tell(self, topic: str, about: str) -> None:
        """Tell every process, this one too: at most once, so whoever must not miss it looks now and then as well."""
        ...

    def gone(self, executor: str) -> None:
        """It did not answer: for a moment it counts as dead, whatever the database says."""
        ...


class Alone:
    """The only process of a data directory."""

    def __init__(self, name: str, heard: Heard) -> None:
        self.me = Executor(id=name, number=0, role="all", address="")
        self._heard = heard

    async def other(self, executor: str) -> Executor | None:
        """See `Executors`."""
        return None

    async def numbered(self, number: int) -> Executor | None:
        """See `Executors`."""
        return None

    async def living(self) -> frozenset[str]:
        """See `Executors`."""
        return frozenset({self.me.id})

    async def tell(self, topic: str, about: str) -> None:
        """See `Executors`."""
        self._heard(topic, about)

    def gone(self, executor: str) -> None:
        """See `Executors`."""


class Company:
    """One of several processes on PostgreSQL."""

    def __init__(
        self,
        engine: Engine,
        reader: Reader,
        writer: Writer,
        metrics: Metrics,
        *,
        role: str,
        address: str,
        heard: Heard,
        now: Callable[[], float],
    ) -> None:
        name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.me = Executor(id=name, number=secrets.randbits(31), role=role, address=address)
        self.joined = anyio.Event()  # the lock is held for the first time
        self._url = make_url(engine.url).set(drivername="postgresql").render_as_string(hide_password=False)
        self._reader = reader
        self._writer = writer
        self._metrics = metrics
        self._heard = heard
        self._now = now
        self._since: float | None = None  # when the connection was made; None while there is none
        self._census = sql.Census(alive=(), dead=())
        self._looked = -KNOWN_S
        self._gone: dict[str, float] = {}
        self._orphans = False  # a process left, and what it held is anybody's

    async def other(self, executor: str) -> Executor | None:
        """See `Executors`. Raises `StoreUnavailable`."""
        if executor in ("", self.me.id) or self._gone.get(executor, 0.0) > anyio.current_time():
            return None
        return next((each for each in await self._alive() if each.id == executor), None)

    async def numbered(self, number: int) -> Executor | None:
        """See `Executors`. Raises `StoreUnavailable`."""
        found = next((each for each in await self._alive() if each.number == number), None)
        return None if found is None else await self.other(found.id)

    async def living(self) -> frozenset[str]:
        """See `Executors`."""
        return frozenset({self.me.id, *(each.id for each in (await self._look()).alive)})

    async def tell(self, topic: str, about: str) -> None:
        """See `Executors`. Raises `StoreUnavailable`."""
        self._heard(topic, about)
        await self._writer.write(partial(_notify, said=f"{topic} {about}"))

    def gone(self, executor: str) -> None:
        """See `Executors`."""
        self._gone = {known: until for known, until in self._gone.items() if until > anyio.current_time()}
        self._gone[executor] = anyio.current_time() + GRACE_S

    async def run(self) -> None:
        """Hold the lock and hear the others, until cancelled."""
        while True:
            try:
                await self._attend()
            except (PostgresError, AuscultError) as exc:
                if self._since is not None:
                    log.warning("executor.cut_off", type=type(exc).__name__)
                self._since = None
            await anyio.sleep(RECONNECT_S)  # the database is away

    async def _attend(self) -> None:
        async with await AsyncConnection.connect(self._url, autocommit=True, connect_timeout=5) as connection:
            for statement in KEEPALIVE.split(";"):
                await connection.execute(statement.encode())
            await connection.execute("SELECT pg_advisory_lock(%s, %s)", (sql.LOCKS, self.me.number))
            await self._writer.write(partial(sql.register, executor=self.me, at=self._now()))
            await connection.execute(f"LISTEN {CHANNEL}".encode())
            self._since = anyio.current_time()
            self.joined.set()
            async for notice in connection.notifies():
                topic, _, about = notice.payload.partition(" ")
                self._orphans |= topic == ORPHANS and about != self.me.id
                self._heard(topic, about)

    async def inherit(self, heir: Callable[[], Awaitable[None]]) -> None:
        """See who dies, and take from them what they held; then `heir` is to see to it. Until cancelled."""
        missing: set[str] = set()
        while True:
            await anyio.sleep(LOOK_S)  # nothing tells that a process has died, but that its lock is free
            if self._since is None or anyio.current_time() - self._since < GRACE_S:
                missing.clear()
                continue
            try:
                dead = (await self._look()).dead
                buried = [await self._bury(each) for each in dead if each.id in missing]
                if any(buried) or self._orphans:
                    self._orphans = False
                    await heir()
            except AuscultError as exc:  # the database is away: the next look tells
                log.warning("executor.cannot_look", code=exc.code)
                continue
            missing = {each.id for each in dead if each.id != self.me.id}

    async def leave(self) -> None:
        """What this process still holds is anybody's from now on."""
        try:
            await self._writer.write(partial(sql.leave, executor=self.me.id))
            await self.tell(ORPHANS, self.me.id)
        except AuscultError as exc:  # the database is away: the others find this process dead
            log.warning("executor.left_without_a_word", code=exc.code)

    async def _alive(self) -> Sequence[Executor]:
        if anyio.current_time() - self._looked > KNOWN_S:
            await self._look()
        return self._census.alive

    async def _look(self) -> sql.Census:
        self._census = await self._reader.read(sql.census)
        self._looked = anyio.current_time()
        return self._census

    async def _bury(self, dead: Executor) -> bool:
        encounters = await self._writer.write(partial(sql.bury, executor=dead))
        if encounters is None:
            return False
        self._metrics.executors_buried.inc()
        log.warning("executor.died", executor=dead.id, role=dead.role, encounters=encounters)
        return True


def _notify(connection: Connection, said: str) -> None:
    connection.execute(text("SELECT pg_notify(:channel, :said)"), {"channel": CHANNEL, "said": said})
