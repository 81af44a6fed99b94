"""What is known of patients: sealed, by tenant, forgotten in time."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
import msgspec
import pytest
from sqlalchemy import Engine, select

from server.domain import Caller, Scope
from server.errors import Forbidden
from server.intake import NOTHING, Intake, Patient, spoken_names
from server.patients import CONTEXT_ID, UNKNOWN, PatientContext, Patients, PatientUnknown
from server.store import tables as t
from server.store.database import Reader
from server.store.seal import KEY_BYTES, KeyRing
from server.store.writer import Writer
from tests.clock import Clock
from tests.server.test_tenants import make

ANNA = PatientContext(
    external_id="42", group="ward 7", patient=Patient(name="Anna Muster", birth_date="1970-12-31", gender="female")
)
Opened = Callable[..., AbstractAsyncContextManager[Patients]]


@pytest.fixture
def caller(engine: Engine) -> Caller:
    return Caller(tenant_id=make(engine, "clinic"), key_id="k")


@pytest.fixture
def stranger(engine: Engine) -> Caller:
    return Caller(tenant_id=make(engine, "other"), key_id="k")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(engine: Engine, clock: Clock) -> Opened:
    """Patients of a server whose writer runs meanwhile."""

    @asynccontextmanager
    async def patients(key: bytes = bytes(KEY_BYTES), secret: bytes = b"secret") -> AsyncIterator[Patients]:
        writer = Writer(engine)
        made = Patients(Reader(engine), writer, KeyRing(key), clock)
        made.use(secret)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            yield made
            tasks.cancel_scope.cancel()

    return patients


async def test_the_same_patient_of_the_same_group_keeps_the_id(
    opened: Opened, caller: Caller, stranger: Caller, clock: Clock
) -> None:
    async with opened() as patients:
        first = await patients.put(caller, ANNA)
        assert CONTEXT_ID.fullmatch(first.id)
        clock.at += 10
        changed = msgspec.structs.replace(ANNA, patient=Patient(name="Anna Muster-Meier"))
        again = await patients.put(caller, changed)
        assert (again.id, again.created_at, again.context.changed_at) == (first.id, clock.at - 10, clock.at)
        assert await patients.get(caller, first.id) == again
        others = [
            await patients.put(caller, msgspec.structs.replace(ANNA, group="ward 8")),
            await patients.put(stranger, ANNA),
        ]
        async with opened(secret=b"of another installation") as elsewhere:
            others.append(await elsewhere.put(caller, ANNA))
        assert len({first.id, *(other.id for other in others)}) == 4


async def test_what_is_known_goes_into_an_encounter_and_what_is_not_is_said(
    opened: Opened, caller: Caller, stranger: Caller
) -> None:
    async with opened() as patients:
        stored = await patients.put(caller, ANNA)
        assert await patients.intake(caller, None) == NOTHING
        assert await patients.intake(caller, stored.id) == Intake(patient=ANNA.patient)
        unknown = Intake(extra={UNKNOWN: True})
        for who, name in ((caller, "patient-123"), (caller, "ctx_" + "0" * 24), (stranger, stored.id), (caller, "\0")):
            assert await patients.intake(who, name) == unknown
    async with opened(key=bytes(range(KEY_BYTES))) as keyless:
        assert await keyless.intake(caller, stored.id) == unknown


async def test_another_tenant_and_a_token_reach_nothing(opened: Opened, caller: Caller, stranger: Caller) -> None:
    async with opened() as patients:
        stored = await patients.put(caller, ANNA)
        for use in (patients.get, patients.delete):
            with pytest.raises(PatientUnknown):
                await use(stranger, stored.id)
            for scope in (Scope.STREAM, Scope.CONSOLE):
                with pytest.raises(Forbidden):
                    await use(msgspec.structs.replace(caller, scope=scope), stored.id)
        with pytest.raises(Forbidden):
            await patients.put(msgspec.structs.replace(caller, scope=Scope.ENCOUNTER), ANNA)
        await patients.delete(caller, stored.id)
        assert patients.erasures == 1
        for use in (patients.get, patients.delete):
            with pytest.raises(PatientUnknown):
                await use(caller, stored.id)


async def test_what_is_not_used_is_forgotten_and_what_is_used_is_not(
    opened: Opened, caller: Caller, stranger: Caller, clock: Clock
) -> None:
    async with opened() as patients:
        idle, used, theirs = [
            await patients.put(who, msgspec.structs.replace(ANNA, external_id=name))
            for who, name in ((caller, "1"), (caller, "2"), (stranger, "3"))
        ]
        clock.at += 100
        await patients.intake(caller, used.id)
        await patients.forget(caller.tenant_id, clock.at)
        assert patients.erasures == 1
        assert (await patients.get(caller, used.id)).context.changed_at == clock.at - 100
        await patients.get(stranger, theirs.id)
        with pytest.raises(PatientUnknown):
            await patients.get(caller, idle.id)


async def test_nothing_of_a_patient_lies_in_the_database_in_the_clear(
    engine: Engine, opened: Opened, caller: Caller
) -> None:
    async with opened() as patients:
        await patients.put(caller, ANNA)
    with engine.connect() as connection:
        (row,) = connection.execute(select(t.patient_contexts)).all()
    for word in ("Anna", "1970", "ward", "female"):
        assert word not in repr(row)


@pytest.mark.parametrize(
    ("name", "spoken"), [("Anna  Muster\n", ("Anna Muster",)), ("", ()), (" ", ()), ("x" * 65, ())]
)
def test_a_name_is_told_to_the_recogniser_where_it_is_one(name: str, spoken: tuple[str, ...]) -> None:
    assert spoken_names(Intake(patient=Patient(name=name))) == spoken
