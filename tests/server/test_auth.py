"""Who is calling: keys, tokens made with them, and both when the key is revoked."""

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import pytest
from msgspec import structs
from sqlalchemy import Engine, event

from server.auth import Authenticator
from server.domain import Caller, Scope
from server.errors import TokenExpired, Unauthorized
from server.remembering import REMEMBERED_S
from server.store import keys
from server.store.database import Reader
from server.tokens import Signing
from tests.clock import Clock

SECRET = bytes(range(32))


@dataclass(frozen=True)
class Practice:
    """A key, whom it belongs to, and a token made with it."""

    key: str
    owner: Caller
    token: str

    def streaming(self, clock: Callable[[], float]) -> Caller:
        return structs.replace(self.owner, scope=Scope.STREAM, token_id="t", expires_at=clock() + 60)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(engine: Engine, clock: Clock) -> Authenticator:
    return Authenticator(Reader(engine), Signing(SECRET, clock), clock, steady=clock)


def practice(engine: Engine, clock: Clock, name: str = "practice") -> Practice:
    with engine.begin() as connection:
        key = keys.create(connection, name, 1.0)
        owner = keys.find(connection, key)
    assert owner is not None
    made = structs.replace(owner, scope=Scope.STREAM, token_id="t", expires_at=clock() + 60)
    return Practice(key=key, owner=owner, token=Signing(SECRET, clock).sign(made))


async def test_a_key_and_a_token_made_with_it_speak_for_the_same_tenant(
    authenticator: Authenticator, engine: Engine, clock: Clock
) -> None:
    made = practice(engine, clock)
    assert await authenticator.caller(made.key) == made.owner
    assert await authenticator.caller(made.token) == made.streaming(clock)
    assert made.owner.scope is Scope.ALL
    assert made.owner.expires_at is None


async def test_those_who_ask_at_once_cost_one_look_up_and_are_answered_in_their_order(
    authenticator: Authenticator, engine: Engine, clock: Clock
) -> None:
    made, answered, look_ups = practice(engine, clock), list[int](), list[str]()

    async def ask(number: int) -> None:
        assert await authenticator.caller(made.key) == made.owner
        answered.append(number)

    event.listen(engine, "before_cursor_execute", lambda *said: look_ups.append(said[2]))
    async with anyio.create_task_group() as askers:
        for number in range(30):
            askers.start_soon(ask, number)
    assert answered == list(range(30))
    assert len(look_ups) == 1


async def test_those_who_ask_at_once_with_a_wrong_key_cost_one_look_up_too(
    authenticator: Authenticator, engine: Engine
) -> None:
    refused, look_ups = list[str](), list[str]()

    async def ask() -> None:
        with pytest.raises(Unauthorized):
            await authenticator.caller("wrong")
        refused.append("wrong")

    event.listen(engine, "before_cursor_execute", lambda *said: look_ups.append(said[2]))
    async with anyio.create_task_group() as askers:
        for _ in range(30):
            askers.start_soon(ask)
    assert len(refused) == 30
    assert len(look_ups) == 1
    with pytest.raises(Unauthorized):
        await authenticator.caller("wrong")
    assert len(look_ups) == 2


@pytest.mark.parametrize("credential", [None, "", "wrong", "a.b.c", "..", "eyJhbGciOiJub25lIn0.e30."])
async def test_nothing_else_is_a_credential(authenticator: Authenticator, credential: str | None) -> None:
    with pytest.raises(Unauthorized):
        await authenticator.caller(credential)


async def test_a_token_ends_with_its_key_after_a_short_memory(
    authenticator: Authenticator, engine: Engine, clock: Clock
) -> None:
    made = practice(engine, clock)
    await authenticator.caller(made.token)
    with engine.begin() as connection:
        keys.revoke(connection, made.owner.key_id, 2.0)
    clock.at += REMEMBERED_S - 1
    assert (await authenticator.caller(made.token)).token_id == "t"
    clock.at += 1
    with pytest.raises(Unauthorized):
        await authenticator.caller(made.token)


async def test_a_token_whose_key_is_here_under_another_tenant_is_refused(
    authenticator: Authenticator, engine: Engine, clock: Clock
) -> None:
    made, other = practice(engine, clock), practice(engine, clock, "other")
    stolen = structs.replace(made.streaming(clock), tenant_id=other.owner.tenant_id)
    with pytest.raises(Unauthorized):
        await authenticator.caller(Signing(SECRET, clock).sign(stolen))


async def test_an_expired_token_is_told_apart_from_a_wrong_one(
    authenticator: Authenticator, engine: Engine, clock: Clock
) -> None:
    made = practice(engine, clock)
    clock.at += 60
    with pytest.raises(TokenExpired):
        await authenticator.caller(made.token)


async def test_a_revoked_key_is_forgotten_also_where_the_clock_is_set_back(engine: Engine, clock: Clock) -> None:
    steady = Clock(0.0)
    authenticator = Authenticator(Reader(engine), Signing(SECRET, clock), clock, steady=steady)
    made = practice(engine, clock)
    await authenticator.caller(made.key)
    clock.at -= 3 * 3600
    steady.at += REMEMBERED_S
    with engine.begin() as connection:
        keys.revoke(connection, made.owner.key_id, clock())
    with pytest.raises(Unauthorized):
        await authenticator.caller(made.key)


async def test_who_waits_for_the_expiry_of_a_token_is_told(authenticator: Authenticator, clock: Clock) -> None:
    soon = Caller(tenant_id="t", key_id="k", scope=Scope.STREAM, token_id="t", expires_at=clock() + 0.01)
    with pytest.raises(TokenExpired):
        await authenticator.until_expiry(soon)
    with pytest.raises(TokenExpired):
        await authenticator.until_expiry(structs.replace(soon, expires_at=clock() - 100))


async def test_a_key_never_expires(authenticator: Authenticator) -> None:
    with anyio.move_on_after(0.05) as waiting:
        await authenticator.until_expiry(Caller(tenant_id="t", key_id="k"))
    assert waiting.cancelled_caught
