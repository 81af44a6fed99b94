"""Glossaries of single tenants, as SQL. Their words are sealed under the server's key: they may name people."""

from contextlib import suppress

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from server.store import tables as t
from server.store.seal import KeyRing, SealBroken


class GlossaryLine(msgspec.Struct, frozen=True, kw_only=True):
    """What can be listed of a glossary."""

    name: str
    text: str
    updated_at: float


def place(tenant: str, name: str) -> str:
    """What a glossary's seal is bound to."""
    return f"glossary/{tenant}/{name}"


def put(connection: Connection, ring: KeyRing, tenant: str, name: str, text: str, at: float) -> None:
    """From now on this is the tenant's glossary of that name."""
    c = t.glossaries.c
    sealed = ring.seal(place(tenant, name), text.encode())
    changed = update(t.glossaries).where(c.tenant_id == tenant, c.id == name).values(sealed=sealed, updated_at=at)
    if not connection.execute(changed).rowcount:
        values = {"tenant_id": tenant, "id": name, "sealed": sealed, "created_at": at, "updated_at": at}
        connection.execute(insert(t.glossaries).values(**values))


def listing(connection: Connection, ring: KeyRing, tenant: str) -> list[GlossaryLine]:
    """A tenant's glossaries by name, but for those that are damaged."""
    c = t.glossaries.c
    query = select(c.id, c.sealed, c.updated_at).where(c.tenant_id == tenant).order_by(c.id)
    found: list[GlossaryLine] = []
    for row in connection.execute(query):
        with suppress(SealBroken):  # a key is missing: consultations do without the words
            text = ring.open(place(tenant, row.id), row.sealed).decode()
            found.append(GlossaryLine(name=row.id, text=text, updated_at=row.updated_at))
    return found


def count(connection: Connection, tenant: str) -> int:
    """How many glossaries a tenant has."""
    query = select(func.count()).where(t.glossaries.c.tenant_id == tenant)
    return int(connection.execute(query).scalar_one())


def remove(connection: Connection, tenant: str, name: str) -> bool:
    """Delete a glossary; False where there is none."""
    c = t.glossaries.c
    return bool(connection.execute(delete(t.glossaries).where(c.tenant_id == tenant, c.id == name)).rowcount)
