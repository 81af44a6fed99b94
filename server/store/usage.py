"""What tenants use: streams that are open now, and audio heard in a month, as SQL."""

from datetime import UTC, datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from server.domain import State
from server.store import tables as t


def month_of(at: float) -> str:
    """The calendar month of a time, in UTC: "2026-11"."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def live_streams(connection: Connection, tenant_id: str) -> int:
    """Audio streams of a tenant's live sessions, whichever process holds them."""
    query = (
        select(func.count())
        .select_from(t.streams.join(t.encounters))
        .where(t.encounters.c.tenant_id == tenant_id, t.encounters.c.state == State.LIVE)
    )
    return int(connection.execute(query).scalar_one())


def audio_ms(connection: Connection, tenant_id: str, month: str) -> int:
    """Milliseconds of a tenant's audio in consultations that were completed in a month ("2026-11", UTC)."""
    c = t.usage.c
    found = connection.execute(select(c.audio_ms).where(c.tenant_id == tenant_id, c.month == month)).scalar()
    return 0 if found is None else int(found)


def add_audio(connection: Connection, tenant_id: str, month: str, heard_ms: int) -> None:
    """So much more was heard for a tenant in a month."""
    c = t.usage.c
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    first = make(t.usage).values(tenant_id=tenant_id, month=month, audio_ms=heard_ms)
    connection.execute(
        first.on_conflict_do_update(
            index_elements=[c.tenant_id, c.month], set_={"audio_ms": c.audio_ms + first.excluded.audio_ms}
        )
    )
