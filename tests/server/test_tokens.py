"""Tokens: what holds, what does not, and for how long."""

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from server.domain import Caller, Scope
from server.errors import BadRequest, TokenExpired, Unauthorized
from server.store import keys
from server.store import tables as t
from server.store.seal import KeyRing
from server.store.writer import Writer
from server.tokens import (
    ALGORITHM,
    NAME,
    Lifetimes,
    Signing,
    Tokens,
    TokenSecretBroken,
    looks_like_token,
    token_secret,
)

SECRET = bytes(range(32))
NOW = 1_800_000_000.5
KEY = Caller(tenant_id="tenant", key_id="key")
CALLER = Caller(
    tenant_id="tenant", key_id="key", scope=Scope.STREAM, token_id="token", expires_at=1_800_000_060.0
)  # fmt: skip
CLAIMS: dict[str, Any] = {
    "iss": NAME,
    "aud": NAME,
    "sub": "key",
    "tenant": "tenant",
    "scope": "stream",
    "encounter": "",
    "jti": "token",
    "iat": 1_800_000_000,
    "exp": 1_800_000_060,
}
SIGNING = Signing(SECRET, lambda: NOW)
LIFETIMES = Lifetimes(default_s=600, max_s=3600)


def forged(claims: dict[str, Any], secret: bytes = SECRET, algorithm: str = ALGORITHM) -> str:
    return jwt.encode(claims, secret, algorithm)


@pytest.mark.parametrize(
    "caller",
    [
        CALLER,
        Caller(
            tenant_id="t", key_id="k", scope=Scope.ENCOUNTER, encounter="e", token_id="j", expires_at=1_800_000_001.0
        ),
        Caller(tenant_id="t", key_id="k", scope=Scope.CONSOLE, token_id="j", expires_at=1_800_000_001.0),
    ],
)
def test_a_token_says_who_what_for_and_until_when(caller: Caller) -> None:
    token = SIGNING.sign(caller)
    assert looks_like_token(token)
    assert SIGNING.caller(token) == caller


def test_the_test_forges_tokens_as_they_are_made() -> None:
    assert SIGNING.caller(forged(CLAIMS)) == CALLER


def test_a_token_holds_until_it_expires_and_not_a_moment_longer() -> None:
    token = SIGNING.sign(CALLER)
    assert Signing(SECRET, lambda: 1_800_000_059.9).caller(token) == CALLER
    with pytest.raises(TokenExpired):
        Signing(SECRET, lambda: 1_800_000_060.0).caller(token)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_token_without_one_of_its_claims_is_none(claim: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        SIGNING.caller(forged({name: value for name, value in CLAIMS.items() if name != claim}))
    assert type(refused.value) is Unauthorized


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "another"},
        {"aud": "another"},
        {"aud": [NAME, "another"]},
        {"scope": "all"},
        {"scope": "everything"},
        {"scope": "encounter"},  # without naming one
        {"encounter": "e"},  # with a scope that names none
        {"scope": "console", "encounter": "e"},
        {"exp": "1800000060"},
        {"exp": 1e400},
        {"exp": None},
        {"sub": 7},
        {"tenant": ["tenant"]},
        {"nbf": 1_900_000_000},
    ],
)
def test_a_token_that_says_something_else_is_none_although_it_is_signed(wrong: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refused:
        SIGNING.caller(forged(CLAIMS | wrong))
    assert type(refused.value) is Unauthorized


def test_a_token_of_another_server_is_none() -> None:
    with pytest.raises(Unauthorized):
        SIGNING.caller(Signing(bytes(32), lambda: NOW).sign(CALLER))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_another_algorithm_is_refused_even_with_the_right_secret(algorithm: str) -> None:
    with pytest.raises(Unauthorized):
        SIGNING.caller(forged(CLAIMS, SECRET * 2, algorithm))
    header, _, rest = forged(CLAIMS).partition(".")
    with pytest.raises(Unauthorized):
        SIGNING.caller(f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{rest}")
    assert header != _part({"alg": algorithm, "typ": "JWT"})


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
def test_a_token_that_names_no_algorithm_is_none(algorithm: str) -> None:
    unsigned = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(CLAIMS)}."
    with pytest.raises(Unauthorized):
        SIGNING.caller(unsigned)


@given(at=st.integers(0, 10_000), letter=st.sampled_from("AZaz09-_."))
def test_a_token_that_was_tampered_with_is_none(at: int, letter: str) -> None:
    token = SIGNING.sign(CALLER)
    at %= token.rindex(".") + 40  # the last letter's last bits mean nothing (RFC 4648 §3.5)
    changed = token[:at] + letter + token[at + 1 :]
    if changed != token:
        with pytest.raises(Unauthorized):
            SIGNING.caller(changed)


@given(st.text(max_size=200) | st.builds(".".join, st.lists(st.text(max_size=50), min_size=3, max_size=3)))
def test_any_other_text_is_no_token(text: str) -> None:
    with pytest.raises(Unauthorized):
        SIGNING.caller(text)


def test_a_header_that_is_nested_without_end_is_no_token() -> None:
    header = base64.urlsafe_b64encode(b"[" * 30_000).decode()
    with pytest.raises(Unauthorized):
        SIGNING.caller(f"{header}.e30.e30")


def test_the_signing_secret_is_made_once_and_lies_in_the_database_sealed(engine: Engine, tmp_path: Path) -> None:
    ring = KeyRing(bytes(32))
    secret = token_secret(engine, ring, tmp_path / "token-secret")
    assert len(secret) == 32
    assert token_secret(engine, ring, tmp_path / "token-secret") == secret
    assert all(secret not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_server_with_another_key_is_told_so_at_its_start(engine: Engine, tmp_path: Path) -> None:
    token_secret(engine, KeyRing(bytes(32)), tmp_path / "token-secret")
    with pytest.raises(TokenSecretBroken, match="sealed with another key"):
        token_secret(engine, KeyRing(SECRET), tmp_path / "token-secret")


@asynccontextmanager
async def tokens_on(engine: Engine, now: Callable[[], float] = lambda: NOW) -> AsyncIterator[Tokens]:
    writer = Writer(engine)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writer.run)
        yield Tokens(Signing(SECRET, now), writer, now, LIFETIMES)
        tasks.cancel_scope.cancel()


async def test_a_key_makes_tokens_of_its_tenant_and_the_access_log_says_so(engine: Engine) -> None:
    async with tokens_on(engine) as tokens:
        first = await tokens.issue(KEY, Scope.ENCOUNTER, "e")
        second = await tokens.issue(KEY, Scope.STREAM, expires_in_s=60)
    named, streaming = SIGNING.caller(first.token), SIGNING.caller(second.token)
    assert (named.tenant_id, named.key_id, named.scope, named.encounter) == ("tenant", "key", Scope.ENCOUNTER, "e")
    assert (streaming.scope, streaming.encounter) == (Scope.STREAM, "")
    assert named.token_id != streaming.token_id
    assert named.expires_at == first.expires_at == 1_800_000_601  # the default, from the next full second on
    assert streaming.expires_at == 1_800_000_061
    with engine.connect() as connection:
        rows = connection.execute(select(t.access_log).order_by(t.access_log.c.id)).all()
    assert [(row.action, row.key_id, row.encounter_id) for row in rows] == [
        ("token.make", "key", "e"),
        ("token.make", "key", None),
    ]


@pytest.mark.parametrize("lasts_s", [-1, 0, 3601])
async def test_a_lifetime_out_of_range_is_refused_with_the_range(engine: Engine, lasts_s: int) -> None:
    async with tokens_on(engine) as tokens:
        with pytest.raises(BadRequest, match="from 1 to 3600 seconds"):
            await tokens.issue(KEY, Scope.STREAM, expires_in_s=lasts_s)


async def test_what_a_token_makes_does_not_outlive_it(engine: Engine) -> None:
    async with tokens_on(engine) as tokens:
        issued = await tokens.issue(CALLER, Scope.ENCOUNTER, "e")
    assert issued.expires_at == CALLER.expires_at
    assert SIGNING.caller(issued.token).key_id == CALLER.key_id


def test_a_key_does_not_look_like_a_token(engine: Engine) -> None:
    with engine.begin() as connection:
        assert not looks_like_token(keys.create(connection, "clinic", 1.0))


def _part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
