"""Tenants and what an operator set for each, as SQL."""

from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, Row, select, update

from server.domain import TenantSettings
from server.errors import NotFound
from server.store import tables as t


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant as stored."""

    id: str
    name: str
    created_at: float
    settings: TenantSettings


def listing(connection: Connection) -> list[Tenant]:
    """All tenants, by name."""
    return [_tenant(row) for row in connection.execute(select(t.tenants).order_by(t.tenants.c.name))]


def named(connection: Connection, name: str) -> Tenant:
    """A tenant by its name. Raises `NotFound`, which says how tenants come to be."""
    row = connection.execute(select(t.tenants).where(t.tenants.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(
            f"There is no tenant {name!r}: `auscult tenants list` shows those there are, and"
            " `auscult keys create --tenant NAME` makes one with its first key."
        )
    return _tenant(row)


def settings_of(connection: Connection, tenant_id: str) -> TenantSettings:
    """What was set for a tenant; nothing for one that is not there."""
    stored = connection.execute(select(t.tenants.c.settings).where(t.tenants.c.id == tenant_id)).scalar()
    return TenantSettings() if stored is None else msgspec.json.decode(stored, type=TenantSettings)


def origins(connection: Connection) -> frozenset[str]:
    """The origins that any tenant's pages come from."""

    def allowed() -> Iterator[str]:
        for stored in connection.execute(select(t.tenants.c.settings).where(t.tenants.c.settings != "{}")).scalars():
            yield from msgspec.json.decode(stored, type=TenantSettings).cors_origins or ()

    return frozenset(allowed())


def put_settings(connection: Connection, tenant_id: str, settings: TenantSettings) -> None:
    """From now on this is set for the tenant."""
    values = {"settings": msgspec.json.encode(settings).decode()}
    connection.execute(update(t.tenants).where(t.tenants.c.id == tenant_id).values(**values))


def _tenant(row: Row[tuple[object, ...]]) -> Tenant:
    settings = msgspec.json.decode(row.settings, type=TenantSettings)
    return Tenant(id=row.id, name=row.name, created_at=row.created_at, settings=settings)
