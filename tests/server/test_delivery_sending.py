"""The outbox at work, on SQLite and on PostgreSQL, with real receivers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import anyio
import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, Engine, insert, update

from bench.receiver import Got, answering, hanging, in_turn, receiving
from server.computing import Computing
from server.deliveries.dialect import Message
from server.deliveries.sending import AT_ONCE_PER_TENANT, Deliveries
from server.domain import Callback, EncounterOptions, EncounterRow, EncounterView, Stage, State, StreamSpec
from server.errors import NotFound
from server.executors import Alone
from server.facades.auscult.callbacks import AuscultDialect
from server.metrics import Metrics
from server.outgoing import Outgoing
from server.store import deliveries as sql
from server.store import encounters as encounter_sql
from server.store import tables as t
from server.store.database import Reader, database_url, migrate, open_engine
from server.store.deliveries import DeliveryLine, Webhook
from server.store.seal import KeyRing
from server.store.writer import Writer

PATIENCE_S = 30
EXECUTOR = "one"


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "sqlite":
        yield from migrated("", tmp_path)
        return
    with request.getfixturevalue("cluster").database() as url:
        yield from migrated(url, tmp_path)


def migrated(url: str, folder: Path) -> Iterator[Engine]:
    engine = open_engine(database_url(url, folder))
    migrate(engine)
    yield engine
    engine.dispose()


class Stumbling(AuscultDialect):
    """One with a fault of ours."""

    name = "stumbling"

    def foreseen(self, view: EncounterView) -> EncounterView:
        return replace(view, summary="foreseen")

    def headers(self, secrets: Sequence[str], delivery: str, at: float, body: bytes) -> dict[str, str]:
        raise ZeroDivisionError

    def completed(self, view: EncounterView, extra: Mapping[str, str]) -> Message:
        return super().completed(view, extra)


@dataclass(slots=True, kw_only=True)
class Office:
    """An outbox, and what it stands on."""

    deliveries: Deliveries
    engine: Engine
    writer: Writer
    keyring: KeyRing
    clock: list[float]

    async def tenant(self, name: str, url: str, dialect: str = "auscult") -> None:
        def operation(connection: Connection) -> None:
            connection.execute(insert(t.tenants).values(id=name, name=name, created_at=0.0))
            sql.put_webhook(connection, self.keyring, name, dialect, Webhook(url=url, secrets=()), 0.0)

        await self.writer.write(operation)

    async def complete(self, tenant: str, callback: str = "") -> None:
        """An encounter that is done."""
        encounter = uuid4().hex[:24]
        seal, wrapped = self.keyring.new(encounter)
        row = done(encounter, tenant, wrapped)

        def operation(connection: Connection) -> None:
            encounter_sql.create(connection, row, None)
            if callback:
                sql.put_callback(connection, seal, encounter, "auscult", Callback(url=callback))
            self.deliveries.enqueue(connection, seal, EncounterView(row=row))

        await self.writer.write(operation)
        self.deliveries.wake()

    def lines(self) -> list[DeliveryLine]:
        with self.engine.connect() as connection:
            return sql.listing(connection, None, dead=False)

    async def until(self, so: Callable[[list[DeliveryLine]], bool]) -> list[DeliveryLine]:
        with anyio.fail_after(PATIENCE_S):
            while True:
                if so(lines := self.lines()):
                    return lines
                await anyio.sleep(0.02)  # the store is asked: nothing tells


def done(encounter: str, tenant: str, wrapped: bytes) -> EncounterRow:
    return EncounterRow(
        id=encounter, tenant_id=tenant, key_id="", token_id="", state=State.DONE, percentage=100, failure=None,
        options=EncounterOptions(api="recordings", streams=(StreamSpec(name="stream0"),)), warnings=(), epoch=1,
        stages={Stage.CREATED: 0.0, Stage.DONE: 1.0}, owner="", data_key=wrapped, last_key=None, resumptions=0,
        created_at=0.0, active_at=0.0, completed_at=1.0, fetched_at=None,
    )  # fmt: skip


@asynccontextmanager
async def office(engine: Engine, *, creeps: float = 0.0) -> AsyncIterator[Office]:
    """`creeps`: seconds by which the clock goes on each time it is read."""

    def now() -> float:
        clock[0] += creeps
        return clock[0]

    writer, keyring, clock = Writer(engine), KeyRing(bytes(32)), [1_000_000.0]
    deliveries = Deliveries(
        {each.name: each for each in (AuscultDialect(), Stumbling())},
        Outgoing(["127.0.0.1"]),
        keyring,
        Reader(engine),
        writer,
        Alone(EXECUTOR, lambda topic, about: None),
        Metrics(),
        now,
        Computing(),
    )
    async with anyio.create_task_group() as storing:
        storing.start_soon(writer.run)
        async with anyio.create_task_group() as working:
            await deliveries.inherit()
            working.start_soon(deliveries.run)
            yield Office(deliveries=deliveries, engine=engine, writer=writer, keyring=keyring, clock=clock)
            working.cancel_scope.cancel()
        storing.cancel_scope.cancel()


async def test_one_that_cannot_be_sent_ends_no_other(engine: Engine) -> None:
    async with receiving() as there, office(engine) as here:
        await here.tenant("a", there.url, "stumbling")
        await here.tenant("b", there.url)
        await here.complete("a", callback="http://exämple.org/")
        await here.complete("b")
        lines = await here.until(lambda lines: all(line.attempts for line in lines))
        assert {(line.dialect, line.tenant, line.state, line.error) for line in lines} == {
            ("stumbling", "a", "pending", "internal"),
            ("auscult", "a", "pending", "address_refused"),
            ("auscult", "b", "delivered", None),
        }


async def test_what_takes_long_is_worked_out_for_those_alone_who_will_be_told(engine: Engine) -> None:
    async with office(engine) as here:
        await here.tenant("a", "http://127.0.0.1/", "stumbling")
        await here.tenant("b", "http://127.0.0.1/")
        for tenant, summary in (("a", "foreseen"), ("b", None)):
            seal, wrapped = here.keyring.new("0" * 24)
            view = EncounterView(row=done("0" * 24, tenant, wrapped))
            assert (await here.deliveries.foresee(seal, view)).summary == summary


async def test_of_each_tenant_a_few_are_on_their_way_and_no_other_waits(engine: Engine) -> None:
    async with receiving(hanging) as stuck, receiving() as there, office(engine) as here:
        tenants = [f"stuck{number}" for number in range(7)]
        for tenant in tenants:
            await here.tenant(tenant, stuck.url)
        await here.tenant("quick", there.url)
        for tenant in tenants:
            for _ in range(AT_ONCE_PER_TENANT + 4):
                await here.complete(tenant)
        await stuck.until(len(tenants) * AT_ONCE_PER_TENANT)
        await here.complete("quick")
        with anyio.fail_after(5):  # long before one of the others is given up
            await there.until(1)
        assert len(stuck.got) == len(tenants) * AT_ONCE_PER_TENANT


async def test_a_claim_whose_end_could_not_be_stored_is_given_back(engine: Engine) -> None:
    async with receiving(answering(200)) as there, office(engine) as here:
        await here.tenant("a", there.url)
        here.clock[0] -= 100
        await here.complete("a")
        await here.until(lambda lines: lines[0].state == "delivered")
        lost = update(t.deliveries).values(state="pending", claimed_by=EXECUTOR, next_at=0.0)
        await here.writer.write(lambda connection: connection.execute(lost) and None)
        await here.writer.write(lambda connection: sql.give_back(connection, EXECUTOR, ()))
        here.deliveries.wake()
        await there.until(2)
    assert len({got.headers["webhook-id"] for got in there.got}) == 1


async def test_what_falls_due_while_it_is_looked_is_sent_at_once(engine: Engine) -> None:
    """A timer may end a little before the clock says so."""
    async with receiving(in_turn(answering(503), answering(200))) as there, office(engine, creeps=0.01) as here:
        await here.tenant("a", there.url)
        await here.complete("a")
        (line,) = await here.until(lambda lines: lines[0].attempts == 1)
        here.clock[0] = line.next_at - 0.015  # due at the second look of the clock from here
        here.deliveries.wake()
        with anyio.fail_after(5):
            await there.until(2)


async def test_every_attempt_of_a_delivery_is_listed(engine: Engine) -> None:
    async with receiving(in_turn(answering(503), closing, answering(200))) as there, office(engine) as here:
        await here.tenant("a", there.url)
        await here.complete("a")
        (line,) = await here.until(lambda lines: lines[0].attempts == 1)
        here.clock[0] = line.next_at
        here.deliveries.wake()
        (line,) = await here.until(lambda lines: lines[0].attempts == 2)
        here.clock[0] = line.next_at
        here.deliveries.wake()
        await here.until(lambda lines: lines[0].state == "delivered")
        with engine.connect() as connection:
            made = sql.attempts(connection, line.id)
            with pytest.raises(NotFound, match="--deliveries"):
                sql.attempts(connection, "unknown")
    assert [(each.number, each.status, each.error) for each in made] == [
        (1, 503, None),
        (2, None, "fetch_failed"),
        (3, 200, None),
    ]
    assert made[0].at < made[1].at < made[2].at == here.clock[0]
    assert all(each.duration_ms >= 0 for each in made)


async def closing(_: Got, writer: asyncio.StreamWriter) -> None:
    """Without an answer."""
    writer.close()


async def test_what_was_tried_while_the_clock_was_ahead_is_tried_again_when_it_is_right(
    engine: Engine,
) -> None:
    """And not again and again, until the time that it was at."""
    async with receiving(in_turn(answering(503), answering(503), answering(200))) as there, office(engine) as here:
        right = here.clock[0]
        await here.tenant("a", there.url)
        here.clock[0] = right + 6 * 3600
        await here.complete("a")
        await here.until(lambda lines: lines[0].attempts == 1)
        here.clock[0] = right
        here.deliveries.wake()
        (line,) = await here.until(lambda lines: lines[0].attempts == 2)
        assert right < line.next_at < right + 60
        claim = partial(sql.claim, executor="another", at=right, most=9, most_per_tenant=9)
        assert await here.writer.write(claim) == []
        here.clock[0] = line.next_at
        here.deliveries.wake()
        await here.until(lambda lines: lines[0].state == "delivered")


def test_one_from_the_future_is_due_and_one_that_waits_is_not(engine: Engine) -> None:
    values = {"tenant_id": "a", "dialect": "auscult", "event": "test", "state": "pending", "sealed": b""}
    with engine.begin() as connection:
        connection.execute(insert(t.tenants).values(id="a", name="a", created_at=0.0))
        for name, at in {"future": 100.0 + 6 * 3600, "waits": 110.0}.items():
            connection.execute(insert(t.deliveries).values(id=name, next_at=at, created_at=at, **values))
        claimed = sql.claim(connection, EXECUTOR, 100.0, most=9, most_per_tenant=4)
    assert [each.id for each in claimed] == ["future"]


def test_room_goes_to_who_has_the_least_of_it(engine: Engine) -> None:
    def due(tenant: str, number: int, *, claimed_by: str = "") -> dict[str, object]:
        values = {"id": f"{tenant}{number}", "tenant_id": tenant, "dialect": "auscult", "event": "test"}
        return {
            **values,
            "state": "pending",
            "next_at": float(number),
            "created_at": 0.0,
            "claimed_by": claimed_by,
            "sealed": b"",
        }

    rows = [due("busy", number, claimed_by="other" if number < 3 else "") for number in range(7)]
    rows += [due("idle", number) for number in range(10, 13)]
    with engine.begin() as connection:
        connection.execute(
            insert(t.tenants), [{"id": name, "name": name, "created_at": 0.0} for name in ("busy", "idle")]
        )
        connection.execute(insert(t.deliveries), rows)
        first = sql.claim(connection, EXECUTOR, 100.0, most=1, most_per_tenant=4)
        assert [each.id for each in first] == ["idle10"]
        more = sql.claim(connection, EXECUTOR, 100.0, most=9, most_per_tenant=4)
        assert sorted(each.id for each in more) == ["busy3", "idle11", "idle12"]
