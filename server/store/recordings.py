"""Recordings: their files, and the line in which they wait, as SQL."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from server.domain import EncounterOptions, EncounterRow, State
from server.errors import NotFound
from server.fairness import Waiting
from server.store import encounters as sql
from server.store import tables as t
from server.store.seal import Seal

SEEN = 1000  # of those that wait, the first of each tenant and priority come first


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a recording."""

    ordinal: int
    blob: str | None  # None: not fetched yet, or deleted
    size: int  # bytes
    url: str | None = None  # where it is to be fetched


def create(connection: Connection, seal: Seal, row: EncounterRow, client_key: str | None, parts: Sequence[Part]) -> str:
    """A recording and its files, in line. Returns its id, or the id of the one with the same client key."""
    known = sql.create(connection, row, client_key)
    if known == row.id:
        connection.execute(insert(t.parts), [_values(seal, row.id, part) for part in parts])
    return known


def hold(connection: Connection, encounter: str) -> None:
    """Until this transaction ends no other process changes it: two may be given its last two files at the same time."""
    c = t.encounters.c
    connection.execute(select(c.id).where(c.id == encounter).with_for_update())


def add_part(connection: Connection, seal: Seal, encounter: str, part: Part) -> None:
    """One file more."""
    connection.execute(insert(t.parts), _values(seal, encounter, part))


def gathered(
    connection: Connection,
    encounter: str,
    options: EncounterOptions,
    *,
    complete: bool,
    at: float | None = None,
    warning: str = "",
) -> None:
    """A recording that comes in segments has one more, or gets in line, because no more will come."""
    c = t.encounters.c
    values: dict[str, object] = {"options": msgspec.json.encode(options).decode()}
    if at is not None:
        values["active_at"] = at
    if complete:
        values["state"] = State.QUEUED
    if warning:
        values["warnings"] = msgspec.json.encode((*sql.get(connection, encounter).warnings, warning)).decode()
    connection.execute(update(t.encounters).where(c.id == encounter, c.state == State.GATHERING).values(**values))


def _values(seal: Seal, encounter: str, part: Part) -> dict[str, object]:
    source = None if part.url is None else seal.seal(f"part/{part.ordinal}", part.url.encode())
    values = {"ordinal": part.ordinal, "blob": part.blob, "size": part.size, "source": source}
    return {"encounter_id": encounter, **values}


def parts(connection: Connection, seal: Seal, encounter: str) -> list[Part]:
    """The files, in order."""
    c = t.parts.c
    query = select(c.ordinal, c.blob, c.size, c.source).where(c.encounter_id == encounter).order_by(c.ordinal)
    return [
        Part(
            ordinal=row.ordinal,
            blob=row.blob,
            size=row.size,
            url=None if row.source is None else seal.open(f"part/{row.ordinal}", row.source).decode(),
        )
        for row in connection.execute(query)
    ]


def put_blob(connection: Connection, encounter: str, ordinal: int, blob: str, size: int) -> None:
    """A file was fetched. Raises `NotFound` where its recording is gone."""
    c = t.parts.c
    done = connection.execute(
        update(t.parts).where(c.encounter_id == encounter, c.ordinal == ordinal).values(blob=blob, size=size)
    )
    if not done.rowcount:
        raise NotFound


def waiting(connection: Connection) -> list[Waiting]:
    """Who waits, those with a higher priority and older ones first."""
    c = t.encounters.c
    rank = func.row_number().over(partition_by=c.tenant_id, order_by=(c.priority.desc(), c.created_at))
    ranked = (
        select(c.id, c.tenant_id, c.priority, c.created_at, rank.label("rank"))
        .where(c.state == State.QUEUED)
        .subquery()
    )
    query = select(ranked).order_by(ranked.c.rank, ranked.c.created_at).limit(SEEN)
    return [
        Waiting(encounter=row.id, tenant=row.tenant_id, priority=row.priority, since=row.created_at)
        for row in connection.execute(query)
    ]


def working(connection: Connection) -> dict[str, int]:
    """How many of each tenant's are in work, in all processes."""
    c = t.encounters.c
    query = select(c.tenant_id, func.count()).where(c.state == State.WORKING).group_by(c.tenant_id)
    return {str(tenant): int(count) for tenant, count in connection.execute(query)}


def claim(connection: Connection, encounter: str, owner: str) -> bool:
    """Take one out of the line, for this process; False where another one was faster."""
    c = t.encounters.c
    done = connection.execute(
        update(t.encounters)
        .where(c.id == encounter, c.state == State.QUEUED)
        .values(state=State.WORKING, owner=owner, epoch=c.epoch + 1)
    )
    return bool(done.rowcount)
