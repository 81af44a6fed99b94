"""Tenants and their API keys. A key is shown once; only its SHA-256 is stored (it is random: no slow hash needed)."""

import hashlib
import secrets

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from server.domain import Caller
from server.errors import NotFound
from server.store import tables as t

PREFIX = "auscult_sk_"
FIRST_LOCK = int.from_bytes(b"1st-key")  # its number among the advisory locks of a PostgreSQL database


class KeyLine(msgspec.Struct, frozen=True, kw_only=True):
    """What can be listed of a key."""

    id: str
    tenant: str
    hint: str
    created_at: float
    revoked_at: float | None


def digest(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def create(connection: Connection, tenant: str, at: float) -> str:
    """A new key for a tenant (made on first use). Returns the key itself, for the only time."""
    tenant_id = connection.execute(select(t.tenants.c.id).where(t.tenants.c.name == tenant)).scalar()
    if tenant_id is None:
        tenant_id = secrets.token_hex(8)
        connection.execute(insert(t.tenants).values(id=tenant_id, name=tenant, created_at=at))
    key = PREFIX + secrets.token_urlsafe(32)
    values = {"id": secrets.token_hex(6), "tenant_id": tenant_id, "hash": digest(key), "hint": key[: len(PREFIX) + 4]}
    connection.execute(insert(t.api_keys).values(**values, created_at=at))
    return key


def first(connection: Connection, tenant: str, at: float) -> str | None:
    """As `create`, where there never was a key; of several processes that ask at once one gets it."""
    if connection.dialect.name == "postgresql":  # else there is no other process
        connection.execute(select(func.pg_advisory_xact_lock(FIRST_LOCK)))
    return None if count(connection) else create(connection, tenant, at)


def find(connection: Connection, key: str) -> Caller | None:
    """The caller that a key belongs to; None when it is unknown or revoked."""
    query = select(t.api_keys.c.id, t.api_keys.c.tenant_id).where(
        t.api_keys.c.hash == digest(key), t.api_keys.c.revoked_at.is_(None)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Caller(tenant_id=row.tenant_id, key_id=row.id)


def find_by_id(connection: Connection, key_id: str) -> Caller | None:
    """The caller that a key's id belongs to; None when it is unknown or revoked."""
    query = select(t.api_keys.c.tenant_id).where(t.api_keys.c.id == key_id, t.api_keys.c.revoked_at.is_(None))
    tenant_id = connection.execute(query).scalar()
    return None if tenant_id is None else Caller(tenant_id=tenant_id, key_id=key_id)


def count(connection: Connection) -> int:
    """How many keys were ever made."""
    return int(connection.execute(select(func.count()).select_from(t.api_keys)).scalar_one())


def listing(connection: Connection) -> list[KeyLine]:
    """All keys, oldest first."""
    c = t.api_keys.c
    query = select(c.id, t.tenants.c.name, c.hint, c.created_at, c.revoked_at).join(t.tenants).order_by(c.created_at)
    return [
        KeyLine(id=row.id, tenant=row.name, hint=row.hint, created_at=row.created_at, revoked_at=row.revoked_at)
        for row in connection.execute(query)
    ]


def revoke(connection: Connection, key_id: str, at: float) -> None:
    """Make a key useless. Raises `NotFound`."""
    done = connection.execute(
        update(t.api_keys).where(t.api_keys.c.id == key_id, t.api_keys.c.revoked_at.is_(None)).values(revoked_at=at)
    )
    if not done.rowcount:
        raise NotFound(f"There is no active key with the id {key_id}: `auscult keys list` shows them.")
