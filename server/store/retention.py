"""What is kept no longer, as SQL; and how the database is made to forget what was deleted."""

from collections.abc import Sequence

import anyio.to_thread
import structlog
from sqlalchemy import Connection, Engine, delete, exists, or_, select, text
from sqlalchemy.exc import DBAPIError

from server.store import tables as t

log = structlog.get_logger()

BATCH = 500  # encounters in one round
ERASED = (  # tables that hold what belongs to an encounter, before it
    t.chunks,
    t.items,
    t.notes,
    t.blobs,
    t.parts,
    t.callbacks,
    t.streams,
)
WAIT_MS = 1000  # for readers of SQLite's write-ahead log; the next round tries again


def completed_before(connection: Connection, tenant: str, at: float) -> list[str]:
    """Ids of a tenant's encounters that were completed before a time, oldest first."""
    c = t.encounters.c
    query = select(c.id).where(c.tenant_id == tenant, c.completed_at < at).order_by(c.completed_at).limit(BATCH)
    return [str(found.id) for found in connection.execute(query)]


def audio_before(connection: Connection, tenant: str, *, live: float, uploads: float) -> list[str]:
    """Ids of a tenant's encounters whose audio is due: completed before `live`, or, where it was files, `uploads`."""
    c = t.encounters.c
    archived = exists().where(t.blobs.c.encounter_id == c.id)
    files = exists().where(t.parts.c.encounter_id == c.id)
    query = select(c.id).where(
        c.tenant_id == tenant, or_((c.completed_at < live) & archived, (c.completed_at < uploads) & files)
    )
    return [str(found.id) for found in connection.execute(query.order_by(c.completed_at).limit(BATCH))]


def blob_names(connection: Connection, encounter: str) -> list[str]:
    """Names of all blobs of an encounter: archived audio and files."""
    names: list[str] = []
    for table, name in ((t.blobs, t.blobs.c.key), (t.parts, t.parts.c.blob)):
        query = select(name).where(table.c.encounter_id == encounter, name.is_not(None))
        names += (str(found) for found in connection.execute(query).scalars())
    return names


def referenced(connection: Connection, names: Sequence[str]) -> set[str]:
    """Which of these names are blobs of an encounter."""
    used: set[str] = set()
    for name in (t.blobs.c.key, t.parts.c.blob):
        used.update(str(found) for found in connection.execute(select(name).where(name.in_(names))).scalars())
    return used


def drop_audio(connection: Connection, encounter: str) -> None:
    """Its audio is gone."""
    for table in (t.blobs, t.parts):
        connection.execute(delete(table).where(table.c.encounter_id == encounter))


def delete_all(connection: Connection, encounter: str) -> None:
    """Delete what belongs to an encounter, but for its own row."""
    mine = select(t.deliveries.c.id).where(t.deliveries.c.encounter_id == encounter)
    connection.execute(delete(t.attempts).where(t.attempts.c.delivery_id.in_(mine)))
    connection.execute(delete(t.deliveries).where(t.deliveries.c.encounter_id == encounter))
    for table in ERASED:
        connection.execute(delete(table).where(table.c.encounter_id == encounter))


async def forget_pages(engines: Sequence[Engine]) -> bool:
    """Have the databases give up what was deleted; False where a reader of SQLite's log kept it from that.

    SQLite overwrites what is deleted (`secure_delete`), but its write-ahead log holds old pages until it is truncated;
    PostgreSQL keeps deleted rows until a VACUUM.
    """
    return all([await anyio.to_thread.run_sync(_forget, engine) for engine in engines])


def _forget(engine: Engine) -> bool:
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if engine.dialect.name == "sqlite":
                before = connection.execute(text("PRAGMA busy_timeout")).scalar_one()
                connection.execute(text(f"PRAGMA busy_timeout={WAIT_MS}"))
                try:
                    busy = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
                finally:
                    connection.execute(text(f"PRAGMA busy_timeout={before}"))
                return not busy
            for table in (*ERASED, t.attempts, t.deliveries, t.encounters, t.patient_contexts, t.glossaries):
                connection.execute(text(f"VACUUM {table.name}"))
            return True
    except DBAPIError as exc:
        log.error("store.not_compacted", exc_info=exc)
        return False
